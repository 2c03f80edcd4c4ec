"""Files that are damaged, vanish, grow or are replaced: told, and made anew where they are ours."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from breaking import (
    UNREADABLE,
    assert_whole,
    at_write,
    contents,
    damaged,
    in_process,
    kill,
    rows,
    stop_clock,
    write_batch,
)
from toys import FakeExplainer, strip, write_strip

from inspection.errors import InspectionError
from inspection.pipeline import strips as strips_module
from inspection.pipeline.run import Finished
from inspection.store.verify import Request, verify

Inspect = Callable[..., Finished]
HOW = ("noise", *(pytest.param(how, marks=pytest.mark.slow) for how in ("half", "empty")))


@pytest.fixture
def batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    stop_clock(monkeypatch)
    return write_batch(tmp_path / "партия 7")


@pytest.fixture
def expected(batch: Path, inspect_toy: Inspect) -> dict[str, str]:
    out = batch.parent / "unbroken"
    inspect_toy(batch, out)
    return contents(out)


def begun(batch: Path, out: Path, inspect_toy: Inspect, writes: int) -> None:
    """A run that was killed after so many files."""
    with at_write(writes, kill, after=True):
        assert in_process(lambda: inspect_toy(batch, out)) == -9


# --- strips ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", HOW)
def test_a_damaged_strip_is_in_the_report_and_the_others_are_as_without_it(
    how: str, batch: Path, inspect_toy: Inspect
) -> None:
    out, file = batch.parent / "out", batch / "b.png"
    inspect_toy(batch, batch.parent / "unbroken")
    whole = file.read_bytes()
    file.write_bytes(damaged(whole, how))
    assert inspect_toy(batch, out).record["exit_status"] == 4
    patches, strips = rows(out)
    assert strips.set_index("strip_id")["status"].to_dict() == {
        "a.png": "inspected", "b.png": "unreadable", "coil/a.png": "inspected",
        "plain.png": "inspected", UNREADABLE: "unreadable",
    }  # fmt: skip
    unbroken = rows(batch.parent / "unbroken")[0]
    others = unbroken[unbroken["strip_id"] != "b.png"].reset_index(drop=True)
    ranks = [name for name in others.columns if name.endswith("_percentile")]
    assert patches.drop(columns=ranks).equals(others.drop(columns=ranks))
    file.write_bytes(whole)  # copied again
    inspect_toy(batch, out)
    assert contents(out) == contents(batch.parent / "unbroken")


WHAT = (
    "vanishes",
    "is replaced",
    *(pytest.param(what, marks=pytest.mark.slow) for what in ("grows", "becomes a folder")),
)


def changing(
    monkeypatch: pytest.MonkeyPatch, name: str, change: Callable[[Path], None], time: int = 1
) -> None:
    """Let `change` happen to the strip of that name, after it was listed, before it is read: for
    its classes the first time, for its maps the second."""
    read = strips_module.read_bytes

    def changed(path: Path) -> bytes:
        if path.name == name:
            times.append(path)
            if len(times) == time:
                change(path)
        return read(path)

    times: list[Path] = []
    monkeypatch.setattr(strips_module, "read_bytes", changed)


CHANGES: dict[str, Callable[[Path], object]] = {
    "vanishes": lambda path: path.unlink(),
    "grows": lambda path: path.write_bytes(path.read_bytes() + bytes(100)),
    "is replaced": lambda path: write_strip(path, strip(512, bright=[200])),
    "becomes a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("what", WHAT)
def test_a_strip_that_changes_after_it_was_listed_is_told_and_not_judged_by_halves(
    what: str, batch: Path, inspect_toy: Inspect, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = batch.parent / "out"
    whole = (batch / "b.png").read_bytes()
    with monkeypatch.context() as patch:
        changing(patch, "b.png", lambda path: void(CHANGES[what](path)))
        inspect_toy(batch, out)
    strips = rows(out)[1].set_index("strip_id")
    assert strips.loc["b.png", "status"] == "unreadable"
    assert strips.loc["b.png", "reason"] in (
        "there is no such file, though it was listed; run again once it is written",
        "a folder, not an image, though it was listed; run again once it is written",
        "the file changed during the inspection; run again once it is written",
    )
    assert (strips.drop(["b.png", UNREADABLE])["status"] == "inspected").all()
    if (batch / "b.png").is_dir():
        (batch / "b.png").rmdir()
    (batch / "b.png").write_bytes(whole)
    inspect_toy(batch, batch.parent / "unbroken")
    inspect_toy(batch, out)
    assert_whole(out, contents(batch.parent / "unbroken"), batch)


@pytest.mark.parametrize("what", ["vanishes", "is replaced"])
def test_a_strip_that_changes_between_its_classes_and_its_maps_is_not_judged_by_halves(
    what: str, batch: Path, inspect_toy: Inspect, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = batch.parent / "out"
    whole = (batch / "b.png").read_bytes()
    with monkeypatch.context() as patch:
        changing(patch, "b.png", lambda path: void(CHANGES[what](path)), time=2)
        finished = inspect_toy(batch, out)
    patches, strips = rows(out)
    lost = strips.set_index("strip_id").loc["b.png"]
    assert lost[["status", "patches", "flagged", "disposition", "raw_path"]].tolist() == [
        "unreadable", 0, 0, "hold", "",
    ]  # fmt: skip
    assert lost["reason"].endswith("; run again once it is written")
    assert "b.png" not in set(patches["strip_id"])
    assert (finished.record["exit_status"], finished.record["counts"]["unreadable"]) == (4, 2)
    (batch / "b.png").write_bytes(whole)
    inspect_toy(batch, batch.parent / "unbroken")
    inspect_toy(batch, out)
    assert_whole(out, contents(batch.parent / "unbroken"), batch)


def void(_: object) -> None:
    pass


@pytest.mark.parametrize("what", WHAT)
def test_a_strip_that_changes_between_its_classes_and_its_maps(
    what: str, batch: Path, expected: dict[str, str], inspect_toy: Inspect
) -> None:
    """It is shown as it was listed, or not; never maps of one strip and pixels of another."""
    out, file = batch.parent / "out", batch / "b.png"
    whole = file.read_bytes()

    class Meanwhile(FakeExplainer):
        def __call__(self, *args: object, **named: object):  # type: ignore[no-untyped-def]
            if not self.targets:
                CHANGES[what](file)
            return super().__call__(*args, **named)

    inspect_toy(batch, out, explainer=Meanwhile())
    patches, strips = (table.set_index("strip_id") for table in rows(out))
    unbroken = rows(batch.parent / "unbroken")[1].set_index("strip_id")
    listed = ("inspected", unbroken.loc["b.png", "strip_sha256"])
    shown = "b.png" in patches.index
    assert tuple(strips.loc["b.png", ["status", "strip_sha256"]]) == (
        listed if shown else ("unreadable", "")
    )
    if file.is_dir():
        file.rmdir()
    file.write_bytes(whole)
    inspect_toy(batch, out)
    assert_whole(out, expected, batch)


# --- work in progress -----------------------------------------------------------------------------


@pytest.mark.parametrize("how", HOW)
def test_damaged_shards_are_made_anew(
    how: str, batch: Path, expected: dict[str, str], inspect_toy: Inspect
) -> None:
    out = batch.parent / "out"
    inspect_toy(batch, out)
    shards = sorted((out / "work").rglob("*.parquet"))
    assert len(shards) > 2
    for shard in shards:
        shard.write_bytes(damaged(shard.read_bytes(), how))
    (out / "batch.json").unlink()  # as of a run that was killed
    inspect_toy(batch, out)
    assert_whole(out, expected, batch)


def test_shards_lost_one_by_one_cost_what_was_in_them(
    batch: Path, expected: dict[str, str], inspect_toy: Inspect
) -> None:
    out = batch.parent / "out"
    inspect_toy(batch, out)
    for number, shard in enumerate(sorted((out / "work").rglob("*.parquet"))):
        shard.unlink() if number % 2 else shard.write_bytes(shard.read_bytes()[:40])
    (out / "batch.json").unlink()
    inspect_toy(batch, out)
    assert_whole(out, expected, batch)


@pytest.mark.parametrize("how", ["half", "empty"])
def test_a_run_that_goes_on_draws_pictures_again_that_are_cut_off(
    how: str, batch: Path, expected: dict[str, str], inspect_toy: Inspect
) -> None:
    out = batch.parent / "out"
    inspect_toy(batch, out)
    (out / "batch.json").unlink()
    for picture in sorted((out / "img").iterdir()):
        picture.write_bytes(damaged(picture.read_bytes(), how))
    inspect_toy(batch, out)
    assert_whole(out, expected, batch)


# --- a finished report ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["results.parquet", "strips.parquet", "index.html", "flagged.csv"])
def test_damage_to_a_finished_report_is_found_and_mended_by_the_same_command(
    name: str, batch: Path, expected: dict[str, str], inspect_toy: Inspect
) -> None:
    out = batch.parent / "out"
    inspect_toy(batch, out)
    (out / name).write_bytes(damaged((out / name).read_bytes(), "noise"))
    found = verify(Request(out, batch=batch))
    assert [one.name for one in found.having("changed")] == [name]
    (out / "batch.json").unlink()
    inspect_toy(batch, out)
    assert_whole(out, expected, batch)


def test_a_lost_picture_of_a_finished_report_is_found(batch: Path, inspect_toy: Inspect) -> None:
    out = batch.parent / "out"
    inspect_toy(batch, out)
    picture = next((out / "img").iterdir())
    picture.unlink()
    assert [one.name for one in verify(Request(out, batch=batch)).having("missing")] == [
        f"img/{picture.name}"
    ]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("name", ["batch.json", "SHA256SUMS"])
def test_a_report_without_a_whole_record_is_made_again(
    name: str, how: str, batch: Path, expected: dict[str, str], inspect_toy: Inspect
) -> None:
    out = batch.parent / "out"
    inspect_toy(batch, out)
    (out / name).write_bytes(damaged((out / name).read_bytes(), how))
    if name == "SHA256SUMS":
        (out / "batch.json").unlink()
    assert not inspect_toy(batch, out).up_to_date
    assert_whole(out, expected, batch)


@pytest.mark.parametrize("how", HOW)
def test_a_damaged_mark_of_whose_folder_it_is_keeps_others_out(
    how: str, batch: Path, inspect_toy: Inspect
) -> None:
    out = batch.parent / "out"
    inspect_toy(batch, out)
    marker = out / "work" / "source.json"
    marker.write_bytes(damaged(marker.read_bytes(), how))
    before = contents(out)
    with pytest.raises(InspectionError, match=r"source\.json: damaged; choose another --out"):
        inspect_toy(batch, out)
    assert contents(out) == before
    shutil.rmtree(out)
    inspect_toy(batch, out)
