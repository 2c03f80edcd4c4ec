from dataclasses import replace

import numpy as np
import torch
from toys import CLASSES, toy_classifier

from inspection.pipeline.explainer import (
    SiseOptions,
    explained_region,
    make_explainer,
)
from sise.backends import Network


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
