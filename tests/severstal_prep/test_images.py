from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from severstal_prep.errors import PrepError, UnreadableImageError
from severstal_prep.images import is_grey, is_whole_png, read_image, to_grey, write_jpeg, write_png


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "тест dir"
    path.mkdir()
    return path


def colours(height: int = 32, width: int = 48) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_png_keeps_every_pixel_and_the_order_of_colours(folder: Path) -> None:
    image = colours()
    write_png(folder / "цвет.png", image)
    read = read_image(folder / "цвет.png")
    np.testing.assert_array_equal(read, image)
    assert read.flags.writeable  # torch warns of arrays that are not
    with Image.open(folder / "цвет.png") as read_by_pillow:
        np.testing.assert_array_equal(np.asarray(read_by_pillow), image)


def test_grey_png_is_stored_grey_and_read_as_rgb(folder: Path) -> None:
    grey = colours()[..., 0]
    write_png(folder / "grey.png", grey)
    with Image.open(folder / "grey.png") as stored:
        assert stored.mode == "L"
    np.testing.assert_array_equal(read_image(folder / "grey.png"), np.stack([grey] * 3, axis=2))


def test_slices_of_a_strip_can_be_written(folder: Path) -> None:
    strip = colours(32, 200)
    write_png(folder / "slice.png", strip[:, 50:82])
    np.testing.assert_array_equal(read_image(folder / "slice.png"), strip[:, 50:82])


def test_jpeg_keeps_grey_as_grey_and_quality_counts(folder: Path) -> None:
    ramp = np.repeat(np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1))[..., None], 3, axis=2)
    write_jpeg(folder / "fine.jpg", ramp, quality=95)
    write_jpeg(folder / "coarse.jpg", ramp, quality=10)
    fine = read_image(folder / "fine.jpg")
    assert np.abs(fine.astype(int) - ramp).max() <= 4
    assert (fine[..., 0] == fine[..., 1]).all()
    assert (fine[..., 0] == fine[..., 2]).all()
    assert (folder / "coarse.jpg").stat().st_size < (folder / "fine.jpg").stat().st_size


@pytest.mark.parametrize("missing_bytes", [1, 2, 500, 3000])
def test_truncated_jpeg(folder: Path, missing_bytes: int) -> None:
    write_jpeg(folder / "whole.jpg", colours(64, 64))
    content = (folder / "whole.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(content[:-missing_bytes])
    with pytest.raises(UnreadableImageError, match="truncated") as caught:
        read_image(folder / "cut.jpg")
    assert caught.value.path == folder / "cut.jpg"
    assert isinstance(caught.value, PrepError)


def test_truncated_png(folder: Path) -> None:
    write_png(folder / "whole.png", colours(64, 64))
    content = (folder / "whole.png").read_bytes()
    (folder / "cut.png").write_bytes(content[: len(content) // 2])
    assert is_whole_png(folder / "whole.png")
    assert not is_whole_png(folder / "cut.png")
    with pytest.raises(UnreadableImageError, match="truncated"):
        read_image(folder / "cut.png")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"no image at all", "not an image of a known format"),
        (b"\xff\xd8\xff\xe0" + b"\x00" * 50, "damaged|truncated|known format"),
        (b"\x89PNG\r\n\x1a\n" + b"\x00" * 50, "damaged|truncated|known format"),
    ],
    ids=["empty", "text", "jpeg heading only", "png heading only"],
)
def test_files_that_are_no_images(folder: Path, content: bytes, reason: str) -> None:
    (folder / "file.jpg").write_bytes(content)
    with pytest.raises(UnreadableImageError, match=reason):
        read_image(folder / "file.jpg")


def test_missing_file_and_folder_are_told_apart(folder: Path) -> None:
    with pytest.raises(UnreadableImageError, match="no such file"):
        read_image(folder / "нет.jpg")
    with pytest.raises(UnreadableImageError, match="a folder"):
        read_image(folder)


@pytest.mark.parametrize(
    "array",
    [np.zeros((4, 4), dtype=np.float32), np.zeros((4, 4, 4), dtype=np.uint8), np.zeros(4)],
    ids=["float", "four channels", "one dimension"],
)
def test_refuses_to_write_what_is_no_image(folder: Path, array: np.ndarray) -> None:
    with pytest.raises(ValueError, match="an image is"):
        write_png(folder / "bad.png", array)
    assert list(folder.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_png(folder / "image.png", colours())
    before = (folder / "image.png").read_bytes()

    def full_disk(self: Path, content: bytes) -> int:
        self.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(OSError, match="No space"):
        write_png(folder / "image.png", colours(16, 16))
    assert (folder / "image.png").read_bytes() == before
    assert [path.name for path in folder.iterdir()] == ["image.png"]


def test_luma_of_a_grey_image_is_its_value() -> None:
    every_level = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
    np.testing.assert_array_equal(to_grey(every_level), every_level[..., 0])
    assert is_grey(every_level, every_level[..., 0])
    tinted = every_level.copy()
    tinted[3, 4, 2] += 1
    assert not is_grey(tinted, to_grey(tinted))
    # ITU-R BT.601: 0.299 R + 0.587 G + 0.114 B
    assert to_grey(np.array([[[200, 100, 50]]], dtype=np.uint8)).tolist() == [[124]]
