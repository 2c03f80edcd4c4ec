import pytest
import torch
from networks import HandNet, some_images
from torch.nn import functional
from torchcam.methods import GradCAMpp as TorchcamGradCAMpp
from torchvision.models import resnet18

from sise.blocks import Layer
from sise.capture import capture
from sise.errors import LayerError
from sise.masks import normalise
from sise.methods.gradcam_pp import GradCAMpp


def two_corners() -> torch.Tensor:
    """Red in the top left quarter, blue in the bottom right one."""
    image = torch.zeros(1, 3, 4, 4)
    image[0, 0, :2, :2] = 1
    image[0, 2, 2:, 2:] = 1
    return image


def test_by_hand() -> None:
    # At block 2, 2×2: g is 1/4 for red and 1/2 for blue, everywhere, and ΣA is 1 for both. So
    # α is 1/(2 + 1/4) and 1/(2 + 1/2), and the weights are 4 · g · α: 4/9 and 4/5.
    explanation = GradCAMpp(HandNet(), precision="fp64")(two_corners(), target=0)
    fall_off = torch.tensor([1, 0.75, 0.25, 0])
    red, blue = torch.outer(fall_off, fall_off), torch.outer(fall_off.flip(0), fall_off.flip(0))
    assert explanation.layers[0].name == "block2"
    assert torch.allclose(explanation.layers[0].maps[0], red * 4 / 9 + blue * 4 / 5)
    assert explanation.maps[0, 3, 3] == 1
    assert explanation.forwards.tolist() == [1]


def test_the_closed_form_is_the_papers_definition() -> None:
    """α of the paper's definition, from second and third derivatives of Y = exp(S)."""
    network = HandNet().double()
    image = torch.rand(1, 3, 4, 4, dtype=torch.float64)
    features = functional.avg_pool2d(image, 2)[0]

    def score(maps: torch.Tensor) -> torch.Tensor:
        return network.head(maps.mean(dim=(1, 2)))[0].exp()

    expected = torch.zeros(2, 2, dtype=torch.float64)
    for channel in range(3):
        weight = torch.zeros((), dtype=torch.float64)
        for place in range(4):
            step = torch.zeros((), dtype=torch.float64, requires_grad=True)
            unit = functional.one_hot(torch.tensor(4 * channel + place), 12).view(3, 2, 2)
            derivatives = [score(features + step * unit)]
            for _ in range(3):
                derivatives += torch.autograd.grad(derivatives[-1], step, create_graph=True)
            _, first, second, third = derivatives
            denominator = 2 * second + features[channel].sum() * third
            if denominator != 0:  # green's derivatives are all 0
                weight = weight + second / denominator * first.relu()
        expected += (weight * features[channel]).detach()
    explanation = GradCAMpp(network, precision="fp64")(image, target=0)
    map_of = functional.interpolate(expected[None, None], size=(4, 4), mode="bilinear")[0, 0]
    factor = score(features).float().detach()
    assert torch.allclose(explanation.layers[0].maps[0] * factor, map_of.float(), atol=1e-6)


def test_torchcam_forgets_to_divide() -> None:
    torch.manual_seed(0)
    network = resnet18(num_classes=5).eval()
    image = some_images(1, (64, 64))
    with TorchcamGradCAMpp(network, target_layer="layer4") as extractor:
        theirs = extractor(4, network(image))[0]
    layer = Layer("layer4", network.layer4)
    seen = capture(network, [layer], image, 4, "logit")
    features, gradients = seen.features[0][0], seen.gradients[0][0]
    undivided = gradients.relu().pow(3).sum(dim=(1, 2))
    as_theirs = normalise(torch.einsum("n,nhw->hw", undivided, features)[None])[0]
    assert torch.allclose(theirs, as_theirs, atol=1e-3)
    alpha = gradients.pow(2) / (
        2 * gradients.pow(2) + gradients.pow(3) * features.sum(dim=(1, 2), keepdim=True)
    )
    divided = (alpha.nan_to_num(0) * gradients.relu()).sum(dim=(1, 2))
    ours = GradCAMpp(network, precision="fp32")(image, target=4).layers[0].maps[0]
    low = torch.einsum("n,nhw->hw", divided, features)[None, None]
    expected = functional.interpolate(low, size=(64, 64), mode="bilinear")[0, 0]
    assert torch.allclose(ours, expected, atol=1e-6)
    assert not torch.allclose(normalise(low[0])[0], theirs, atol=1e-2)


def test_a_map_that_meets_the_pole_is_finite() -> None:
    # Red is -8 at one place of four and g is 1/4, so 2 + g · ΣA is 0.
    image = torch.zeros(1, 3, 4, 4)
    image[0, 0, :2, :2] = -8
    explanation = GradCAMpp(HandNet(), precision="fp64")(image, target=0)
    assert explanation.layers[0].maps.isfinite().all()
    assert explanation.status == ("constant map",)  # 1 · -8, rectified


def test_one_layer_only() -> None:
    with pytest.raises(LayerError, match=r"Grad-CAM\+\+ explains one layer, not 2"):
        GradCAMpp(HandNet(), layers=["block1", "block2"])
