"""Reviewed crops become a dataset, and training reads it."""

from pathlib import Path

import numpy as np
import pytest
from review_toys import decide, entry, make_report, registered_report

from inspection.review.database import Database
from inspection.review.dataset import export
from inspection.review.errors import ExportError, StripError
from inspection.review.register import read_report, register
from severstal_prep.dataset import COLUMNS, class_counts, read_card, read_manifest
from severstal_prep.files import file_sha256
from severstal_prep.images import read_image
from training.crops import read_recast

STRIPS = {
    "тест dir/a.png": ["class 1", "class 2", "class 3", "normal"],
    "b.png": ["class 4", "normal"],
}


@pytest.fixture
def report(sqlite: Database, tmp_path: Path) -> Path:
    report = registered_report(sqlite, tmp_path, STRIPS)
    a = "тест dir/a.png"
    decide(
        sqlite,
        report,
        entry(1, "confirm", a, 0),
        entry(2, "reject", a, 256),
        entry(3, "reclass", a, 512, **{"class": "class 4"}),
        entry(4, "confirm", a, 768),
        entry(5, "confirm", "b.png", 0),
        entry(6, "reject", "b.png", 0),
        entry(7, "disposition", "b.png", disposition="scrap"),
    )
    return report


def files_in(folder: Path) -> dict[Path, str]:
    return {path: file_sha256(path) for path in folder.rglob("*") if path.is_file()}


def test_decided_patches_become_crops_of_the_class_people_gave(
    sqlite: Database, report: Path, tmp_path: Path
) -> None:
    before = files_in(tmp_path / "b") | files_in(report)
    out = tmp_path / "new" / "набор"
    exported = export(sqlite, out)
    assert (files_in(tmp_path / "b") | files_in(report)) == before
    assert exported.disputed == 1
    manifest = read_manifest(out)
    assert list(manifest.columns) == list(COLUMNS)
    sha256 = file_sha256(tmp_path / "b" / "тест dir/a.png")
    assert manifest[["left", "class_id"]].sort_values("left").to_numpy().tolist() == [
        [0, 1],
        [256, 0],
        [512, 4],
        [768, 0],
    ]
    assert set(manifest["strip_sha256"]) == {sha256}
    assert set(manifest["strip_id"]) == {sha256[:16]}
    assert set(manifest["mask_path"]) == {""}
    strip = read_image(tmp_path / "b" / "тест dir/a.png")
    for row in manifest.itertuples():
        assert row.crop_path == f"crops/{row.split}/{row.class_id}/{row.crop_id}.png"
        crop = read_image(out / str(row.crop_path))
        np.testing.assert_array_equal(crop, strip[:, int(row.left) : int(row.left) + 256])  # type: ignore[arg-type]
    card = read_card(out)
    assert card["counts"] == exported.counts == class_counts(manifest)
    assert card["settings"] == {"recipe": "review", "split": "grouped", "seed": 0}
    assert "class 2" in card["absent"]
    assert (out / "overview.png").is_file()
    assert {path.name for path in out.parent.iterdir()} == {"набор"}
    assert sorted(path.name for path in out.iterdir()) == [
        "crops", "dataset.json", "manifest.parquet", "overview.png",
    ]  # fmt: skip


def test_training_reads_it_and_no_strip_crosses_the_split(sqlite: Database, tmp_path: Path) -> None:
    strips = {f"{n}.png": ["class 1", "class 2", "class 3"] for n in range(8)}
    report = registered_report(sqlite, tmp_path, strips)
    decide(
        sqlite,
        report,
        *[
            entry(100 * number + left, kind, strip, left)
            for number, strip in enumerate(strips, 1)
            for left, kind in ((0, "confirm"), (256, "reject"), (512, "confirm"))
        ],
    )
    out = tmp_path / "out"
    export(sqlite, out, seed=0)
    recast = read_recast(out)
    assert recast.counts() == (8, 8, 0, 8, 0)
    assert len(recast.crops("train")) + len(recast.crops("val")) + len(recast.crops("test")) == 24
    assert recast.manifest.groupby("strip_id")["split"].nunique().max() == 1
    assert len(recast.crops("train").paths) > len(recast.crops("val").paths) > 0
    assert recast.manifest["group_id"].nunique() == 8


def test_one_strip_in_two_batches_is_one_crop_or_a_dispute(
    sqlite: Database, tmp_path: Path
) -> None:
    one = registered_report(sqlite, tmp_path / "1", {"a.png": ["class 1", "class 2"]}, "one")
    two = registered_report(sqlite, tmp_path / "2", {"x.png": ["class 1", "class 2"]}, "two")
    decide(sqlite, one, entry(1, "confirm", "a.png", 0), entry(2, "confirm", "a.png", 256))
    decide(sqlite, two, entry(3, "confirm", "x.png", 0), entry(4, "reject", "x.png", 256))
    exported = export(sqlite, tmp_path / "out")
    assert exported.disputed == 1
    manifest = read_manifest(tmp_path / "out")
    assert manifest[["left", "class_id"]].to_numpy().tolist() == [[0, 1]]


@pytest.mark.parametrize("harm", ["changed", "missing"])
def test_a_strip_that_is_not_the_inspected_one_stops_it(
    sqlite: Database, report: Path, tmp_path: Path, harm: str
) -> None:
    strip = tmp_path / "b" / "тест dir/a.png"
    if harm == "changed":
        strip.write_bytes(strip.read_bytes() + b"x")
    else:
        strip.unlink()
    with pytest.raises(StripError, match=r"register the report again with --strips") as refused:
        export(sqlite, tmp_path / "out")
    assert str(refused.value).startswith(f"{strip}: ")
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".*partial"))


def test_moved_strips_are_found_at_their_new_place(
    sqlite: Database, report: Path, tmp_path: Path
) -> None:
    moved = (tmp_path / "b").rename(tmp_path / "moved")
    register(sqlite, read_report(report), moved)
    assert export(sqlite, tmp_path / "out").counts["total"]["0"] == 2


def test_a_strip_outside_the_batch_folder_is_not_read(sqlite: Database, tmp_path: Path) -> None:
    report = make_report(tmp_path, {"../secret.png": ["class 1"]})
    register(sqlite, read_report(report))
    decide(sqlite, report, entry(1, "confirm", "../secret.png", 0))
    with pytest.raises(StripError, match="leaves the batch folder"):
        export(sqlite, tmp_path / "out")


def test_nothing_decided_and_a_folder_that_exists(
    sqlite: Database, report: Path, tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match="exists already"):
        export(sqlite, report)


def test_nothing_decided(sqlite: Database, tmp_path: Path) -> None:
    registered_report(sqlite, tmp_path, STRIPS)
    with pytest.raises(ExportError, match="no patch is decided"):
        export(sqlite, tmp_path / "out")
    assert not (tmp_path / "out").exists()
