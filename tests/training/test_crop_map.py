"""Crops read from one mapped file: the same pixels, batches and weights as decoded ones."""

import errno
import os
import pickle
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from severstal_prep.images import read_image, write_png
from training import crop_map
from training.augment import Augmentation
from training.crop_map import CropFiles, CropMap, MapRequest, open_crops
from training.crops import Crops, read_mask, read_recast
from training.data import RecastDataModule
from training.errors import DataError
from training.masking import Masking

SIDE = 64


def draw_masks(root: Path, side: int = SIDE) -> None:
    """Give each defect crop of the dataset a mask: a box that differs from crop to crop."""
    manifest = read_recast(root).manifest
    for row, name in enumerate(manifest["mask_path"]):
        if name:
            mask = np.zeros((side, side), np.uint8)
            mask[row % 40 : row % 40 + 9, 7:20] = 255
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            write_png(root / name, mask)


@pytest.fixture
def root(tmp_path: Path, make_recast) -> Path:
    root = make_recast(tmp_path / "набор dir")
    draw_masks(root)
    return root


def request(root: Path, masks: bool = False, split: str = "train") -> MapRequest:
    recast = read_recast(root)
    return MapRequest(recast.crops(split), split, recast.sha256, masks, root / "cache", 2)


def assert_same(reader: Any, crops: Crops) -> None:
    for i, path in enumerate(crops.paths):
        with Image.open(path) as image:
            assert np.array_equal(reader.crop(i), np.array(image.convert("RGB")))


def test_grey_crops_are_one_channel_and_read_as_they_are(root: Path) -> None:
    asked = request(root)
    reader = open_crops(asked)
    assert isinstance(reader, CropMap)
    assert reader.shape == (26, SIDE, SIDE, 1)
    (file,) = (root / "cache").iterdir()
    assert file.stat().st_size == 128 + 26 * SIDE * SIDE  # NumPy's header, and a byte a pixel
    assert_same(reader, asked.crops)
    assert all(reader.mask(i) is None for i in range(26))


def test_one_crop_in_colour_makes_three_channels(root: Path) -> None:
    asked = request(root)
    colour = np.repeat(read_image(asked.crops.paths[17])[..., :1], 3, axis=2)
    colour[5, 6, 2] += 1
    write_png(asked.crops.paths[17], colour)
    reader = open_crops(asked)
    assert isinstance(reader, CropMap)
    assert reader.shape == (26, SIDE, SIDE, 3)
    assert_same(reader, asked.crops)


@pytest.mark.parametrize("side", [64, 37])  # 37² pixels fill no whole number of bytes
def test_masks_are_bits(tmp_path: Path, make_recast, side: int) -> None:
    root = make_recast(tmp_path, side=side)
    draw_masks(root, side)
    asked = request(root, masks=True)
    reader = open_crops(asked)
    (file,) = (root / "cache").glob("*-masks.npy")
    assert file.stat().st_size == 128 + 18 * -(-(side**2) // 8)
    for i, mask in enumerate(asked.crops.masks):
        found = reader.mask(i)
        assert (found is None) == (mask is None)
        if mask is not None:
            assert np.array_equal(found, read_mask(mask))
    assert_same(reader, asked.crops)


def test_what_is_read_may_be_changed_and_workers_get_a_name(root: Path) -> None:
    asked = request(root, masks=True)
    reader = open_crops(asked)
    reader.crop(3)[:] = 0
    reader.mask(9)[:] = 1
    assert_same(reader, asked.crops)
    pickled = pickle.dumps(reader)
    assert len(pickled) < 2000  # all crops are 100 kB
    again = pickle.loads(pickled)  # noqa: S301
    assert np.array_equal(again.mask(9), read_mask(asked.crops.masks[9]))
    assert_same(again, asked.crops)


def test_made_once_and_anew_where_a_crop_or_the_file_changed(root: Path) -> None:
    asked = request(root, masks=True)
    open_crops(asked)
    times = {file: file.stat().st_mtime_ns for file in (root / "cache").iterdir()}
    assert len(times) == 2
    open_crops(asked)
    assert {file: file.stat().st_mtime_ns for file in (root / "cache").iterdir()} == times
    crops = next(file for file in times if "masks" not in file.name)
    whole = crops.read_bytes()
    for damaged in (whole[:5000], whole[:50], b"", whole[:-9] + bytes(9)):
        crops.write_bytes(damaged)
        assert_same(open_crops(asked), asked.crops)
        assert crops.read_bytes() == whole
    first = asked.crops.paths[11]
    write_png(first, np.full((SIDE, SIDE), 77, np.uint8))
    assert_same(open_crops(asked), asked.crops)
    assert len(list((root / "cache").iterdir())) == 4


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole.replace(b"(26, 64", b"(26,e64"),  # no expression of Python
        lambda whole: whole.replace(b"|u1", b"<f4"),
        lambda whole: whole.replace(b"|u1", b"|O "),
        lambda whole: whole.replace(b"64, 64, 1)", b"64, 32, 2)"),
        lambda whole: whole.replace(b"64, 64, 1)", b"0, 64, 1) "),
        lambda whole: whole.replace(b"(26, 64, 64, 1)", b"(9999999999, 1)"),
        lambda whole: whole[:40],
        lambda whole: b"",
    ],
)
def test_a_damaged_file_is_made_anew(root: Path, damage: Callable[[bytes], bytes]) -> None:
    asked = request(root)
    open_crops(asked)
    (file,) = asked.folder.glob("train-*.npy")
    whole = file.read_bytes()
    assert damage(whole) != whole
    file.write_bytes(damage(whole))
    assert_same(open_crops(asked), asked.crops)
    assert file.read_bytes() == whole


def test_other_splits_and_datasets_have_files_of_their_own(root: Path) -> None:
    for split in ("train", "val", "test"):
        assert_same(open_crops(request(root, split=split)), read_recast(root).crops(split))
    open_crops(replace(request(root), dataset="0" * 64))
    assert len(list((root / "cache").iterdir())) == 4


def test_crops_of_two_sizes_are_refused(root: Path) -> None:
    asked = request(root, masks=True)
    write_png(asked.crops.masks[20], np.zeros((SIDE, 60), np.uint8))
    with pytest.raises(DataError, match="60×64 px, but its crop has 64×64; build the dataset"):
        open_crops(asked)
    write_png(asked.crops.paths[20], np.zeros((SIDE, 60), np.uint8))
    with pytest.raises(DataError, match=r"_x32\.png: 60×64 px, but 0.*_x32\.png has 64×64; build"):
        open_crops(asked)
    assert not list((root / "cache").glob("*partial"))


def test_a_full_disk_costs_time_and_no_training(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    usage = shutil.disk_usage(root)._replace(free=2**30)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    asked = request(root)
    reader = open_crops(asked)
    assert isinstance(reader, CropFiles)
    assert_same(reader, asked.crops)
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        f"crops are decoded anew in each epoch, which is slower: {root / 'cache'}: 0.0 GiB are "
        "needed, and 1 beside them, but 1.0 are free; --data.cache_dir names another folder, "
        "--data.cache false does without"
    )
    assert list((root / "cache").iterdir()) == []


def test_a_disk_that_fills_while_writing_leaves_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(crop_map, "write_array_header_1_0", full)
    assert isinstance(open_crops(request(root)), CropFiles)
    assert "No space left on device" in capsys.readouterr().err
    assert list((root / "cache").iterdir()) == []


def test_a_folder_that_cannot_be_made(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "cache").write_text("in the way")
    assert isinstance(open_crops(request(root)), CropFiles)
    assert f"{root / 'cache'}: File exists" in capsys.readouterr().err


def test_two_at_once_write_it_once(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked, written, waits = request(root), list[Path](), threading.Event()
    write = crop_map._write_crops

    def slowly(of: MapRequest, file: Path) -> None:
        written.append(file)
        assert waits.wait(20)
        write(of, file)

    def said(message: str) -> None:
        assert message == f"{root / 'cache'}: another process decodes crops into it; waiting"
        waits.set()

    monkeypatch.setattr(crop_map, "_write_crops", slowly)
    monkeypatch.setattr(crop_map, "note", said)
    with ThreadPoolExecutor(2) as pool:  # each opens the folder: the lock knows no difference
        for reader in pool.map(open_crops, [asked, asked]):
            assert_same(reader, asked.crops)
    assert len(written) == len(list((root / "cache").iterdir())) == 1


def epoch(root: Path, number: int, **options: Any) -> tuple[torch.Tensor, torch.Tensor]:
    data = RecastDataModule(
        root,
        batch_size=8,
        sampler="balanced",
        augment=Augmentation(0.5, 0.5, 0.1, 0.1, 0.05),
        masking=Masking(black_out=0.2, alone=0.2, random=0.2, empty=0.1),
        **{"num_workers": 0} | options,
    )
    data.setup("fit")
    loader = data.train_dataloader()
    loader.batch_sampler.sampler.set_epoch(number)
    crops, labels = zip(*loader, *data.val_dataloader(), strict=True)
    return torch.cat(crops), torch.cat(labels)


def test_batches_are_the_same_with_and_without_and_for_any_number_of_workers(
    root: Path, tmp_path: Path
) -> None:
    crops, labels = epoch(root, 3, cache=False)
    assert not (root / "cache").exists()
    elsewhere = tmp_path / "elsewhere"
    for options in ({"cache_dir": elsewhere}, {}, {"num_workers": 2}):
        again, same_labels = epoch(root, 3, **options)
        assert torch.equal(crops, again)
        assert torch.equal(labels, same_labels)
    for folder in (elsewhere, root / "cache"):
        assert len(list(folder.iterdir())) == 3  # train, its masks, val
    for path in read_recast(root).crops("train").masks:
        assert path is None or path.unlink() is None
