"""Sweeps of μ and the budget, their table and their curves."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sise.ablation.report import markdown, numbers, publish
from sise.ablation.sweep import points, settings
from sise.errors import SiseError
from sise.evaluation.paper import VOC
from sise.statistics import pearson

METRICS = ("ebpg", "miou", "bbox", "drop", "increase")
PASSES = {"sise": 200, "sise:mu=0.5": 50, "sise:budget=20": 20}
SETTINGS = settings("sise", [0, 0.5], [20])


def rows(images: int = 12) -> pd.DataFrame:
    """Drop is .2 for all masks, .3 at μ = 0.5 and .2 under the budget; image n adds n/100."""
    drops = {"sise": 0.2, "sise:mu=0.5": 0.3, "sise:budget=20": 0.2}
    return pd.DataFrame(
        {
            "method": method,
            "item": f"i{n}",
            "image": f"i{n}",
            "label": "a",
            "status": "ok",
            "score": 0.9,
            "forwards": passes,
            "seconds": passes / 100,
            **dict.fromkeys(METRICS, 0.5),
            "drop": drops[method] + n / 100,
        }
        for method, passes in PASSES.items()
        for n in range(images)
    )


def map_of(method: str, item: str) -> np.ndarray:
    exact = np.arange(16, dtype=np.float32).reshape(4, 4)
    return {"sise": exact, "sise:mu=0.5": -exact, "sise:budget=20": 2 * exact + 1}[method]


def test_settings_add_one_option_to_the_base() -> None:
    assert [one.spec.text for one in SETTINGS] == ["sise", "sise:mu=0.5", "sise:budget=20"]
    assert [one.title for one in SETTINGS] == ["every mask (μ = 0)", "μ = 0.5", "budget 20"]
    assert settings("sise", ["otsu"], [])[1].title == "μ by Otsu (Ada-SISE)"
    reflected = settings("sise:context=reflect", [0.3], ["auto"])
    assert [one.spec.text for one in reflected] == [
        "sise:context=reflect",
        "sise:context=reflect,mu=0.3",
        "sise:context=reflect,budget=auto",
    ]


@pytest.mark.parametrize("base", ["rise", "sise:mu=0.2", "sise:budget=3"])
def test_a_base_that_cannot_be_swept_is_refused(base: str) -> None:
    with pytest.raises(SiseError, match="a sise without mu and budget"):
        settings(base, [0.5], [])


def test_points_are_means_with_agreement_and_differences() -> None:
    exact, mu, budget = points(rows(), SETTINGS, map_of, seed=0)
    assert (exact.row.forwards, mu.row.forwards, budget.row.forwards) == (200, 50, 20)
    assert exact.row.cells["drop"].estimate.mean == pytest.approx(0.2 + 0.055)
    worse, undecided = (one.row.cells["drop"].comparison for one in (mu, budget))
    assert worse is not None
    assert worse.difference.mean == pytest.approx(0.1)
    assert worse.verdict == "worse"  # twelve images that all agree: p = 2 / 2^12
    assert undecided is not None
    assert undecided.verdict == "undecided"
    assert (exact.agreement.mean, mu.agreement.mean) == pytest.approx((1, -1))
    assert budget.agreement.mean == pytest.approx(1)
    assert not any(cell.comparison for cell in exact.row.cells.values())


def test_correlation_of_a_constant_map_is_undefined() -> None:
    other = np.arange(4, dtype=np.float32)
    assert np.isnan(pearson(np.ones(4, np.float32), other))
    assert pearson(other, other[::-1]) == pytest.approx(-1)


def test_the_table_says_passes_shares_and_who_differs() -> None:
    found = points(rows(), SETTINGS, map_of, seed=0)
    text = markdown(found, "about", "toys", "resnet50")
    line = next(line for line in text.splitlines() if line.startswith("| μ = 0.5"))
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[1:4] == ["50", "25.0%", "-1.000 (-1.000 to -1.000)"]
    assert cells[7].startswith("35.5 (")
    assert cells[7].endswith("▼")
    assert cells[9] == "0.50"
    assert "Tesla" not in text


def test_the_papers_table_stands_beside_its_own_data_alone() -> None:
    found = points(rows(), SETTINGS, map_of, seed=0)
    text = markdown(found, "about", VOC, "resnet50")
    assert "| 0.3 | 66.54 | 31.5 | 61.45 | 31.5 | 40.05 | 2.18 |" in text
    assert "66.54" not in markdown(found, "about", VOC, "vgg16")


def test_numbers_are_plain() -> None:
    found = numbers(points(rows(), SETTINGS, map_of, seed=0)).set_index(["setting", "measure"])
    drop = found.loc[("sise:mu=0.5", "drop")]
    assert drop["mean"] == pytest.approx(0.355)
    assert drop["p_corrected"] < 0.05
    assert drop["low"] < drop["mean"] < drop["high"]
    assert len(found) == 3 * 6


def test_publish_writes_table_numbers_and_curves(tmp_path: Path) -> None:
    found = points(rows(), SETTINGS, map_of, seed=0)
    page = publish(found, "about", "toys", "resnet50", tmp_path / "тест dir")
    assert sorted(path.name for path in page.parent.iterdir()) == [
        "ablation.csv",
        "ablation.md",
        "curves.png",
    ]
    with Image.open(page.parent / "curves.png") as picture:
        picture.load()
        assert picture.size == (1500, 840)
    assert len(pd.read_csv(page.parent / "ablation.csv")) == 18
