from pathlib import Path

import numpy as np
import pytest

from severstal_prep.errors import DatasetError, UnreadableImageError
from severstal_prep.images import write_png
from training.crops import Crops, channel_statistics, check_grey, check_quickly, read_recast
from training.errors import DataError


def test_reads_counts_and_files(recast_root: Path) -> None:
    recast = read_recast(recast_root)
    assert recast.counts("train") == (8, 4, 4, 6, 4)
    assert recast.counts() == (15, 8, 8, 11, 8)
    assert recast.split_rule == "grouped"
    val = recast.crops("val")
    assert val.labels.tolist() == [0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert len(val) == 11
    assert all(path.is_file() and path.is_relative_to(recast_root) for path in val.paths)


def test_folder_without_dataset(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no recast dataset here"):
        read_recast(tmp_path)


def test_split_without_crops(tmp_path: Path, make_recast) -> None:
    root = make_recast(tmp_path, {"train": (2, 1, 1, 1, 1)})
    with pytest.raises(DataError, match="no crop in the split 'val'"):
        read_recast(root).crops("val")


@pytest.mark.parametrize("column", ["group_id", "strip_id"])
def test_groups_that_cross_splits_are_a_leak(tmp_path: Path, make_recast, column: str) -> None:
    crops = {"train": (2, 0, 0, 0, 0), "val": (0, 0, 0, 0, 0), "test": (1, 0, 0, 0, 0)}
    root = make_recast(tmp_path, crops, **{column: ["a", "b", "b"]})
    with pytest.raises(DataError, match=rf"_x32.png, row 2: {column} b is in train and test"):
        read_recast(root)


def test_paper_split_may_cross(tmp_path: Path, make_recast) -> None:
    crops = {"train": (2, 0, 0, 0, 0), "test": (1, 0, 0, 0, 0)}
    root = make_recast(tmp_path, crops, split_rule="paper", strip_id=["a", "b", "b"])
    assert read_recast(root).counts() == (3, 0, 0, 0, 0)


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "crops/../../x", "..\\x.png"])
def test_paths_stay_in_the_dataset(tmp_path: Path, make_recast, name: str) -> None:
    root = make_recast(tmp_path, {"train": (1, 0, 0, 0, 0)}, crop_path=[name])
    with pytest.raises(DataError, match=r"row 0: .* leaves the dataset's folder"):
        read_recast(root)


def test_masks_stay_in_the_dataset_too(tmp_path: Path, make_recast) -> None:
    root = make_recast(tmp_path, {"train": (1, 1, 0, 0, 0)}, mask_path=["", "masks/../../x.png"])
    with pytest.raises(DataError, match=r"row 1: 'masks/../../x.png' leaves the dataset's folder"):
        read_recast(root)


def test_masks_of_defect_crops(recast_root: Path) -> None:
    masks = read_recast(recast_root).crops("val").masks
    assert masks[:3] == (None, None, None)
    assert all(mask.is_relative_to(recast_root / "masks" / "val") for mask in masks[3:])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_id": [0, 5]}, "row 1: class 5 is not 0 to 4"),
        ({"class_id": [-1, 0]}, "row 0: class -1 is not 0 to 4"),
        ({"split": ["train", "dev"]}, "row 1: split 'dev' is unknown"),
    ],
)
def test_rows_out_of_place(tmp_path: Path, make_recast, changes: dict, message: str) -> None:
    root = make_recast(tmp_path, {"train": (2, 0, 0, 0, 0)}, **changes)
    with pytest.raises(DataError, match=message):
        read_recast(root)


def test_channel_statistics_by_hand(tmp_path: Path) -> None:
    dark, bright = np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 255, np.uint8)
    dark[..., 2] = 51
    bright[..., 2] = 51
    for name, image in (("a.png", dark), ("b.png", bright)):
        write_png(tmp_path / name, image)
    mean, std = channel_statistics([tmp_path / "a.png", tmp_path / "b.png"])
    assert mean == pytest.approx((0.5, 0.5, 0.2))
    assert std == pytest.approx((0.5, 0.5, 1e-6), abs=1e-7)


def test_a_crop_in_colour_is_named(tmp_path: Path) -> None:
    grey = np.full((4, 4, 3), 90, np.uint8)
    coloured = grey.copy()
    coloured[1, 2, 0] = 91
    for number in range(100):
        write_png(tmp_path / f"{number:02}.png", grey)
    crops = Crops(tuple(sorted(tmp_path.iterdir())), np.zeros(100, np.int64))
    check_grey(crops)
    write_png(tmp_path / "04.png", coloured)
    with pytest.raises(DataError, match=r"04\.png: is in colour, .* model\.channels 3"):
        check_grey(crops)


def test_channel_statistics_name_an_unreadable_crop(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImageError, match=r"a\.png: there is no such file"):
        channel_statistics([tmp_path / "a.png"])


def test_quick_check_notes_warnings(tmp_path: Path, make_recast, capsys) -> None:
    crops = {"train": (2, 1, 1, 1, 1), "val": (1, 1, 1, 1, 1), "test": (1, 1, 1, 1, 1)}
    strips = ["a", *"bcdefghijklmno", "a"]
    root = make_recast(tmp_path, crops, split_rule="paper", strip_id=strips)
    check_quickly(read_recast(root))
    (noted,) = capsys.readouterr().err.splitlines()
    assert (
        "strips in several splits: 1 (crops/test/4/00000000f_x32.png, row 15: strip_id a" in noted
    )


def test_quick_check_refuses_a_crop_that_is_missing(tmp_path: Path, make_recast) -> None:
    root = make_recast(tmp_path)
    recast = read_recast(root)
    for path in recast.crops("val").paths[:2]:
        path.unlink()
    with pytest.raises(DataError, match=r"_x32\.png, row 26: there is no such file \(and 1 more\)"):
        check_quickly(recast)
