import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inspection.errors import BatchError
from inspection.pipeline.strips import ReadStrip, list_batch, read_strip
from severstal_prep.images import write_jpeg, write_png


def strip_image(width: int = 512, height: int = 256, level: int = 90) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "тест dir"
    folder.mkdir()
    return folder


def test_strips_are_known_by_their_path_inside_the_folder(folder: Path) -> None:
    for camera in ("cam 2", "cam 1"):
        (folder / camera).mkdir()
        write_png(folder / camera / "a.png", strip_image())
    write_png(folder / "b.png", strip_image())
    batch = list_batch(folder)
    assert [strip.strip_id for strip in batch.strips] == ["b.png", "cam 1/a.png", "cam 2/a.png"]
    assert [strip.coil for strip in batch.strips] == ["", "cam 1", "cam 2"]
    assert batch.name == "тест dir"
    content = (folder / "b.png").read_bytes()
    assert batch.strips[0].sha256 == hashlib.sha256(content).hexdigest()
    assert batch.strips[0].size == len(content)


def test_deeper_folders_are_one_coil_each(folder: Path) -> None:
    (folder / "coil 7" / "top").mkdir(parents=True)
    write_png(folder / "coil 7" / "top" / "a.png", strip_image())
    assert list_batch(folder).strips[0].coil == "coil 7/top"


def test_other_files_are_skipped_with_a_reason(folder: Path) -> None:
    write_png(folder / "a.PNG", strip_image())
    for name in ("notes.txt", "train.csv", ".hidden.jpg", "README"):
        (folder / name).write_text("x")
    (folder / ".cache").mkdir()
    write_png(folder / ".cache" / "b.png", strip_image())
    batch = list_batch(folder)
    assert [strip.strip_id for strip in batch.strips] == ["a.PNG"]
    assert {entry.name: entry.reason for entry in batch.skipped} == {
        ".cache": "hidden; it holds images",
        ".hidden.jpg": "hidden; it looks like an image",
        "README": "not an image (no suffix)",
        "notes.txt": "not an image (.txt)",
        "train.csv": "not an image (.csv)",
    }


def test_links_do_not_lead_out_of_the_folder(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    write_png(outside / "secret.png", strip_image())
    write_png(folder / "a.png", strip_image())
    (folder / "link.png").symlink_to(outside / "secret.png")
    (folder / "inside.png").symlink_to(folder / "a.png")
    (folder / "folder").symlink_to(outside)
    batch = list_batch(folder)
    assert [strip.strip_id for strip in batch.strips] == ["a.png", "inside.png"]
    assert {entry.name: entry.reason for entry in batch.skipped} == {
        "folder": "link to a folder; it holds images",
        "link.png": "link out of the batch folder; it looks like an image",
    }
    assert batch.passed_over == ("folder", "link.png")


def read_all(folder: Path) -> dict[str, ReadStrip]:
    return {strip.strip_id: read_strip(strip) for strip in list_batch(folder).strips}


def test_images_are_known_by_content(folder: Path) -> None:
    for format_, name in (
        ("JPEG", "a.jfif"), ("WEBP", "b.webp"), ("PPM", "c.pgm"), ("PNG", "d"), ("BMP", "e.txt"),
        ("TIFF", "f.jpg"),
    ):  # fmt: skip
        Image.fromarray(strip_image()).save(folder / name, format=format_)
    (folder / "g.bin").write_bytes(b"\0\0\0\x0cjP  \r\n")  # JPEG 2000, which is not read
    (folder / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    (folder / "._a.jfif").write_bytes(b"\0\5\x16\7")
    (folder / "BM notes").write_text("BM is also a word, and P5 a number")
    batch = list_batch(folder)
    reasons = {name: strip.reason for name, strip in read_all(folder).items()}
    assert reasons == dict.fromkeys(["a.jfif", "b.webp", "c.pgm", "d"], "") | {
        "e.txt": "",
        "f.jpg": "",
        "g.bin": "JPEG 2000 is not read; save it as PNG with 8 bits per channel",
    }
    assert {entry.name for entry in batch.skipped} == {"Thumbs.db", "._a.jfif", "BM notes"}
    assert batch.passed_over == ()


def test_links_that_lead_nowhere_and_pipes_have_a_reason(folder: Path, tmp_path: Path) -> None:
    write_png(folder / "a.png", strip_image())
    (folder / "gone.png").symlink_to(folder / "none.png")
    (folder / "away.png").symlink_to(tmp_path / "none.png")
    (folder / "away.csv").symlink_to(tmp_path / "none.csv")
    (folder / "circle.png").symlink_to(folder / "circle.png")
    (tmp_path / "texts").mkdir()
    (folder / "texts").symlink_to(tmp_path / "texts")
    os.mkfifo(folder / "pipe.jpg")
    batch = list_batch(folder)
    assert [strip.strip_id for strip in batch.strips] == ["a.png", "gone.png"]
    assert "no such file" in read_strip(batch.strips[1]).reason
    assert {entry.name: entry.reason for entry in batch.skipped} == {
        "away.csv": "link out of the batch folder",
        "away.png": "link out of the batch folder; it looks like an image",
        "circle.png": "link that leads round in a circle; it looks like an image",
        "pipe.jpg": "not a file, but a pipe or a device; it looks like an image",
        "texts": "link to a folder",
    }
    assert batch.passed_over == ("away.png", "circle.png", "pipe.jpg")


def test_a_batch_folder_may_itself_be_a_link(folder: Path, tmp_path: Path) -> None:
    write_png(folder / "a.png", strip_image())
    (tmp_path / "today").symlink_to(folder)
    assert [strip.strip_id for strip in list_batch(tmp_path / "today").strips] == ["a.png"]


def test_missing_and_empty_folders_are_told_apart(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BatchError, match="no such folder"):
        list_batch(tmp_path / "none")
    (folder / "a.csv").write_text("x")
    with pytest.raises(
        BatchError, match=r"no strip images here \(a\.csv: not an image \(\.csv\)\)"
    ):
        list_batch(folder)


def test_a_name_that_is_no_text_is_escaped(folder: Path) -> None:
    write_png(folder / "a.png", strip_image())
    odd = os.fsencode(folder) + b"/b\xff.png"
    Path(os.fsdecode(odd)).write_bytes((folder / "a.png").read_bytes())
    assert [strip.strip_id for strip in list_batch(folder).strips] == ["a.png", "b\\xff.png"]


def test_digest_tells_contents_and_names(folder: Path) -> None:
    write_png(folder / "a.png", strip_image())
    first = list_batch(folder).digest()
    assert list_batch(folder).digest() == first
    write_png(folder / "a.png", strip_image(level=91))
    second = list_batch(folder).digest()
    (folder / "a.png").rename(folder / "b.png")
    assert len({first, second, list_batch(folder).digest()}) == 3


def test_read_tells_why_a_strip_cannot_be_inspected(folder: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (256, 512, 3), np.uint8)
    write_png(folder / "good.png", pixels)
    write_png(folder / "high.png", strip_image(height=300))
    write_png(folder / "low.png", strip_image(height=127))
    narrow = np.random.default_rng(1).integers(0, 256, (256, 250, 3), np.uint8)
    write_png(folder / "narrow.png", narrow)
    write_jpeg(folder / "cut.jpg", pixels)
    whole = (folder / "cut.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "void.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("no image")
    strips = read_all(folder)
    reasons = {name: strip.reason for name, strip in strips.items()}
    pixels_of = {name: strip.pixels for name, strip in strips.items() if strip.pixels is not None}
    np.testing.assert_array_equal(pixels_of["good.png"], pixels)
    assert pixels_of["high.png"].shape == (300, 512, 3)
    np.testing.assert_array_equal(pixels_of["narrow.png"][:, :250], narrow)
    np.testing.assert_array_equal(pixels_of["narrow.png"][:, 250:], narrow[:, 248:242:-1])
    assert reasons["low.png"] == "512 × 127 px, less than half of the model's 256 px"
    assert "truncated" in reasons["cut.jpg"]
    assert "empty" in reasons["void.jpg"]
    assert "not an image" in reasons["text.jpg"]
    assert {name for name, reason in reasons.items() if not reason} == set(pixels_of)
    assert len(pixels_of) == 3


def test_a_file_that_changed_since_it_was_listed_is_not_inspected(folder: Path) -> None:
    write_png(folder / "a.png", strip_image())
    (strip,) = list_batch(folder).strips
    write_png(folder / "a.png", strip_image(level=200))
    read = read_strip(strip)
    assert "changed during the inspection" in read.reason
    assert read.pixels is None
