"""A run is killed at each file that it writes: the same command ends with the same report."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from breaking import (
    STRIPS,
    assert_whole,
    at_write,
    contents,
    in_process,
    interrupt,
    kill,
    kill_half_written,
    rows,
    stop_clock,
    write_batch,
)

from inspection.pipeline.run import Finished

Inspect = Callable[..., Finished]


@pytest.fixture
def batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    stop_clock(monkeypatch)
    return write_batch(tmp_path / "партия 7")


def unbroken(batch: Path, inspect_toy: Inspect) -> tuple[dict[str, str], list[str]]:
    """What a report holds that nothing broke, and the files that it wrote, in order."""
    out = batch.parent / "unbroken"
    with at_write(0, kill) as written:
        inspect_toy(batch, out)
    assert rows(out)[1]["strip_id"].tolist() == STRIPS
    return contents(out), written


def break_at(
    places: list[int],
    batch: Path,
    inspect_toy: Inspect,
    expected: dict[str, str],
    act: Callable[[Path, Path], None],
    code: int,
    after: bool = False,
) -> None:
    for place in places:
        out = batch.parent / f"out-{place}"
        with at_write(place, act, after):
            assert in_process(lambda out=out: inspect_toy(batch, out)) == code, place  # type: ignore[misc]
        inspect_toy(batch, out)
        assert_whole(out, expected, batch)


WAYS = {
    "before a file has its name": (kill, False, -signal.SIGKILL),
    "when a file has its name": (kill, True, -signal.SIGKILL),
    "when a file is half written": (kill_half_written, False, -signal.SIGKILL),
    "by ctrl-c": (interrupt, False, 130),
}


@pytest.mark.parametrize("way", ["when a file is half written", "by ctrl-c"])
def test_killed_in_the_middle(way: str, batch: Path, inspect_toy: Inspect) -> None:
    act, after, code = WAYS[way]
    expected, written = unbroken(batch, inspect_toy)
    break_at([len(written) // 2], batch, inspect_toy, expected, act, code, after)


def test_killed_at_the_list_of_sums(batch: Path, inspect_toy: Inspect) -> None:
    """What is left of the list is not listed in the next one."""
    expected, written = unbroken(batch, inspect_toy)
    assert written[-1] == "SHA256SUMS"
    break_at([len(written)], batch, inspect_toy, expected, kill_half_written, -signal.SIGKILL)


@pytest.mark.slow(minutes=2)
@pytest.mark.parametrize("way", WAYS)
def test_killed_at_every_file(way: str, batch: Path, inspect_toy: Inspect) -> None:
    act, after, code = WAYS[way]
    expected, written = unbroken(batch, inspect_toy)
    assert {"index.html", "results.parquet", "strips.parquet", "batch.json", "SHA256SUMS"} <= set(
        written
    )
    # Whoever is killed after the last file has finished.
    places = list(range(1, len(written) + 1 - after))
    break_at(places, batch, inspect_toy, expected, act, code, after)


@pytest.mark.slow
def test_killed_again_and_again_in_one_folder(batch: Path, inspect_toy: Inspect) -> None:
    """Each run is killed seven files later than the one before; the last one ends."""
    expected, written = unbroken(batch, inspect_toy)
    out, codes = batch.parent / "out", list[int]()
    while not codes or codes[-1]:
        assert len(codes) <= len(written) // 7 + 1
        with at_write(1 + 7 * len(codes), kill, after=True):
            codes.append(in_process(lambda: inspect_toy(batch, out)))
    assert len(codes) > 3
    assert set(codes[:-1]) == {-signal.SIGKILL}
    assert_whole(out, expected, batch)


@pytest.mark.slow
def test_a_new_report_killed_in_the_place_of_an_old_one_is_not_taken_for_it(
    batch: Path, inspect_toy: Inspect
) -> None:
    expected, _ = unbroken(batch, lambda *args: inspect_toy(*args, explain="all"))
    inspect_toy(batch, batch.parent / "renewed")
    with at_write(0, kill) as renewed:  # pictures that stay are not among these
        inspect_toy(batch, batch.parent / "renewed", explain="all")
    for place in (2, 5, 9, len(renewed) // 2):  # the first file says whose the folder is
        out = batch.parent / f"out-{place}"
        inspect_toy(batch, out)
        with at_write(place, kill):
            again = in_process(lambda out=out: inspect_toy(batch, out, explain="all"))  # type: ignore[misc]
        assert again == -signal.SIGKILL
        assert not (out / "batch.json").exists(), "it would say that the report is whole"
        assert not (out / "index.html").exists(), "it would show pictures of both"
        inspect_toy(batch, out, explain="all")
        assert_whole(out, expected, batch)
