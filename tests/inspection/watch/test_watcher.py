"""Batches of a line: by day, by number, through restarts, and when things are refused."""

import errno
import json
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from lines import NOON, SETTLE, Line, MakeLine, assert_same_tables, tables, use_toys
from toys import strip, write_strip

from inspection.errors import WatchError
from inspection.pipeline.run import Finished
from inspection.store.verify import DIFFERENT, Request, verify
from inspection.watch import watcher as module
from inspection.watch.arrivals import LOOK_AGAIN
from inspection.watch.journal import BatchName, Journal
from inspection.watch.watcher import Options, check, holding, zone
from severstal_prep.errors import InUseError
from severstal_prep.images import read_image

Inspect = Callable[..., Finished]
DAY = timedelta(days=1)


def ids(report: Path) -> list[str]:
    return tables(report)[1]["strip_id"].tolist()


def stop(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the watcher, and interrupt it as soon as it has nothing to do."""

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(line.clock, "wait", interrupt)
    with pytest.raises(KeyboardInterrupt):
        line.watcher.run()
    monkeypatch.undo()
    use_toys(monkeypatch)
    monkeypatch.setattr("inspection.report.build.draw", lambda *_: ())


def test_the_report_of_a_day_is_that_of_one_run_on_its_strips(
    line: Line, tmp_path: Path, inspect_toy: Inspect
) -> None:
    line.write("coil 7/a.png", 40)
    line.write("coil 7/b.png")
    line.go()
    line.write("c.png", 100, 200, width=1600)
    (line.root / "void.jpg").write_bytes(b"")
    line.go(70)
    assert not (line.out / "2026-11-27" / "batch.json").exists()
    line.go(60 * line.options.report_every)
    inspect_toy(line.root, tmp_path / "run")
    report = line.out / "2026-11-27"
    assert_same_tables(report, tmp_path / "run")
    assert (report / "index.html").is_file()
    assert verify(Request(report)).having(*DIFFERENT) == ()
    assert [one.judged.strip.strip_id for one in line.heard] == [
        "coil 7/a.png", "coil 7/b.png", "c.png", "void.jpg",
    ]  # fmt: skip
    assert [sum(one.judged.flagged.values()) for one in line.heard] == [
        int(tables(report)[1].set_index("strip_id").loc[one.judged.strip.strip_id, "flagged"])
        for one in line.heard
    ]
    made = (report / "batch.json").stat().st_mtime_ns
    line.go(60 * line.options.report_every)
    assert (report / "batch.json").stat().st_mtime_ns == made  # nothing new: not made again


def test_a_batch_is_over_after_so_many_strips(make_line: MakeLine) -> None:
    line = make_line(strips=2)
    for name in "abcde":
        line.write(f"{name}.png", 40)
        line.go()
    assert ids(line.out / "2026-11-27") == ["a.png", "b.png"]
    assert ids(line.out / "2026-11-27-2") == ["c.png", "d.png"]
    assert not (line.out / "2026-11-27-3" / "batch.json").exists()
    assert [one.batch.number for one in line.heard] == [1, 1, 2, 2, 3]


def test_the_report_is_rolled_over_at_midnight(line: Line) -> None:
    line.write("a.png", 40)
    line.clock.time = NOON.replace(hour=23, minute=59, second=50)
    line.go(3)
    assert not (line.out / "2026-11-27" / "batch.json").exists()
    line.go(10)
    assert ids(line.out / "2026-11-27") == ["a.png"]  # though no strip came after midnight
    line.write("b.png")
    line.go()
    assert [str(one.batch) for one in line.heard] == ["2026-11-27", "2026-11-28"]


def test_a_clock_set_back_moves_nothing_into_an_earlier_batch(line: Line) -> None:
    line.write("a.png")
    line.go()
    line.clock.time -= 2 * DAY
    line.write("b.png")
    line.go()
    line.start()
    line.write("c.png")
    line.go()
    line.clock.time += 3 * DAY
    line.go()
    assert ids(line.out / "2026-11-27") == ["a.png", "b.png", "c.png"]
    assert sorted(path.name for path in line.out.glob("2026*")) == ["2026-11-27"]


def test_a_strip_changed_later_is_a_new_strip(
    line: Line, capsys: pytest.CaptureFixture[str]
) -> None:
    line.write("coil/a.png", 40)
    line.go()
    line.write("coil/a.png", 200)
    line.go(LOOK_AGAIN + SETTLE)
    line.clock.time += DAY
    line.go()
    told = "coil/a.png: changed since it was inspected; it is a new strip, as coil/a@2.png"
    assert told in capsys.readouterr().err.splitlines()
    report = line.out / "2026-11-27"
    assert ids(report) == ["coil/a.png", "coil/a@2.png"]
    for name, left in (("a.png", 40), ("a@2.png", 200)):
        kept = read_image(line.out / "strips" / "2026-11-27" / "coil" / name)
        assert (kept == strip(300, bright=[left])).all()
    line.write("coil/a.png", 9)
    line.go(LOOK_AGAIN + SETTLE)  # in another batch the name is free
    assert "coil/a.png" in "".join(line.journal("2026-11-28"))
    assert "a@" not in "".join(line.journal("2026-11-28"))


def test_a_strip_written_again_as_it_was_is_the_same_strip(line: Line) -> None:
    line.write("a.png", 40)
    line.go()
    os.utime(line.root / "a.png", (1, 1))
    line.go(2 * LOOK_AGAIN)
    assert len(line.heard) == 1


def test_two_strips_of_one_content_are_two(line: Line, tmp_path: Path) -> None:
    line.write("a.png", 40)
    line.write("b.png", 40)
    line.go()
    line.clock.time += DAY
    line.go()
    rows = tables(line.out / "2026-11-27")[1]
    assert rows["strip_id"].tolist() == ["a.png", "b.png"]
    assert rows["strip_sha256"].nunique() == 1
    assert rows["flagged"].tolist() == [2, 2]


def test_strips_that_leave_the_folder_stay_in_the_report(line: Line) -> None:
    line.write("a.png", 40)
    line.go()
    (line.root / "a.png").unlink()
    line.clock.time += DAY
    line.go()
    report = line.out / "2026-11-27"
    assert ids(report) == ["a.png"]
    assert verify(Request(report)).having(*DIFFERENT) == ()


def test_the_report_is_made_when_it_is_stopped_and_goes_on_after(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    line.write("a.png", 40)
    line.go()
    stop(line, monkeypatch)
    assert ids(line.out / "2026-11-27") == ["a.png"]
    check(line.options)
    with pytest.raises(WatchError, match=f"holds what came from {line.root}"):
        check(replace(line.options, folder=other))
    line.write("b.png")
    line.start()
    line.go()
    assert [one.judged.strip.strip_id for one in line.heard] == ["a.png", "b.png"]
    line.clock.time += DAY
    line.go()
    assert ids(line.out / "2026-11-27") == ["a.png", "b.png"]


def test_a_signal_after_the_journals_lines_takes_none_of_them_back(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    appended = Journal._append

    def interrupted(journal: Journal, entries: list[dict[str, str]]) -> None:
        end = journal._end
        appended(journal, entries)
        if entries[0].get("event") == "inspected":
            journal._end = end  # the signal came before the next statement
            raise KeyboardInterrupt

    line.write("a.png", 40)
    monkeypatch.setattr(Journal, "_append", interrupted)
    with holding(line.options), pytest.raises(KeyboardInterrupt):
        line.watcher.run()
    events = [json.loads(text).get("event") for text in line.journal("2026-11-27")]
    assert events == [None, "taken", "inspected", "reported"]
    assert ids(line.out / "2026-11-27") == ["a.png"]


def test_a_renewed_report_draws_what_is_not_there_and_nothing_else(
    line: Line, tmp_path: Path, inspect_toy: Inspect
) -> None:
    line.write("a.png", 40, 200)
    line.write("b.png", 60)
    line.go()
    report = line.out / "2026-11-27"
    drawn = {path: path.stat().st_mtime_ns for path in (report / "img").iterdir()}
    assert len(drawn) > 10
    lost = next(path for path in drawn if path.name.endswith("_overlay.jpg"))
    lost.unlink()
    line.clock.time += DAY
    line.go()
    assert {path: path.stat().st_mtime_ns for path in (report / "img").iterdir()}.keys() == (
        drawn.keys()
    )
    written = [path for path in drawn if path.stat().st_mtime_ns != drawn[path]]
    assert written == [lost]
    inspect_toy(line.root, tmp_path / "run")
    for path in drawn:
        assert path.read_bytes() == (tmp_path / "run" / "img" / path.name).read_bytes()


def test_other_settings_begin_another_batch(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    line.write("a.png", 40)
    line.go()
    stop(line, monkeypatch)
    use_toys(monkeypatch, "cd" * 32)
    line.start()
    line.write("b.png")
    line.go()
    assert [str(one.batch) for one in line.heard] == ["2026-11-27", "2026-11-27-2"]


class Killed(BaseException):
    """What kill -9 is to a test: nothing runs after it."""


def strike(
    monkeypatch: pytest.MonkeyPatch, target: object, name: str, at: int, before: bool
) -> None:
    """Kill at the call number `at` of a function, before or after it does its work."""
    works, calls = getattr(target, name), Counter[str]()

    def wrapped(*arguments: object, **options: object) -> object:
        calls[name] += 1
        if calls[name] == at and before:
            raise Killed
        given = works(*arguments, **options)
        if calls[name] == at:
            raise Killed
        return given

    monkeypatch.setattr(target, name, wrapped)


@pytest.fixture
def whole(tmp_path: Path, inspect_toy: Inspect) -> Path:
    """The report of one run on five strips, which lie in `tmp_path / "in"`."""
    (tmp_path / "in").mkdir()
    for number in range(5):
        pixels = strip(256, bright=[30 * number] * (number % 2))
        write_strip(tmp_path / "in" / f"{number}.png", pixels)
    return inspect_toy(tmp_path / "in", tmp_path / "whole").folder.root


KILLS = [("journal", 3), ("journal", 7), ("copy", 2), ("judge", 1), ("judge", 2), ("alert", 5)]


@pytest.mark.parametrize(
    ("place", "at", "before"),
    [("journal", 7, False), ("copy", 2, True)]
    + [
        pytest.param(place, at, before, marks=pytest.mark.slow)
        for before in (True, False)
        for place, at in KILLS
    ],
)
def test_killed_anywhere_no_strip_is_lost_or_inspected_twice(
    place: str, at: int, before: bool, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = whole.parent / "killed"
    where.mkdir()
    (where / "in").symlink_to(whole.parent / "in")
    use_toys(monkeypatch)
    line = Line(where)
    targets = {
        "journal": (Journal, "_append"),
        "copy": (module, "_write"),
        "judge": (line.watcher.inspector, "judge"),
        "alert": (line.watcher, "alert"),
    }
    with monkeypatch.context() as patch:
        strike(patch, *targets[place], at, before)
        with pytest.raises(Killed):
            line.go()
    line.start()
    line.go()
    line.clock.time += DAY
    line.go()
    assert_same_tables(line.out / "2026-11-27", whole)
    entries = [json.loads(text) for text in line.journal("2026-11-27")]
    events = Counter((one.get("event"), one.get("copy")) for one in entries)
    for number in range(5):
        assert events["taken", f"{number}.png"] == events["inspected", f"{number}.png"] == 1


def test_a_torn_last_line_is_left_out(line: Line) -> None:
    line.write("a.png", 40)
    line.go()
    path = line.out / "journal" / "2026-11-27.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"event": "taken", "pa')
    line.start()
    line.write("b.png")
    line.go()
    lines = path.read_bytes()
    assert lines.startswith(whole)
    assert all(json.loads(text) for text in lines.splitlines())
    assert [one.judged.strip.strip_id for one in line.heard] == ["a.png", "b.png"]


def test_a_damaged_journal_is_named_with_its_line(line: Line) -> None:
    line.write("a.png", 40)
    line.go()
    path = line.out / "journal" / "2026-11-27.jsonl"
    for wrong in (b"[]\n", b'{"event": "other"}\n', b"\xff\n", b'{"event": "taken"}\n'):
        whole = path.read_bytes()
        path.write_bytes(whole + wrong)
        with pytest.raises(WatchError, match=r"2026-11-27.jsonl, line 4: damaged"):
            line.start()
        path.write_bytes(whole)


def test_a_full_disk_is_said_and_nothing_is_dropped(
    line: Line, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "x.png")

    line.write("a.png", 40)
    line.write("b.png")
    with monkeypatch.context() as patch:
        patch.setattr(module, "_write", full)
        line.go(20)
        assert "inspection" in line.watcher.troubles
    assert line.heard == []
    line.go(70)
    assert line.watcher.troubles == {}
    assert sorted(one.judged.strip.strip_id for one in line.heard) == ["a.png", "b.png"]
    assert [one.judged.status for one in line.heard] == ["inspected", "inspected"]
    told = capsys.readouterr().err.splitlines()
    refused = "inspection: x.png: no space is left there; free some, or name another place"
    assert told.count(f"{refused}; it is tried again") == 1
    assert told.count("inspection: goes on") == 1


def test_a_lost_share_is_said_and_strips_taken_are_inspected(
    line: Line, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line.write("a.png", 40)
    line.go()
    line.root.rename(tmp_path / "away")
    line.go(10)
    assert set(line.watcher.troubles) == {"folder"}
    (tmp_path / "away").rename(line.root)
    line.write("b.png")
    line.go(70)
    assert line.watcher.troubles == {}
    assert [one.judged.strip.strip_id for one in line.heard] == ["a.png", "b.png"]


def test_an_error_of_ours_is_raised(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*_: object) -> None:
        raise KeyError("ours")

    monkeypatch.setattr(line.watcher.inspector, "judge", wrong)
    line.write("a.png")
    with pytest.raises(KeyError):
        line.go()


def test_names_of_batches() -> None:
    for text in ("2026-11-27", "2026-11-27-2", "2026-11-27-10"):
        assert str(BatchName.parse(text)) == text
    for text in ("2026-11-27-1", "2026-13-01", "2026-11-27-02", "x"):
        with pytest.raises(ValueError, match=r"is|month"):
            BatchName.parse(text)
    names = ["2026-11-27-10", "2026-11-28", "2026-11-27", "2026-11-27-9"]
    in_order = [str(one) for one in sorted(map(BatchName.parse, names))]
    assert in_order == ["2026-11-27", "2026-11-27-9", "2026-11-27-10", "2026-11-28"]


def test_a_second_watcher_is_refused_and_the_first_leaves_no_lock(line: Line) -> None:
    with (
        holding(line.options),
        pytest.raises(InUseError, match=rf"process {os.getpid()} .* writes here"),
        holding(line.options),
    ):
        pass
    with holding(line.options):
        pass


def test_folders_that_cannot_be_are_refused(tmp_path: Path) -> None:
    (tmp_path / "in" / "coil").mkdir(parents=True)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("x")
    (tmp_path / "marked").mkdir()
    (tmp_path / "marked" / "watch.json").write_text("{}")
    folder = tmp_path / "in"
    for options, words in (
        (Options(tmp_path / "no", tmp_path / "out"), "no such folder"),
        (Options(folder, folder / "coil"), "lies in the folder that is watched"),
        (Options(folder, tmp_path), "or around it"),
        (Options(folder, tmp_path / "full"), "not empty, and no watcher's"),
        (Options(folder, tmp_path / "full" / "x"), "a file; --out takes a folder"),
        (Options(folder, tmp_path / "marked"), "damaged"),
        (Options(folder, tmp_path / "out", settle=-1.0), "--settle"),
        (Options(folder, tmp_path / "out", report_every=float("nan")), "--report-every"),
    ):
        with pytest.raises(WatchError, match=words) as told:
            check(options)
        assert "\n" not in str(told.value)
    assert not (tmp_path / "out").exists()
    with holding(Options(folder, tmp_path / "out")):
        pass
    assert not (tmp_path / "out").exists()  # nothing was watched
    with pytest.raises(WatchError, match="--timezone 'Mars'"):
        zone("Mars")
    assert str(zone("Europe/Vienna")) == "Europe/Vienna"
