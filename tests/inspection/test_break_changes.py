"""What changes between two runs, or during one: the clock, the bundle, the batch's place."""

import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
from breaking import (
    assert_whole,
    at_write,
    contents,
    in_process,
    kill,
    rows,
    stop_clock,
    write_batch,
)
from toys import FakeExplainer

from inspection.pipeline.run import Finished
from inspection.store.verify import Request, verify

Inspect = Callable[..., Finished]


@pytest.fixture
def batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    stop_clock(monkeypatch)
    return write_batch(tmp_path / "партия 7")


def unbroken(batch: Path, inspect_toy: Inspect, **settings: object) -> dict[str, str]:
    out = batch.parent / "unbroken"
    inspect_toy(batch, out, **settings)
    return contents(out)


def going_back() -> Iterator[str]:
    """Times of which each is an hour before the last."""
    for hour in range(23, -1, -1):
        yield f"2026-11-27T{hour:02}:00:00+00:00"
    yield from ["2026-11-26T00:00:00+00:00"] * 1000


def test_a_clock_set_back_between_runs_and_in_one(
    batch: Path, inspect_toy: Inspect, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = unbroken(batch, inspect_toy)
    patches, strips = rows(batch.parent / "unbroken")
    out, times = batch.parent / "out", going_back()
    monkeypatch.undo()  # the clock that stands
    stop_clock(monkeypatch, "2026-11-27T12:00:00+00:00")
    with at_write(len(expected) // 2, kill, after=True):
        assert in_process(lambda: inspect_toy(batch, out)) == -9
    for name, module in list(sys.modules.items()):
        if name.startswith("inspection.") and hasattr(module, "utc_now"):
            monkeypatch.setattr(module, "utc_now", lambda: next(times))
    record = inspect_toy(batch, out).record
    assert datetime.fromisoformat(record["ended"]) < datetime.fromisoformat(record["started"])
    found = rows(out)
    assert found[0].equals(patches)
    assert found[1].equals(strips)
    same = {name for name in expected if name.startswith("img/") or name.endswith(".csv")}
    assert {name: contents(out)[name] for name in same} == {name: expected[name] for name in same}
    assert not verify(Request(out, batch=batch)).having("changed", "missing", "new")
    assert inspect_toy(batch, out).up_to_date


def test_a_bundle_changed_between_a_killed_run_and_the_next(
    batch: Path, inspect_toy: Inspect
) -> None:
    """Nothing that the first one gave is in the report of the other."""
    expected = unbroken(batch, inspect_toy, model="cd" * 32)
    out = batch.parent / "out"
    for writes in (8, 20):
        with at_write(writes, kill, after=True):
            assert in_process(lambda: inspect_toy(batch, out, model="ab" * 32)) == -9
    explainer = FakeExplainer()
    inspect_toy(batch, out, model="cd" * 32, explainer=explainer)
    assert explainer.targets, "explained anew"
    assert_whole(out, expected, batch)


def test_a_finished_report_is_made_anew_by_another_bundle_and_again_by_the_first(
    batch: Path, inspect_toy: Inspect
) -> None:
    expected = unbroken(batch, inspect_toy, model="ab" * 32)
    out = batch.parent / "out"
    for model in ("ab" * 32, "cd" * 32):
        assert not inspect_toy(batch, out, model=model).up_to_date
    explainer = FakeExplainer()
    inspect_toy(batch, out, model="ab" * 32, explainer=explainer)
    assert explainer.targets == [], "kept from the first run"
    assert_whole(out, expected, batch)


def test_a_batch_moved_after_a_kill_goes_on(batch: Path, inspect_toy: Inspect) -> None:
    expected = unbroken(batch, inspect_toy)
    out = batch.parent / "out"
    with at_write(len(expected) // 2, kill, after=True):
        assert in_process(lambda: inspect_toy(batch, out)) == -9
    (batch.parent / "there").mkdir()
    moved = batch.rename(batch.parent / "there" / batch.name)
    inspect_toy(moved, out)
    patches, strips = rows(out)
    first = rows(batch.parent / "unbroken")
    assert patches.equals(first[0])
    assert strips.equals(first[1])
    assert not verify(Request(out, batch=moved)).having("changed", "missing", "new")
