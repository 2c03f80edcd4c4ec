"""Work by a Ray cluster: the same results, whatever dies."""

import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from built import contents
from ray_clusters import LEFT_OPEN, Machines, machines

from severstal_prep import build as build_module
from severstal_prep import ray_engine
from severstal_prep.build import Request, build
from severstal_prep.engines import run_steps
from severstal_prep.errors import OptionError, PrepError
from severstal_prep.strips import CUT, CutStrip, ReadStrip, cut_strip
from severstal_prep.workers import CHUNK, Finished, Steps

pytestmark = LEFT_OPEN


def odd_is_finished(number: int) -> int | Finished[str]:
    return Finished(f"{number}: known") if number % 2 else number


def square(number: int) -> int:
    return number**2


def square_elsewhere(number: int) -> tuple[int, int]:
    return number**2, os.getpid()


def told(task: int, done: int) -> str:
    return f"{task}: {done}"


STEPS = Steps(odd_is_finished, square, told)


class FakeRay:
    """What `run_on_cluster` uses of Ray, in this process; counts what is under way."""

    def __init__(self, cpus: int) -> None:
        self.cpus, self.under_way, self.most, self.sent = cpus, 0, 0, 0
        self.exceptions = SimpleNamespace(RayTaskError=LookupError, RayError=LookupError)

    def is_initialized(self) -> bool:
        return True

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": self.cpus}

    def remote(self, **options: object) -> Callable[..., Any]:
        def made(function: Callable[..., Any]) -> Any:
            def send(*arguments: Any) -> bytes:
                self.under_way += 1
                self.sent += 1
                self.most = max(self.most, self.under_way)
                return pickle.dumps((function, arguments))

            return SimpleNamespace(remote=send)

        return made

    def get(self, reference: bytes) -> Any:
        function, arguments = pickle.loads(reference)  # noqa: S301 our own
        self.under_way -= 1
        return pickle.loads(pickle.dumps(function(*arguments)))  # noqa: S301 our own


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    ray = FakeRay(cpus=2)
    monkeypatch.setitem(sys.modules, "ray", ray)
    return ray


def test_results_come_in_order_and_pieces_under_way_are_bounded(fake: FakeRay) -> None:
    tasks = list(range(100 * CHUNK))
    results = list(run_steps(STEPS, tasks, 1, "a:1"))
    assert results == list(map(STEPS, tasks))
    assert results[:3] == ["0: 0", "1: known", "2: 4"]
    assert (fake.sent, fake.most) == (100, ray_engine.AHEAD * 2)


def test_no_file_is_read_long_before_its_turn(fake: FakeRay) -> None:
    read = list[int]()

    def noted(number: int) -> int:
        read.append(number)
        return number

    with closing(run_steps(Steps(noted, square, told), range(1000), 1, "a:1")) as results:
        next(results)
        assert len(read) == ray_engine.AHEAD * 2 * CHUNK


def test_what_needs_no_work_is_not_sent(fake: FakeRay) -> None:
    tasks = list(range(1, 100, 2))
    assert len(list(run_steps(STEPS, tasks, 1, "a:1"))) == 50
    assert fake.sent == 0


def test_a_build_by_a_cluster_is_the_same_to_the_byte(
    request_seven: Request, tmp_path: Path, fake: FakeRay
) -> None:
    build(replace(request_seven, out=tmp_path / "local"))
    build(replace(request_seven, ray="a:1"))
    assert fake.sent == 1
    assert contents(request_seven.out) == contents(tmp_path / "local")


def test_other_versions_on_a_machine_are_refused(
    fake: FakeRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_engine, "library_versions", lambda: {"numpy": "1.0"})
    with pytest.raises(PrepError, match=r"cluster has numpy [\d.]+, this one 1\.0; results may"):
        list(run_steps(STEPS, range(3), 1, "a:1"))


def test_ray_that_is_not_installed_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(OptionError, match=r'needs ray: pip install "steel-sise\[ray\]"$'):
        list(run_steps(STEPS, range(3), 1, "local"))


def test_ray_that_does_not_start_is_one_line(
    fake: FakeRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    def init(address: str, **options: object) -> None:
        assert (address, options["num_cpus"]) == ("local", 3)
        raise RuntimeError("no room\nfor it")

    monkeypatch.setattr(fake, "is_initialized", lambda: False)
    monkeypatch.setattr(fake, "init", init, raising=False)
    monkeypatch.setattr(fake, "shutdown", lambda: None, raising=False)
    with pytest.raises(OptionError, match=r"^Ray does not start here: no room; take --engine"):
        list(run_steps(STEPS, range(3), 3, "local"))


# From here on: machines.


@pytest.fixture(scope="module")
def cluster() -> Iterator[Machines]:
    with machines(2) as started:
        yield started


def die_once(mark: Path, read: ReadStrip) -> CutStrip:
    """Cut, but end the process by SIGKILL the first time that strip d is reached."""
    if read.task.source.strip_id == "d":
        try:
            mark.touch(exist_ok=False)
            os.kill(os.getpid(), signal.SIGKILL)
        except FileExistsError:
            pass
    return cut_strip(read)


def die(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_changes_nothing(
    cluster: Machines, request_seven: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(replace(request_seven, out=tmp_path / "local"))
    mark = tmp_path / "died"
    dying = Steps(CUT.read, partial(die_once, mark), CUT.keep)
    monkeypatch.setattr(build_module, "CUT", dying)
    build(replace(request_seven, ray=cluster.address))
    assert mark.exists()
    assert contents(request_seven.out) == contents(tmp_path / "local")


@pytest.mark.slow
def test_machines_come_and_go(cluster: Machines) -> None:
    tasks = range(40 * CHUNK)
    pids, results = set[int](), list[int]()

    def kept(task: int, done: tuple[int, int]) -> int:
        pids.add(done[1])
        return done[0]

    third = cluster.add()
    steps = Steps[int, int, tuple[int, int], int](int, square_elsewhere, kept)
    with closing(run_steps(steps, tasks, 1, cluster.address)) as found:
        for result in found:
            results.append(result)
            if len(results) == 10 * CHUNK:
                cluster.remove(third)
            if len(results) == 20 * CHUNK:
                cluster.add()
    assert results == [number**2 for number in tasks]
    assert os.getpid() not in pids


@pytest.mark.slow
def test_a_machine_without_a_package_is_one_line(
    cluster: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    here_alone = ModuleType("here_alone")
    exec("def work(number): return number", here_alone.__dict__)  # noqa: S102
    monkeypatch.setitem(sys.modules, "here_alone", here_alone)
    steps = Steps[int, int, int, int](int, here_alone.work, max)
    with pytest.raises(PrepError, match="a machine of the cluster lacks steel-sise or a package"):
        list(run_steps(steps, range(3), 1, cluster.address))


@pytest.mark.slow
def test_what_kills_every_worker_is_one_line(
    cluster: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_engine, "RETRIES", 1)
    steps = Steps[int, int, int, int](int, die, max)
    with pytest.raises(PrepError, match=r"gave up a piece of work \(WorkerCrashedError"):
        list(run_steps(steps, range(3), 1, cluster.address))
