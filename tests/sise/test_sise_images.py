from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sise.errors import ImageError
from sise.images import read_image, write_png, write_whole


def test_grey_is_read_as_rgb_from_any_path(tmp_path: Path) -> None:
    path = tmp_path / "тест dir" / "a b.png"
    path.parent.mkdir()
    write_png(path, np.array([[0, 7], [200, 255]], np.uint8))
    assert read_image(path).tolist() == [[[0] * 3, [7] * 3], [[200] * 3, [255] * 3]]
    assert [entry.name for entry in path.parent.iterdir()] == ["a b.png"]


def test_sixteen_bits_are_refused_instead_of_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "deep.png"
    Image.fromarray(np.full((2, 2), 40_000, np.uint16)).save(path)
    with pytest.raises(ImageError, match=r"deep\.png: pixels of mode I;16; save it with 8 bits"):
        read_image(path)


@pytest.mark.parametrize("kept", [20, 200, 600])
def test_a_truncated_jpeg_is_refused(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "cut.jpg"
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ImageError, match=r"cut\.jpg: (cannot be read|not an image)"):
        read_image(path)


def test_a_folder_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="cannot be read"):
        read_image(tmp_path)


def test_what_fails_to_be_written_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail(temporary: Path) -> None:
        temporary.write_text("half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_whole(path, fail)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]
