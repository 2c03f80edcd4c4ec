"""Two processes on one output folder: the second is refused, and a killed one is forgotten."""

import errno
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from severstal_prep.alone import LOCK, alone, unused
from severstal_prep.build import Request, build
from severstal_prep.errors import InUseError

HOLDER = """
import os, sys, time
from pathlib import Path
from severstal_prep.alone import alone
with alone(Path(sys.argv[1]), Path(sys.argv[2])):
    if sys.argv[3:]:
        begun, say = os.pipe()
        child = os.fork()
        if not child:
            os.close(1)
            os.write(say, b"x")
            time.sleep(60)
            os._exit(0)
        os.read(begun, 1)
        print(child, flush=True)
    print("held", flush=True)
    time.sleep(60)
"""


@contextmanager
def held(output: Path, work: Path, *fork: str) -> Iterator[subprocess.Popen[str]]:
    """A process that writes into `output`, until the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(output), str(work), *fork],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        process.child = int(process.stdout.readline()) if fork else 0  # type: ignore[attr-defined]
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_the_second_is_refused_and_told_by_whom(tmp_path: Path) -> None:
    out = tmp_path / "выход dir"
    with held(out, out / "work") as process:
        with pytest.raises(InUseError) as refused, alone(out, out / "work"):
            pass
        said = str(refused.value)
        assert said.startswith(f"{out}: process {process.pid} on {socket.gethostname()}, since 20")
        assert said.endswith("writes here; wait for its end, or name another --out")
        assert "\n" not in said
        assert json.loads((out / "work" / LOCK).read_text())["pid"] == process.pid, "unchanged"


def test_one_process_cannot_hold_it_twice(tmp_path: Path) -> None:
    with alone(tmp_path):
        with pytest.raises(InUseError, match=f"process {os.getpid()} on"), alone(tmp_path):
            pass
        with alone(tmp_path / "another"):
            pass
    with alone(tmp_path):
        pass


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_what_a_killed_process_leaves_keeps_nobody_out(number: int, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with held(out, out) as process:
        os.kill(process.pid, number)
        process.wait()
        assert (out / LOCK).is_file()
        assert unused(out)
        with alone(out):
            assert json.loads((out / LOCK).read_text())["pid"] == os.getpid()
    assert list(out.iterdir()) == []


def test_a_forked_process_does_not_keep_the_lock_of_a_killed_one(tmp_path: Path) -> None:
    with held(tmp_path, tmp_path, "fork") as process:
        child: int = process.child  # type: ignore[attr-defined]
        try:
            process.kill()
            process.wait()
            os.kill(child, 0)  # lives on
            with alone(tmp_path):
                pass
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_lock_removed_between_opening_and_locking_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a holder that ends just then: two would hold locks on two files of one name."""
    flock, calls = fcntl.flock, list[int]()

    def late(descriptor: int, how: int) -> None:
        calls.append(descriptor)
        if len(calls) == 1:
            (tmp_path / LOCK).unlink()
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with alone(tmp_path):
        assert len(calls) == 2
        with pytest.raises(InUseError), alone(tmp_path):
            pass


def test_a_folder_made_for_the_lock_alone_goes_with_it(tmp_path: Path) -> None:
    with alone(tmp_path, tmp_path / "work"):
        pass
    assert not (tmp_path / "work").exists()
    with alone(tmp_path, tmp_path / "work"):
        (tmp_path / "work" / "a").touch()
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["a"]


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_without_locks_a_note_says_so_and_the_work_goes_on(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none(descriptor: int, how: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", none)
    with alone(tmp_path), alone(tmp_path):
        pass
    first, second = capsys.readouterr().err.splitlines()
    assert first == second
    assert first.startswith(f"{tmp_path}: no locks on this file system; ")
    assert unused(tmp_path)


def test_other_errors_of_the_lock_are_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(descriptor: int, how: int) -> None:
        raise OSError(errno.EIO, "failed")

    monkeypatch.setattr(fcntl, "flock", broken)
    with pytest.raises(OSError, match="failed"), alone(tmp_path):
        pass


@pytest.mark.parametrize("text", ["", "{", '{"pid": 1}', "[]", '"x"', "\0"])
def test_a_holder_that_cannot_be_read_is_another_process(text: str, tmp_path: Path) -> None:
    with alone(tmp_path):
        (tmp_path / LOCK).write_text(text)
        with pytest.raises(InUseError, match=": another process writes here; "), alone(tmp_path):
            pass


@pytest.mark.usefixtures("quick_overview")
def test_a_second_build_of_a_dataset_is_refused(request_seven: Request) -> None:
    out = request_seven.out
    with held(out, out / ".build"), pytest.raises(InUseError, match="writes here"):
        build(request_seven)
    build(request_seven)
    assert sorted(path.name for path in out.iterdir()) == [
        "crops", "dataset.json", "manifest.parquet", "masks", "overview.png",
    ]  # fmt: skip


@pytest.mark.usefixtures("quick_overview")
def test_a_dataset_that_was_built_meanwhile_is_complete(
    request_seven: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    from severstal_prep import workfolder

    take: Callable[..., object] = workfolder.alone

    def late(*folders: Path) -> object:
        monkeypatch.setattr(workfolder, "alone", take)
        assert not build(request_seven).was_complete
        return take(*folders)

    monkeypatch.setattr(workfolder, "alone", late)
    assert build(request_seven).was_complete
    assert not (request_seven.out / ".build").exists()


def test_a_build_killed_before_its_first_file_begins_anew(request_seven: Request) -> None:
    work = request_seven.out / ".build"
    with held(request_seven.out, work) as process:
        process.kill()
    (work / ".settings.json.partial").write_text("{")
    assert not build(request_seven).was_complete
