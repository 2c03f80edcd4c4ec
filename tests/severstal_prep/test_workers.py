import os
import signal
import time
from pathlib import Path

import pytest

from severstal_prep import workers
from severstal_prep.errors import PrepError


def square(number: int) -> tuple[int, int]:
    return number * number, os.getpid()


def touch(path: Path) -> None:
    time.sleep(0.001)
    path.touch()


def sigint_is_ignored(number: int) -> bool:
    return signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def start_plainly() -> None:
    pass


def die(number: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_small_work_stays_here() -> None:
    results = list(workers.run(square, list(range(workers.TASKS_PER_WORKER)), jobs=4))
    assert {pid for _, pid in results} == {os.getpid()}
    assert list(workers.run(square, [], jobs=4)) == []


def test_much_work_is_shared_and_keeps_its_order() -> None:
    results = list(workers.run(square, list(range(100)), jobs=2))
    assert [value for value, _ in results] == [n * n for n in range(100)]
    pids = {pid for _, pid in results}
    assert os.getpid() not in pids
    assert 1 <= len(pids) <= 2


def test_closing_drops_the_tasks_not_yet_begun(tmp_path: Path) -> None:
    results = workers.run(touch, [tmp_path / str(n) for n in range(2000)], jobs=2)
    next(results)
    results.close()
    assert 1 <= len(list(tmp_path.iterdir())) < 1000


def test_ctrl_c_is_the_parents_alone_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    # A worker that Ctrl-C reaches before it has set itself up leaves the parent hanging.
    monkeypatch.setattr(workers, "_start_worker", start_plainly)
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)  # nohup ignores it
    try:
        results = workers.run(sigint_is_ignored, list(range(100)), jobs=2)
        assert next(results)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        assert all(results)
    finally:
        signal.signal(signal.SIGINT, usual)


def test_a_killed_process_is_one_line_not_a_hang() -> None:
    with pytest.raises(PrepError, match="fewer --jobs"):
        list(workers.run(die, list(range(100)), jobs=2))
