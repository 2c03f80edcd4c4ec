import pytest
import torch
from networks import HandNet, small_cnn, some_images
from torch import nn
from torch.nn import functional
from torchcam.methods import ScoreCAM as TorchcamScoreCAM

from sise.errors import LayerError
from sise.masks import normalise
from sise.methods.scorecam import ScoreCAM


def upsampled(maps: torch.Tensor, size: torch.Size) -> torch.Tensor:
    return functional.interpolate(maps[None, None], size=size, mode="bilinear")[0, 0]


@torch.no_grad()
def one_by_one(model: nn.Module, image: torch.Tensor, label: int, features: torch.Tensor):
    """The authors' loop in float64, one map at a time: the sum before it is rectified."""
    total = torch.zeros_like(image[0])
    for plane in features:
        large = upsampled(plane, image.shape[1:])
        if large.min() == large.max():
            continue
        mask = (large - large.min()) / (large.max() - large.min())
        total += model((image * mask)[None]).softmax(1)[0, label] * large
    return total


@pytest.mark.parametrize("label", [0, 2])
def test_agrees_with_the_authors_loop(label: int) -> None:
    network = small_cnn().double()
    image = some_images(1).double()
    expected = one_by_one(network, image[0], label, network[:7](image)[0])
    explanation = ScoreCAM(network, precision="fp64", batch_size=5)(image, target=label)
    assert torch.allclose(explanation.layers[0].maps[0].double(), expected, atol=1e-6)
    assert torch.allclose(explanation.maps, normalise(expected[None])[0].float(), atol=1e-6)
    assert explanation.forwards.tolist() == [13]


def test_by_hand() -> None:
    # The maps are the image's channels, halved. Masks: red and blue are 1 in a corner and 0
    # elsewhere after min-max, so the image masked by red is red alone: mean 1/16 · (corner).
    image = torch.zeros(1, 3, 4, 4)
    image[0, 0, :2, :2] = 1
    image[0, 1] = 3  # constant: skipped
    explanation = ScoreCAM(HandNet(), precision="fp64")(image, target=0)
    fall_off = torch.tensor([1, 0.75, 0.25, 0])
    mask = torch.outer(fall_off, fall_off)
    logits = torch.stack([(image[0, 0] * mask).mean(), (image[0, 1] * mask).mean()])
    weight = logits.softmax(0)[0]
    assert torch.allclose(explanation.layers[0].maps[0], weight * mask)
    assert torch.allclose(explanation.maps[0], mask)
    layer = explanation.layers[0]
    assert (layer.found, layer.constant.item(), layer.selected.item()) == (3, 2, 1)
    assert (layer.scored.item(), explanation.forwards.item()) == (1, 2)


def test_negative_sums_are_rectified() -> None:
    image = torch.zeros(1, 3, 4, 4)
    image[0, 0, :2, :2] = -1
    explanation = ScoreCAM(HandNet())(image, target=0)
    assert explanation.status == ("constant map",)


def test_an_image_whose_maps_are_all_constant() -> None:
    explanation = ScoreCAM(HandNet())(torch.ones(1, 3, 4, 4))
    assert explanation.status == ("constant map",)
    assert explanation.forwards.tolist() == [1]


@torch.no_grad()
def test_torchcam_weights_by_a_softmax_over_maps() -> None:
    network = small_cnn()
    image = some_images(1)
    features = network[:7](image)[0]
    with TorchcamScoreCAM(network, target_layer="6") as extractor:
        theirs = extractor(1, network(image))[0]
    # It takes the rise of the logit, and normalises maps before it upsamples them.
    masks = [upsampled(plane, image.shape[2:]) for plane in normalise(features)[0]]
    rises = [(network(image * mask) - network(image))[0, 1] for mask in masks]
    weights = torch.stack(rises).softmax(0)
    assert torch.allclose(
        theirs, normalise(torch.einsum("n,nhw->hw", weights, features).relu()[None])[0], atol=1e-5
    )
    ours = ScoreCAM(network, precision="fp32")(image, target=1).maps
    coarse = functional.interpolate(theirs[None], size=image.shape[2:], mode="bilinear")[0]
    assert not torch.allclose(ours, coarse, atol=0.05)


def test_fills_change_what_is_scored() -> None:
    images = some_images(1)
    grey = ScoreCAM(small_cnn(), precision="fp64")(images)
    blurred = ScoreCAM(small_cnn(), fill="blur", precision="fp64")(images)
    assert not torch.allclose(grey.maps, blurred.maps, atol=1e-3)


def test_one_layer_only() -> None:
    assert ScoreCAM(small_cnn(), layers=["2"])(some_images(1)).layers[0].name == "2"
    with pytest.raises(LayerError, match="Score-CAM explains one layer, not 2"):
        ScoreCAM(small_cnn(), layers=["2", "6"])
