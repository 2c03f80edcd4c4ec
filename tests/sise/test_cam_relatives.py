"""HiResCAM, XGrad-CAM and Eigen-CAM: one formula each, and grad-cam as the oracle."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from networks import HandNet, small_cnn, some_images
from pytorch_grad_cam import EigenCAM as GradCamEigenCAM
from pytorch_grad_cam import HiResCAM as GradCamHiResCAM
from pytorch_grad_cam import XGradCAM as GradCamXGradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn

from sise import EigenCAM, GradCAM, HiResCAM, XGradCAM
from sise.errors import LayerError
from sise.explanation import Explainer


def looking(weights: list[float]) -> nn.Sequential:
    """Features that are the image's channels (2×2), and class 0 with `weights` of all 12."""
    network = nn.Sequential(nn.Conv2d(3, 3, 1, bias=False), nn.Flatten(), nn.Linear(12, 2))
    with torch.no_grad():
        network[0].weight.copy_(torch.eye(3).reshape(3, 3, 1, 1))
        network[2].weight[0] = torch.tensor(weights)
    return network.eval()


WEIGHTS = [1.0, 2, -3, 4, 0, -1, 1, 0, 2, 0, 0, -5]
IMAGE = torch.tensor([[[[1.0, 1], [1, 2]], [[3, 3], [3, 3]], [[1, 1], [1, 1]]]])


def test_hirescam_by_hand() -> None:
    explanation = HiResCAM(looking(WEIGHTS), layers=["0"], precision="fp64")(IMAGE, target=0)
    # 1 + 0 + 2, 2 - 3 + 0, -3 + 3 + 0, 8 + 0 - 5, rectified.
    assert explanation.layers[0].maps[0].tolist() == [[3, 0], [0, 3]]


def test_xgradcam_by_hand() -> None:
    explanation = XGradCAM(looking(WEIGHTS), layers=["0"], precision="fp64")(IMAGE, target=0)
    # Weights: (1 + 2 - 3 + 8) / 5, 0, (2 - 5) / 4; red is 1, 1, 1, 2.
    expected = torch.tensor([[1.6 - 0.75, 1.6 - 0.75], [1.6 - 0.75, 3.2 - 0.75]])
    assert torch.allclose(explanation.layers[0].maps[0], expected)


def test_xgradcam_gives_a_map_that_adds_up_to_nothing_no_weight() -> None:
    image = IMAGE.clone()
    image[0, 0] = torch.tensor([[1.0, -1], [2, -2]])
    explanation = XGradCAM(looking(WEIGHTS), layers=["0"], precision="fp64")(image, target=0)
    assert explanation.layers[0].maps.count_nonzero() == 0  # only blue, whose weight is negative


def test_eigencam_by_hand() -> None:
    image = torch.zeros(1, 3, 4, 4)
    image[0, 0, :2, :2] = -3  # one map alone: it is the direction, with the sign turned round
    explanation = EigenCAM(HandNet(), precision="fp64")(image)
    fall_off = torch.tensor([1, 0.75, 0.25, 0])
    assert torch.allclose(explanation.layers[0].maps[0], 3 * torch.outer(fall_off, fall_off))


def test_eigencam_is_the_first_singular_vector_whatever_the_class() -> None:
    network = small_cnn()
    image = some_images(1)
    features = network[:7](image)[0].detach().double().numpy()
    flat = features.reshape(12, -1)
    vectors = np.linalg.eigh(flat @ flat.T)[1]
    projection = np.abs(vectors[:, -1] @ flat).reshape(1, 1, *features.shape[1:])
    large = nn.functional.interpolate(torch.from_numpy(projection), (16, 24), mode="bilinear")[0]
    for label in (0, 1):
        found = EigenCAM(network, layers=["6"], precision="fp64")(image, target=label)
        assert torch.allclose(found.layers[0].maps, large.float(), atol=1e-5)


@pytest.mark.parametrize("method", [HiResCAM, XGradCAM])
def test_behind_a_mean_over_locations_it_is_grad_cam(method: Callable[..., Explainer]) -> None:
    expected = GradCAM(small_cnn(), layers=["6"], precision="fp64")(some_images(2)).maps
    found = method(small_cnn(), layers=["6"], precision="fp64")(some_images(2)).maps
    assert torch.allclose(found, expected, atol=1e-6)
    shallow = method(small_cnn(), layers=["2"], precision="fp64")(some_images(2)).maps
    grad_cam = GradCAM(small_cnn(), layers=["2"], precision="fp64")(some_images(2)).maps
    assert not torch.allclose(shallow, grad_cam, atol=0.05)


@pytest.mark.parametrize(
    ("ours", "theirs"), [(HiResCAM, GradCamHiResCAM), (XGradCAM, GradCamXGradCAM)]
)
@pytest.mark.parametrize("label", [0, 2])
def test_agrees_with_grad_cam_the_library(
    ours: Callable[..., Explainer], theirs: Any, label: int
) -> None:
    network = small_cnn()
    image = some_images(1)
    found = ours(network, layers=["2"], precision="fp32")(image, target=label).maps[0]
    with theirs(network, [network[2]]) as extractor:
        expected = torch.from_numpy(extractor(image, [ClassifierOutputTarget(label)])[0])
    assert torch.allclose(found, expected, atol=1e-4)


def test_eigencam_of_grad_cam_takes_means_off() -> None:
    network = small_cnn()
    image = some_images(1)
    found = EigenCAM(network, layers=["2"], precision="fp32")(image).maps[0]
    with GradCamEigenCAM(network, [network[2]]) as extractor:
        theirs = torch.from_numpy(extractor(image, [ClassifierOutputTarget(0)])[0])
    features = network[:3](image)[0].detach().flatten(1).T
    centred = features - features.mean(dim=0)
    projection = (centred @ torch.linalg.svd(centred, full_matrices=False)[2][0]).view(16, 24)
    agreements = [
        torch.corrcoef(torch.stack([theirs.flatten(), signed.relu().flatten()]))[0, 1]
        for signed in (projection, -projection)
    ]
    assert max(agreements) > 0.999
    assert not torch.allclose(found, theirs, atol=0.1)


@pytest.mark.parametrize("method", [HiResCAM, XGradCAM, EigenCAM])
def test_one_layer_only(method: Any) -> None:
    with pytest.raises(LayerError, match=f"{method.title} explains one layer, not 2"):
        method(small_cnn(), layers=["2", "6"])
