from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from toys import CLASSES, FakeExplainer, strip, toy_classifier

from inspection.pipeline.explainer import (
    SiseOptions,
    explain,
    explained_region,
    make_explainer,
    measure,
)
from inspection.store.frames import arrays
from sise.backends import Network


def patches(*pixels: np.ndarray, target: str = "class 1") -> pd.DataFrame:
    frame = pd.DataFrame({"target": [target] * len(pixels)})
    return frame.assign(pixels=arrays(pixels, frame))


def probability_of_class_1(bright_share: float) -> float:
    logits = np.array([2, 40 * bright_share, 0, 0, 0])
    return float(np.exp(logits[1]) / np.exp(logits).sum())


def test_each_patch_is_explained_for_its_target() -> None:
    explainer = FakeExplainer(statuses={2: "no positive gradient"})
    rows = patches(strip(256, bright=[64]), strip(256, black=[64]))
    rows["target"] = ["class 1", "class 2"]
    explained = explain(rows, toy_classifier(), explainer)
    assert explainer.targets == [1, 2]
    assert explained["map_status"].tolist() == ["ok", "no positive gradient"]
    assert explained["forwards"].tolist() == [11, 11]
    assert explained["map"][0].shape == (256, 256)
    assert explained["map"][0][100, 70] == 1.0
    assert explained["map"][1].max() == 0.0


def test_drop_is_the_papers_on_a_patch_computed_by_hand() -> None:
    # A bright square of 64 x 64 px is 1/16 of the patch. The map is 1 there and 0 elsewhere, so
    # its top 15 % hold the whole square, and without them nothing bright is left.
    classifier = toy_classifier()
    rows = explain(patches(strip(256, bright=[64])), classifier, FakeExplainer())
    found = measure(rows, classifier, "grey").iloc[0]
    whole = probability_of_class_1(1 / 16)
    kept_logits = np.array([2, 40 / 16, 40 * (1 - round(0.15 * 65536) / 65536), 0, 0])
    kept = float(np.exp(kept_logits[1]) / np.exp(kept_logits).sum())
    assert found["whole_score"] == pytest.approx(whole, abs=1e-6)
    assert found["kept_score"] == pytest.approx(kept, abs=1e-6)
    assert found["drop"] == pytest.approx((whole - kept) / whole, abs=1e-5)
    removed_logits = np.array([2, 0, 40 * round(0.15 * 65536) / 65536, 0, 0])
    removed = float(1 / np.exp(removed_logits).sum())
    assert found["removed_score"] == pytest.approx(removed, abs=1e-6)


def test_drop_is_zero_where_the_kept_part_scores_higher() -> None:
    # Filled with black, nearly all of the patch is black: class 2 rises.
    classifier = toy_classifier()
    rows = explain(patches(strip(256, black=[64]), target="class 2"), classifier, FakeExplainer())
    found = measure(rows, classifier, "grey").iloc[0]
    assert found["kept_score"] > found["whole_score"]
    assert found["drop"] == 0.0


def test_without_a_map_there_is_nothing_to_measure() -> None:
    classifier = toy_classifier()
    explainer = FakeExplainer(statuses={1: "constant map"})
    rows = measure(
        explain(patches(strip(256, bright=[64])), classifier, explainer), classifier, "grey"
    )
    assert rows[["drop", "kept_score", "removed_score", "region_area"]].isna().all(axis=None)


def test_region_is_what_exceeds_otsu() -> None:
    heat = np.zeros((256, 256), np.float32)
    heat[10:30, 40:100] = 0.9
    heat[200, 3] = 1.0
    assert explained_region(heat) == (20 * 60 + 1, 3, 10, 97, 191)


def test_the_explainer_is_sise_on_the_classifiers_model_under_a_budget() -> None:
    classifier = toy_classifier()
    explainer = make_explainer(classifier, SiseOptions(), 4)
    assert explainer.mu == 0.0
    assert explainer.fusion == "geometric"
    assert explainer.engine.options.fill == "mean"
    assert explainer.budget == 98
    assert explainer.context == "reflect"
    assert explainer.evidence == "removed"
    assert explainer.engine.model is classifier.bundle.model
    assert explainer.engine.options.batch_size == 4
    assert classifier.classes == CLASSES


def test_the_options_reach_the_explainer() -> None:
    options = SiseOptions(
        budget=None,
        fill="blur",
        context=None,
        evidence="removed",
        fusion="soft",
    )
    explainer = make_explainer(toy_classifier(), options, 4)
    assert explainer.budget is None
    assert explainer.context is None
    assert explainer.evidence == "removed"
    assert explainer.fusion == "soft"
    assert explainer.engine.options.fill == "blur"
    assert explainer.engine.options.backend == "torch"


def test_masks_are_scored_by_the_network_that_classifies() -> None:
    classifier = toy_classifier()
    images = torch.rand(5, 3, 64, 64)
    asked = []

    def forward(inputs: torch.Tensor) -> torch.Tensor:
        asked.append(len(inputs))
        return classifier.bundle.model(inputs)

    network = Network(forward, torch.float32, static=False)
    explainer = make_explainer(replace(classifier, network=network), SiseOptions(), 4)
    found = explainer.engine.scoring_network(classifier.device).forward(images)
    assert asked == [5]
    torch.testing.assert_close(found, classifier.bundle.model(images))
