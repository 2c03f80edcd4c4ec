"""A folder in which something was built already."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from built import contents, times

from severstal_prep import workers
from severstal_prep.build import Request, build
from severstal_prep.dataset import card_sha256, read_manifest
from severstal_prep.errors import DatasetError


def test_building_twice_changes_nothing(request_seven: Request) -> None:
    assert not build(request_seven).was_complete
    before, contents_before = times(request_seven.out), contents(request_seven.out)
    sha256 = card_sha256(request_seven.out)
    assert build(replace(request_seven, jobs=3)).was_complete
    assert times(request_seven.out) == before
    assert contents(request_seven.out) == contents_before
    assert card_sha256(request_seven.out) == sha256


def test_the_same_bytes_in_any_folder_with_any_number_of_processes(
    request_seven: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(request_seven)
    monkeypatch.setattr(workers, "TASKS_PER_WORKER", 3)
    build(replace(request_seven, out=tmp_path / "second", jobs=2))
    assert contents(tmp_path / "second") == contents(request_seven.out)


def test_seeds_change_the_split_alone(request_seven: Request, tmp_path: Path) -> None:
    by_crop = replace(request_seven, split="paper")
    build(by_crop)
    build(replace(by_crop, out=tmp_path / "other", seed=1))
    first, second = read_manifest(request_seven.out), read_manifest(tmp_path / "other")
    assert first.drop(columns=["split", "crop_path", "mask_path"]).equals(
        second.drop(columns=["split", "crop_path", "mask_path"])
    )
    assert first["split"].tolist() != second["split"].tolist()


def test_a_changed_source_is_named(seven_strips: Any, request_seven: Request) -> None:
    build(request_seven)
    before = contents(request_seven.out)
    original = (seven_strips.images / "d.jpg").read_bytes()
    seven_strips.add_strip("d.jpg", black_from=10)
    with pytest.raises(DatasetError, match=r"other images .*\(strip d, for one\)"):
        build(request_seven)
    (seven_strips.images / "d.jpg").write_bytes(original)
    assert build(request_seven).was_complete
    seven_strips.rows[0] = seven_strips.rows[0].replace(",1,", ",2,")
    seven_strips.write()
    with pytest.raises(DatasetError, match="was built from another label file"):
        build(request_seven)
    assert contents(request_seven.out) == before


def test_a_damaged_dataset_is_named(request_seven: Request) -> None:
    build(request_seven)
    crop = read_manifest(request_seven.out)["crop_path"].iloc[3]
    (request_seven.out / crop).write_bytes(b"")
    with pytest.raises(DatasetError, match=r"1 of 43 images are missing or damaged") as caught:
        build(request_seven)
    assert crop in str(caught.value)


def test_other_peoples_folders_are_left_alone(request_seven: Request) -> None:
    request_seven.out.mkdir()
    (request_seven.out / "thesis.txt").write_text("precious")
    with pytest.raises(DatasetError, match="holds other files"):
        build(request_seven)
    assert contents(request_seven.out).keys() == {"thesis.txt"}
