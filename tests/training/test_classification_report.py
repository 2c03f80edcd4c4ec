from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from severstal_prep.dataset import CLASS_NAMES
from training import paper_results
from training.classification_report import ClassificationReport, as_text, write_confusion
from training.evaluate import evaluate


def report(beside_paper: bool) -> ClassificationReport:
    labels = np.array([0, 0, 0, 0, 1, 1, 3, 3, 4])
    predicted = np.array([0, 0, 0, 1, 1, 0, 3, 3, 3])
    logits = np.eye(5)[predicted] * 4
    return ClassificationReport(
        "netto, test split", evaluate(logits, labels, CLASS_NAMES), beside_paper
    )


def test_table_holds_the_numbers() -> None:
    lines = as_text(report(False)).splitlines()
    assert lines[0] == "netto, test split"
    assert lines[2].split() == ["class", "crops", "recall", "95", "%", "precision"]
    assert lines[3].split() == ["normal", "4", "0.750", "0.301-0.954", "0.750"]
    assert lines[5].split() == ["class", "2", "0", "-", "-", "-"]
    text = "\n".join(lines)
    assert "top-1         0.667" in text
    assert "majority      0.444  top-1 of always saying normal; macro recall 0.250" in text
    assert max(len(line) for line in lines) <= 80


def test_confusion_rows() -> None:
    lines = as_text(report(False)).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("confusion"))
    assert lines[start + 1].split() == " ".join(CLASS_NAMES).split()
    assert lines[start + 2].split() == ["normal", "0.750", "0.250", "0.000", "0.000", "0.000"]
    assert lines[start + 4].split() == ["class", "2", "-", "-", "-", "-", "-"]


def test_paper_stands_beside_its_own_data_alone() -> None:
    assert "paper" not in as_text(report(False))
    text = as_text(report(True))
    assert "(paper 0.866)" in text
    assert "(paper 0.996)" in text
    assert "(paper 0.742)" in text
    assert text.splitlines()[4].split()[-1] == "0.590"


@pytest.mark.parametrize("beside_paper", [False, True])
def test_picture(tmp_path: Path, beside_paper: bool) -> None:
    path = tmp_path / "тест dir" / "confusion.png"
    path.parent.mkdir()
    write_confusion(path, report(beside_paper))
    with Image.open(path) as picture:
        width, height = picture.size
        assert picture.format == "PNG"
        assert len(set(picture.convert("RGB").resize((60, 60)).getdata())) > 20
    assert (width > 1.5 * height) == beside_paper
    assert [file.name for file in path.parent.iterdir()] == ["confusion.png"]


def test_paper_numbers_agree_with_each_other() -> None:
    assert paper_results.RECALL == (0.89, 0.59, 0.71, 0.85, 0.67)
    assert pytest.approx(0.742) == paper_results.MACRO_RECALL
    rows = np.array(paper_results.CONFUSION).sum(axis=1)
    assert rows == pytest.approx(np.ones(5), abs=0.011), "rounded in print"
    tests = np.array([7124, 401, 63, 3500, 417])
    implied = (tests * paper_results.RECALL).sum() / tests.sum()
    assert implied == pytest.approx(0.858, abs=5e-4), "the text says 0.866, see the docstring"


def test_papers_data_is_known_by_its_defect_crops() -> None:
    assert paper_results.is_papers_data(CLASS_NAMES, (23744, 1336, 210, 11666, 1388))
    assert paper_results.is_papers_data(CLASS_NAMES, (59000, 1336, 210, 11666, 1388)), (
        "normals may differ"
    )
    assert not paper_results.is_papers_data(CLASS_NAMES, (100, 9, 6, 47, 16))
    own = ("normal", "pit", "scratch", "stain", "edge")
    assert not paper_results.is_papers_data(own, (23744, 1336, 210, 11666, 1388))
