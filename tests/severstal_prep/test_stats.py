import json
from pathlib import Path
from typing import Any

import pytest

from severstal_prep.errors import AnnotationError
from severstal_prep.recast import Rules
from severstal_prep.stats import as_json, as_text, count


def test_real_labels_give_table_3(steel_data: Path) -> None:
    counts = count(steel_data / "severstal_labels" / "train_boxes.csv", None, Rules())
    found = json.loads(json.dumps(as_json(counts)))
    assert found["crops"] == {"0": 23873, "1": 1336, "2": 210, "3": 11666, "4": 1388}
    assert found["train"] == {"0": 16711, "1": 935, "2": 147, "3": 8166, "4": 971}
    assert found["test"] == {"0": 7162, "1": 401, "2": 63, "3": 3500, "4": 417}
    assert found["strips"] == 6666
    assert found["multi_class_strips"] == 427
    assert found["strips_by_class"] == {"1": 897, "2": 247, "3": 5150, "4": 801}
    # 137 + 11 + 603 + 483 of one class and 289 of several, on strips of several classes
    assert found["dropped"] == {"defect on a strip of several classes": 1523}
    assert found["black_known"] is False


def test_images_tell_the_black_crops(seven_strips: Any) -> None:
    blind = count(seven_strips.csv, None, Rules())
    seeing = count(seven_strips.csv, seven_strips.images, Rules())
    assert as_json(blind)["crops"] == {"0": 22, "1": 2, "2": 1, "3": 7, "4": 2}
    assert as_json(seeing)["crops"] == {"0": 19, "1": 2, "2": 1, "3": 7, "4": 2}
    assert seeing.dropped["normal, but black"] == 3
    assert seeing.black_known


def test_text_has_the_numbers_and_the_caveat(seven_strips: Any) -> None:
    blind = as_text(count(seven_strips.csv, None, Rules())).splitlines()
    rows = {line[:8].strip(): line[8:].split() for line in blind[1:7]}
    assert blind[0].split() == ["strips", "crops", "train", "test"]
    assert rows == {
        "normal": ["22", "15", "7"],
        "class 1": ["2", "2", "1", "1"],
        "class 2": ["1", "1", "0", "1"],
        "class 3": ["3", "7", "4", "3"],
        "class 4": ["1", "2", "1", "1"],
        "total": ["6", "34", "21", "13"],
    }
    assert any("upper bound" in line for line in blind)
    seeing = as_text(count(seven_strips.csv, seven_strips.images, Rules()))
    assert "upper bound" not in seeing
    assert "left out: 3 crops: normal, but black" in seeing


def test_older_layout_counts_labelled_strips_alone(kaggle: Any) -> None:
    kaggle.heading = "ImageId_ClassId,EncodedPixels"
    kaggle.rows = ["a.jpg_1,10000 5", "a.jpg_2,", "b.jpg_1,", "b.jpg_2,"]
    kaggle.write()
    counts = count(kaggle.csv, None, Rules())
    assert counts.strips == 1
    assert sum(counts.crops.values()) == 6


def test_bad_image_is_named(seven_strips: Any) -> None:
    path = seven_strips.images / "b.jpg"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(AnnotationError) as caught:
        count(seven_strips.csv, seven_strips.images, Rules())
    assert str(caught.value).startswith(f"{seven_strips.csv}, row 3: {path}: truncated")
    path.unlink()
    with pytest.raises(AnnotationError, match=r"row 3: .* is missing"):
        count(seven_strips.csv, seven_strips.images, Rules())
