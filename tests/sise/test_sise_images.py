from pathlib import Path

import numpy as np
import pytest

from sise.images import read_image, write_png, write_whole


def test_grey_is_read_as_rgb_from_any_path(tmp_path: Path) -> None:
    path = tmp_path / "тест dir" / "a b.png"
    path.parent.mkdir()
    write_png(path, np.array([[0, 7], [200, 255]], np.uint8))
    assert read_image(path).tolist() == [[[0] * 3, [7] * 3], [[200] * 3, [255] * 3]]
    assert [entry.name for entry in path.parent.iterdir()] == ["a b.png"]


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
