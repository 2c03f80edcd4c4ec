"""A patch's features, against what a hook on the network sees."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from toys import CLASSES, lively_network, toy_classifier

from inspection.pipeline.classifier import Classifier
from inspection.pipeline.explainer import PatchExplainer, PatchTask
from inspection.pipeline.features import make_features
from inspection.pipeline.settings import SiseOptions
from sise.backends import Network
from sise.bundle import ModelBundle
from sise.precision import forward_in


@pytest.fixture
def classifier() -> Classifier:
    model = lively_network().eval()
    toy = toy_classifier()
    network = Network(forward_in(model, torch.float32), torch.float32, static=False)
    bundle = ModelBundle(toy.bundle.card, model, "ef" * 32)
    return replace(toy, bundle=bundle, network=network)


def seen_by_a_hook(classifier: Classifier, images: torch.Tensor) -> np.ndarray:
    """ShuffleNet's last convolution, averaged over the image and scaled to length 1."""
    seen: list[torch.Tensor] = []
    handle = classifier.bundle.model.conv5.register_forward_hook(
        lambda _module, _inputs, output: seen.append(output)
    )
    with torch.no_grad():
        classifier.bundle.model(images)
    handle.remove()
    means = seen[0].mean(dim=(2, 3))
    return (means / means.norm(dim=1, keepdim=True)).numpy()


def test_features_are_the_last_blocks_means_of_length_one(classifier: Classifier) -> None:
    images = torch.rand(3, 3, 256, 256, generator=torch.Generator().manual_seed(1))
    found = make_features(classifier, 8)(images)
    assert found.dtype == np.float16
    expected = seen_by_a_hook(classifier, images)
    assert found.shape == expected.shape == (3, 1024)
    np.testing.assert_allclose(found.astype(np.float32), expected, atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(found.astype(np.float32), axis=1), 1, atol=1e-3)
    assert not classifier.bundle.model.training
    alone = make_features(classifier, 8)(images[1:2])
    assert alone.tobytes() == found[1:2].tobytes(), "whatever else is explained"


def test_an_explained_patch_has_them(classifier: Classifier) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (256, 256, 3), np.uint8)
    explainer = PatchExplainer(classifier, SiseOptions(budget=4), 8)
    first, second = explainer([PatchTask(pixels, CLASSES[1]), PatchTask(pixels, "", CLASSES[2])])
    images = classifier.bundle.preprocess(pixels[None])
    assert first.features == make_features(classifier, 8)(images)[0].tobytes()
    assert second.features is None, "only with the map of the class itself"
