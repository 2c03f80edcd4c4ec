"""When a file counts as complete. The clock is the test's own."""

import os
from pathlib import Path

import pytest
from toys import strip, write_strip

from inspection.watch import arrivals as module
from inspection.watch.arrivals import LOOK_AGAIN, Arrivals

SETTLE, PATIENCE = 2.0, 60.0


class Line:
    """A folder that a line writes into, and what its watcher finds complete after a while."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.time = 0.0
        self.arrivals = Arrivals(root, SETTLE, PATIENCE, lambda: self.time)

    def after(self, seconds: float) -> list[tuple[str, str]]:
        """Paths and reasons of what is complete, which is taken."""
        self.time += seconds
        found = list(self.arrivals.complete())
        for one in found:
            self.arrivals.known[one.path] = one.stamp
        return [(one.path, one.reason) for one in found]


@pytest.fixture
def line(tmp_path: Path) -> Line:
    (tmp_path / "in").mkdir()
    return Line(tmp_path / "in")


@pytest.fixture
def png(tmp_path: Path) -> bytes:
    write_strip(tmp_path / "one.png", strip(300, bright=[9]))
    return (tmp_path / "one.png").read_bytes()


def test_a_file_is_complete_once_it_has_been_still(line: Line) -> None:
    write_strip(line.root / "coil 7" / "a.png", strip(256))
    assert line.after(0) == []
    assert line.after(1.9) == []
    assert line.arrivals.waiting == 1
    assert line.after(0.1) == [("coil 7/a.png", "")]
    assert line.after(100) == []
    assert line.arrivals.waiting == 0


def test_a_file_written_in_pieces_is_whole_or_nothing(line: Line, png: bytes) -> None:
    half = len(png) // 2
    (line.root / "a.png").write_bytes(png[:half])
    assert line.after(0) == []
    assert line.after(SETTLE) == []  # still, but it does not decode
    with (line.root / "a.png").open("ab") as stream:
        stream.write(png[half:])
    assert line.after(PATIENCE) == []  # it changed: patience begins anew
    assert line.after(SETTLE) == [("a.png", "")]


def test_a_file_that_never_becomes_whole_is_given_up(line: Line, png: bytes) -> None:
    (line.root / "a.png").write_bytes(png[:-20])
    (line.root / "void.jpg").write_bytes(b"")
    found = [line.after(SETTLE / 2) for _ in range(int(PATIENCE))]
    assert found == [[]] * int(PATIENCE)
    ((a, cut), (void, empty)) = sorted(line.after(SETTLE / 2))
    assert (a, void) == ("a.png", "void.jpg")
    assert cut
    assert empty


def test_a_file_renamed_into_place_is_taken_and_its_first_name_never(line: Line) -> None:
    write_strip(line.root / "ready.png", strip(256))
    (line.root / "ready.png").rename(line.root / "a.png.part")
    assert line.after(0) == line.after(100) == []
    (line.root / "a.png.part").rename(line.root / "a.png")
    assert line.after(1) == []
    assert line.after(SETTLE) == [("a.png", "")]


def test_what_is_no_strip_is_passed_over(line: Line, tmp_path: Path) -> None:
    for name in (".a.png", "a.png.tmp", "a.part", ".hidden/b.png"):
        write_strip(tmp_path / "x.png", strip(256))
        (line.root / name).parent.mkdir(exist_ok=True)
        (tmp_path / "x.png").rename(line.root / name)
    (line.root / "note.txt").write_text("x")
    write_strip(tmp_path / "outside" / "c.png", strip(256))
    (line.root / "link.png").symlink_to(tmp_path / "outside" / "c.png")
    (line.root / "linked").symlink_to(tmp_path / "outside")
    os.mkfifo(line.root / "pipe.png")
    assert line.after(0) == line.after(SETTLE) == line.after(PATIENCE) == []


def test_a_file_replaced_while_it_is_read_is_read_again(
    line: Line, png: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (line.root / "a.png").write_bytes(png)
    line.after(0)
    looks = module.looks_like_image

    def replaced_now(path: Path) -> bool:
        write_strip(line.root / "a.png", strip(400))
        monkeypatch.setattr(module, "looks_like_image", looks)
        return looks(path)

    monkeypatch.setattr(module, "looks_like_image", replaced_now)
    assert line.after(SETTLE) == []
    assert line.after(0) == []
    assert line.after(SETTLE) == [("a.png", "")]
    assert line.arrivals.known["a.png"].size == (line.root / "a.png").stat().st_size != len(png)


def test_a_file_changed_later_is_found_again(line: Line) -> None:
    write_strip(line.root / "a.png", strip(256))
    line.after(0)
    assert line.after(SETTLE) == [("a.png", "")]
    write_strip(line.root / "a.png", strip(400))
    assert line.after(LOOK_AGAIN) == []
    assert line.after(SETTLE) == [("a.png", "")]


def test_oldest_first(line: Line) -> None:
    for age, name in enumerate(["a", "c", "b"]):
        write_strip(line.root / f"{name}.png", strip(256))
        os.utime(line.root / f"{name}.png", (1000 - age, 1000 - age))
    line.after(0)
    assert [path for path, _ in line.after(SETTLE)] == ["b.png", "c.png", "a.png"]


def test_a_folder_that_is_lost_is_an_error_until_it_is_back(line: Line, tmp_path: Path) -> None:
    write_strip(line.root / "a.png", strip(256))
    line.root.rename(tmp_path / "away")
    assert line.after(0) == []
    assert isinstance(line.arrivals.error, FileNotFoundError)
    (tmp_path / "away").rename(line.root)
    assert line.after(0) == []
    assert line.arrivals.error is None
    assert line.after(SETTLE) == [("a.png", "")]
