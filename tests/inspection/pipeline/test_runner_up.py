import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from toys import CLASSES, FakeExplainer, strip, write_strip

from inspection.pipeline.policy import probability_column
from inspection.pipeline.run import Finished
from inspection.pipeline.runner_up import add_runner_up, similarity
from severstal_prep.images import read_image
from sise.explanation import Explanation

Inspect = Callable[..., Finished]


class Halves(FakeExplainer):
    """As its parent for class 1; for normal the map is its negative, less the top row."""

    def __call__(
        self, images: torch.Tensor, target: int | Sequence[int] | torch.Tensor | None = None
    ) -> Explanation:
        found = super().__call__(images, target)
        for heat, of, status in zip(found.maps, found.targets, found.status, strict=True):
            if of == 0 and status == "ok":
                heat.copy_(1 - heat)
                heat[0] = 0
        return found


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    """A strip of three patches, the first with an indication."""
    write_strip(tmp_path / "тест dir" / "batch" / "s.png", strip(704, bright=[40]))
    return tmp_path / "тест dir" / "batch"


def patches(out: Path) -> pd.DataFrame:
    return pd.read_parquet(out / "results.parquet")


def test_the_runner_up_is_the_most_probable_of_the_others() -> None:
    probabilities = np.array(
        [[0.1, 0.5, 0.3, 0.1, 0], [0.6, 0.4, 0, 0, 0], [0.6, 0.4, 0, 0, 0], [0.2] * 5]
    )
    columns = {probability_column(name): probabilities[:, i] for i, name in enumerate(CLASSES)}
    rows = pd.DataFrame({"target": ["class 1", "class 1", "normal", "normal"]} | columns)
    found = add_runner_up(rows, CLASSES)
    assert found["runner_up"].tolist() == ["class 2", "normal", "class 1", "class 1"]
    assert found["runner_up_score"].tolist() == [0.3, 0.6, 0.4, 0.2]


def test_similarity_is_pearsons() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (2, 256, 256)).astype(np.uint8)
    expected = np.corrcoef(noise.reshape(2, -1))[0, 1]
    assert similarity(noise[0], noise[1]) == pytest.approx(expected)
    assert similarity(noise[0], 255 - noise[0]) == pytest.approx(-1)
    assert np.isnan(similarity(noise[0], np.zeros((256, 256), np.uint8)))


def test_the_runner_ups_map_stands_beside_the_first(
    batch: Path, tmp_path: Path, inspect_toy: Inspect
) -> None:
    out = tmp_path / "out"
    finished = inspect_toy(batch, out, Halves())
    first = patches(out).iloc[0]
    assert (first["runner_up"], first["runner_up_status"]) == ("normal", "ok")
    # Logits are 2 for normal, 40/16 for class 1, 0 for the three others.
    total = np.exp(2) + np.exp(2.5) + 3
    assert first["runner_up_score"] == pytest.approx(np.exp(2) / total, abs=1e-6)
    assert first["runner_up_score"] == pytest.approx(first["p_normal"])
    assert (first["forwards"], first["runner_up_forwards"]) == (11, 11)
    assert finished.record["counts"]["forwards"] == 22
    name = f"img/{first['patch_key'][:16]}_second.png"
    assert first["runner_up_map_path"] == name
    expected = np.full((256, 256), 255, np.uint8)
    expected[96:160, 40:104] = expected[0] = 0
    second = read_image(out / name)[..., 0]
    np.testing.assert_array_equal(second, expected)
    heat = read_image(out / first["map_path"])[..., 0]
    correlation = np.corrcoef(heat.ravel(), second.ravel())[0, 1]
    assert -1 < correlation < -0.9
    assert first["runner_up_similarity"] == pytest.approx(correlation, abs=1e-6)
    rest = patches(out).iloc[1:]
    assert rest["runner_up"].tolist() == rest["runner_up_map_path"].tolist() == ["", ""]
    assert rest[["runner_up_score", "runner_up_forwards"]].isna().all(axis=None)


def test_it_can_be_left_out_and_comes_back_from_what_is_kept(
    batch: Path, tmp_path: Path, inspect_toy: Inspect
) -> None:
    out = tmp_path / "out"
    explainer = FakeExplainer()
    without = inspect_toy(batch, out, explainer, runner_up=False)
    assert explainer.targets == [1]
    assert without.record["config"]["runner_up"] is False
    assert without.record["counts"]["forwards"] == 11
    row = patches(out).iloc[0]
    texts = ["runner_up", "runner_up_status", "runner_up_map_path"]
    assert row[texts].tolist() == ["", "", ""]
    numbers = ["runner_up_score", "runner_up_forwards", "runner_up_similarity"]
    assert row[numbers].isna().all()
    assert not list((out / "img").glob("*_second.png"))

    added = FakeExplainer()
    assert not inspect_toy(batch, out, added).up_to_date
    assert added.targets == [0], "only what is missing"
    again = FakeExplainer()
    inspect_toy(batch, out, again, runner_up=False)
    assert again.targets == []
    assert not list((out / "img").glob("*_second.png"))


def test_where_either_has_no_map_there_is_no_similarity(
    batch: Path, tmp_path: Path, inspect_toy: Inspect
) -> None:
    inspect_toy(batch, tmp_path / "a", FakeExplainer(statuses={0: "constant map"}))
    row = patches(tmp_path / "a").iloc[0]
    assert row[["map_status", "runner_up_status"]].tolist() == ["ok", "constant map"]
    assert row["runner_up_map_path"] == ""
    assert np.isnan(row["runner_up_similarity"])

    inspect_toy(batch, tmp_path / "b", FakeExplainer(statuses={1: "no positive gradient"}))
    row = patches(tmp_path / "b").iloc[0]
    assert row[["map_status", "runner_up_status"]].tolist() == ["no positive gradient", "ok"]
    assert (tmp_path / "b" / row["runner_up_map_path"]).is_file()
    assert (row["overlay_path"], row["map_path"], row["region_contour"]) == ("", "", "")
    assert np.isnan(row["runner_up_similarity"])


def test_explain_all_compares_normal_with_the_next_class(
    batch: Path, tmp_path: Path, inspect_toy: Inspect
) -> None:
    inspect_toy(batch, tmp_path / "out", explain="all")
    rows = patches(tmp_path / "out")
    assert rows["target"].tolist() == ["class 1", "normal", "normal"]
    # Equal logits of 0: the first in the order of the model's outputs.
    assert rows["runner_up"].tolist() == ["normal", "class 1", "class 1"]


def test_the_log_tells_which_map_it_was(batch: Path, tmp_path: Path, inspect_toy: Inspect) -> None:
    inspect_toy(batch, tmp_path / "out")
    lines = (tmp_path / "out" / "log.jsonl").read_text("utf-8").splitlines()
    explained = [entry for entry in map(json.loads, lines) if entry["event"] == "explained"]
    assert [(entry["target"], entry.get("role")) for entry in explained] == [
        ("class 1", None), ("normal", "runner-up")
    ]  # fmt: skip
