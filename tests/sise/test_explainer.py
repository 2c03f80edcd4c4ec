import math

import numpy as np
import pytest
import torch
from networks import HandNet, small_cnn, some_images
from skimage.filters import threshold_otsu
from textbook import explain as textbook_explain
from torch import nn
from torchvision.models import resnet18

from sise import SISE
from sise.errors import SiseError


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def hand_image() -> torch.Tensor:
    """Red in the upper left quarter of 4 x 4 pixels, blue in the lower right, one green pixel."""
    image = torch.zeros(3, 4, 4)
    image[0, :2, :2] = 1
    image[1, 0, 0] = 1
    image[2, 2:, 2:] = 1
    return image[None]


# The attribution masks of red and blue in the two blocks of HandNet, and their scores, by hand.
# Full resolution: the channels themselves, of area 4 each.
RED_1 = np.outer([1, 1, 0, 0], [1, 1, 0, 0])
BLUE_1 = np.outer([0, 0, 1, 1], [0, 0, 1, 1])
# red keeps red (4 pixels of 16) and the green pixel: 4/16 - 1/16; blue keeps blue, twice 4/16.
SCORE_RED_1, SCORE_BLUE_1 = sigmoid(3 / 16), sigmoid(8 / 16)
# Half resolution, upsampled: 1 falls off as 1, 3/4, 1/4, 0; the area is (1 + 3/4 + 1/4)² = 4.
RED_2 = np.outer([1, 0.75, 0.25, 0], [1, 0.75, 0.25, 0])
BLUE_2 = np.outer([0, 0.25, 0.75, 1], [0, 0.25, 0.75, 1])
# Over its own quarter a mask sums to 1.75², over the opposite one to 0.25².
SCORE_RED_2 = sigmoid((1.75**2 + 2 * 0.25**2 - 1) / 16)
SCORE_BLUE_2 = sigmoid((0.25**2 + 2 * 1.75**2 - 0) / 16)


def test_all_four_phases_by_hand() -> None:
    explanation = SISE(HandNet(), precision="fp64")(hand_image(), target=0)

    first = (SCORE_RED_1 * RED_1 / 4 + SCORE_BLUE_1 * BLUE_1 / 4) / 2
    second = (SCORE_RED_2 * RED_2 / 4 + SCORE_BLUE_2 * BLUE_2 / 4) / 2
    assert [layer.name for layer in explanation.layers] == ["block1", "block2"]
    np.testing.assert_allclose(explanation.layers[0].maps[0], first, rtol=1e-6)
    np.testing.assert_allclose(explanation.layers[1].maps[0], second, rtol=1e-6)

    shallow = (first - first.min()) / np.ptp(first)
    deeper = (second - second.min()) / np.ptp(second)
    fused = (shallow + deeper) * (deeper > threshold_otsu(deeper))
    expected = (fused - fused.min()) / np.ptp(fused)
    np.testing.assert_allclose(explanation.maps[0], expected, rtol=1e-6, atol=1e-7)

    assert explanation.targets.tolist() == [0]
    # The whole image: red 4/16 + twice blue 4/16 - green 1/16.
    assert explanation.scores.tolist() == pytest.approx([sigmoid(11 / 16)])
    assert explanation.status == ("ok",)
    assert [layer.found for layer in explanation.layers] == [3, 3]
    assert [layer.selected.tolist() for layer in explanation.layers] == [[2], [2]]
    assert explanation.forwards.tolist() == [5]  # two masks in each block, and the image itself


def test_mu_drops_the_map_with_the_smaller_gradient() -> None:
    # α is 1 for red and 2 for blue: 1 > 0.5 · 2 fails, and blue alone is left.
    explanation = SISE(HandNet(), mu=0.5, precision="fp64")(hand_image(), target=0)
    assert [layer.selected.tolist() for layer in explanation.layers] == [[1], [1]]
    expected = SCORE_BLUE_2 * BLUE_2 / 4
    np.testing.assert_allclose(explanation.layers[1].maps[0], expected, rtol=1e-6)


def test_the_other_class_is_explained_by_green_alone() -> None:
    explanation = SISE(HandNet(), precision="fp64")(hand_image(), target=1)
    assert [layer.selected.tolist() for layer in explanation.layers] == [[1], [1]]
    assert explanation.maps[0].argmax().item() == 0  # the green pixel is the first


def test_the_predicted_class_is_explained_unless_one_is_given() -> None:
    images = torch.cat([hand_image(), hand_image().flip(1)])  # red and blue swapped
    images[1, 1] = 1  # green everywhere: logit 1 wins
    explanation = SISE(HandNet(), precision="fp32")(images)
    assert explanation.targets.tolist() == [0, 1]


def test_constant_feature_maps_are_skipped_and_counted() -> None:
    image = hand_image()
    image[0, 0] = 0.5  # red is constant: α > 0, but no mask to be had of it
    explanation = SISE(HandNet(), precision="fp32")(image, target=0)
    assert [layer.constant.tolist() for layer in explanation.layers] == [[1], [1]]
    assert [layer.selected.tolist() for layer in explanation.layers] == [[1], [1]]
    assert explanation.forwards.tolist() == [3]


def test_no_positive_gradient_is_a_status_and_a_map_of_zeros() -> None:
    network = HandNet()
    with torch.no_grad():
        network.head.weight.copy_(torch.tensor([[-1.0, -1.0, -2.0], [0.0, 1.0, 0.0]]))
    explanation = SISE(network, precision="fp32")(hand_image(), target=0)
    assert explanation.status == ("no positive gradient",)
    assert explanation.maps.count_nonzero() == 0
    assert explanation.forwards.tolist() == [1]


def test_a_constant_image_is_a_status_and_a_map_of_zeros() -> None:
    explanation = SISE(HandNet(), precision="fp32")(torch.full((1, 3, 4, 4), 0.5), target=0)
    assert explanation.status == ("no positive gradient",)
    assert [layer.constant.tolist() for layer in explanation.layers] == [[3], [3]]
    assert explanation.maps.count_nonzero() == 0


def test_a_status_belongs_to_its_image_alone() -> None:
    images = torch.cat([torch.full((1, 3, 4, 4), 0.5), hand_image()])
    explanation = SISE(HandNet(), precision="fp32")(images, target=0)
    assert explanation.status == ("no positive gradient", "ok")
    alone = SISE(HandNet(), precision="fp32")(hand_image(), target=0)
    assert torch.equal(explanation.maps[1:], alone.maps)


def test_a_layer_without_positive_gradient_adds_nothing_and_says_so() -> None:
    network = HandNet()
    with torch.no_grad():
        # Block 2 negates its input and the head undoes it: there α is (-1, 0, -2).
        network.block2.weight.neg_()
        network.head.weight.copy_(torch.tensor([[-1.0, 0.0, -2.0], [0.0, 0.0, 0.0]]))
    explanation = SISE(network, precision="fp64")(hand_image(), target=0)
    assert [layer.selected.tolist() for layer in explanation.layers] == [[2], [0]]
    assert explanation.layers[1].maps.count_nonzero() == 0
    assert explanation.status == ("ok",)
    first = explanation.layers[0].maps
    np.testing.assert_allclose(explanation.maps, first / first.max(), rtol=1e-6)


def test_a_saturated_softmax_selects_what_the_unsaturated_one_does() -> None:
    images = some_images(1)
    calm = small_cnn()
    saturated = small_cnn()
    saturated[-1].bias.data[0] += 200  # p(class 0) = 1.0 in float32 and in float64
    before = SISE(calm, precision="fp64")(images, target=0)
    after = SISE(saturated, precision="fp32")(images, target=0)
    assert after.scores.tolist() == [1.0]
    for one, other in zip(before.layers, after.layers, strict=True):
        assert one.selected.tolist() == other.selected.tolist()
        assert one.selected.item() > 0
    assert after.status == ("ok",)


@pytest.mark.parametrize("mu", [0.0, 0.4])
@pytest.mark.parametrize("label", [0, 2])
def test_float64_equals_the_textbook(mu: float, label: int) -> None:
    network = small_cnn()
    image = some_images(1)
    explanation = SISE(network, mu=mu, precision="fp64")(image, target=label)
    names = [layer.name for layer in explanation.layers]
    assert names == ["2", "6"]
    expected = textbook_explain(network, image[0], label, names, mu)
    assert expected.max() == 1.0
    np.testing.assert_allclose(explanation.maps[0], expected, atol=1e-6)


@pytest.mark.slow
def test_float64_equals_the_textbook_on_resnet18() -> None:
    torch.manual_seed(0)
    network = resnet18(num_classes=5).eval()
    image = some_images(1, (64, 64))
    explanation = SISE(network, mu=0.6, precision="fp64", batch_size=64)(image)
    layers = ["relu", "layer1", "layer2", "layer3", "layer4"]
    assert [layer.name for layer in explanation.layers] == layers
    expected = textbook_explain(network, image[0], int(explanation.targets), layers, mu=0.6)
    np.testing.assert_allclose(explanation.maps[0], expected, atol=1e-6)


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-4), ("bf16", 0.02)])
def test_lower_precision_keeps_the_visualization_maps(precision: str, tolerance: float) -> None:
    images = some_images(2, (32, 32))
    exact = SISE(small_cnn(), precision="fp64")(images)
    rough = SISE(small_cnn(), precision=precision)(images, target=exact.targets)  # type: ignore[arg-type]
    for one, other in zip(exact.layers, rough.layers, strict=True):
        assert one.selected.tolist() == other.selected.tolist()
        error = (one.maps - other.maps).abs().amax(dim=(1, 2)) / one.maps.amax(dim=(1, 2))
        assert error.max() < tolerance


def test_the_batch_size_changes_nothing_but_rounding() -> None:
    images = some_images(3)
    whole = SISE(small_cnn(), precision="fp64", batch_size=64)(images)
    for batch_size in (1, 7):
        chunked = SISE(small_cnn(), precision="fp64", batch_size=batch_size)(images)
        assert torch.allclose(whole.maps, chunked.maps, atol=1e-6)
        assert whole.forwards.tolist() == chunked.forwards.tolist()


def test_layers_are_taken_by_name_or_as_modules() -> None:
    network = small_cnn()
    by_name = SISE(network, layers=["2", "6"], precision="fp32")(some_images(1))
    by_module = SISE(network, layers=[network[2], network[6]], precision="fp32")(some_images(1))
    found = SISE(network, precision="fp32")(some_images(1))
    assert torch.equal(by_name.maps, by_module.maps)
    assert torch.equal(by_name.maps, found.maps)


def test_a_layer_before_an_in_place_relu_is_seen_as_it_was_before() -> None:
    network = small_cnn()
    explanation = SISE(network, layers=["5"], precision="fp64")(some_images(1), target=0)
    without = nn.Sequential(*network)
    without[6] = nn.ReLU(inplace=False)
    expected = SISE(without, layers=["5"], precision="fp64")(some_images(1), target=0)
    assert torch.equal(explanation.maps, expected.maps)
    np.testing.assert_allclose(
        explanation.maps[0], textbook_explain(without, some_images(1)[0], 0, ["5"]), atol=1e-6
    )


def test_mu_below_zero_is_refused() -> None:
    with pytest.raises(SiseError, match="mu must be at least 0, not -1"):
        SISE(HandNet(), mu=-1)
    with pytest.raises(SiseError, match="mu must be at least 0, not nan"):
        SISE(HandNet(), mu=math.nan)
