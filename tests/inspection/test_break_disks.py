"""A disk that is full, or takes no writing: one line, nothing half-written, and the report of an
unbroken run once there is room."""

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from breaking import assert_whole, at_write, contents, kill, stop_clock, write_batch

from inspection.pipeline.run import Finished
from severstal_prep.failures import in_words

Inspect = Callable[..., Finished]


@pytest.fixture
def batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    stop_clock(monkeypatch)
    return write_batch(tmp_path / "партия 7")


def full(temporary: Path, final: Path) -> None:
    content = temporary.read_bytes()
    temporary.write_bytes(content[: len(content) // 2])
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(final))


def fill_at(places: list[int], batch: Path, inspect_toy: Inspect, expected: dict[str, str]) -> None:
    for place in places:
        out = batch.parent / f"out-{place}"
        with at_write(place, full), pytest.raises(OSError, match="No space left") as told:
            inspect_toy(batch, out)
        said = in_words(told.value)
        assert said is not None
        assert said.endswith("no space is left there; free some, or name another place")
        assert not list(out.rglob("*.partial")), place
        assert not (out / "SHA256SUMS").exists(), "it would be taken for whole"
        inspect_toy(batch, out)
        assert_whole(out, expected, batch)


def unbroken(batch: Path, inspect_toy: Inspect) -> tuple[dict[str, str], int]:
    out = batch.parent / "unbroken"
    with at_write(0, kill) as written:
        inspect_toy(batch, out)
    return contents(out), len(written)


def test_a_disk_full_at_the_first_pictures_and_in_the_middle(
    batch: Path, inspect_toy: Inspect
) -> None:
    expected, writes = unbroken(batch, inspect_toy)
    fill_at([2, writes // 2], batch, inspect_toy, expected)


@pytest.mark.slow(minutes=1)
def test_a_disk_full_at_every_file(batch: Path, inspect_toy: Inspect) -> None:
    expected, writes = unbroken(batch, inspect_toy)
    fill_at(list(range(1, writes + 1)), batch, inspect_toy, expected)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own; skipped where this user may not mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() or mount(place, "size=64k"):
        pytest.skip("mounting a small disk takes root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def mount(place: Path, options: str, again: bool = False) -> int:
    how = ["-o", f"remount,{options}"] if again else ["-t", "tmpfs", "-o", options, "tmpfs"]
    command = ["mount", *how, str(place)]
    return subprocess.run(command, capture_output=True, check=False).returncode


@pytest.mark.slow
def test_a_real_disk_that_grows_until_the_report_fits(
    batch: Path, disk: Path, inspect_toy: Inspect
) -> None:
    expected, _ = unbroken(batch, inspect_toy)
    out, said = disk / "out", list[str | None]()
    for kibibytes in range(64, 4096, 96):
        assert mount(disk, f"size={kibibytes}k", again=True) == 0
        try:
            inspect_toy(batch, out)
            break
        except Exception as error:  # of whichever library wrote
            said.append(in_words(error))
        assert not list(out.rglob("*.partial")), "half a file takes the room of a whole one"
    assert len(said) > 2
    assert {str(line).rpartition(": ")[2] for line in said} == {
        "no space is left there; free some, or name another place"
    }
    assert_whole(out, expected, batch)


@pytest.mark.slow
def test_a_disk_that_takes_no_writing(batch: Path, disk: Path, inspect_toy: Inspect) -> None:
    expected, _ = unbroken(batch, inspect_toy)
    out = disk / "out"
    assert mount(disk, "size=8m,ro", again=True) == 0
    with pytest.raises(OSError, match="Read-only") as told:
        inspect_toy(batch, out)
    assert str(in_words(told.value)).endswith("the file system is read-only; name another place")
    assert mount(disk, "size=8m,rw", again=True) == 0
    inspect_toy(batch, out)
    assert mount(disk, "ro", again=True) == 0
    before = contents(out)
    with pytest.raises(OSError, match="Read-only"):
        inspect_toy(batch, out, explain="all")
    assert contents(out) == before == expected, "the old report is as it was"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write(batch: Path, inspect_toy: Inspect) -> None:
    place = batch.parent / "locked"
    place.mkdir(mode=0o555)
    with pytest.raises(PermissionError) as told:
        inspect_toy(batch, place / "out")
    assert "permission denied" in str(in_words(told.value))
    assert list(place.iterdir()) == []
