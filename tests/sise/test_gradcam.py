import pytest
import torch
from networks import HandNet, small_cnn, some_images
from torchcam.methods import GradCAM as TorchcamGradCAM
from torchvision.models import resnet18

from sise import GradCAM
from sise.errors import LayerError


def test_by_hand() -> None:
    image = torch.zeros(1, 3, 4, 4)
    image[0, 0, :2, :2] = 1
    image[0, 1, 2:, 2:] = 1
    # For class 0 the weights of block 2 are (1/4, 0, 2/4); red alone is there, and green, whose
    # logit is the other one, has weight 0.
    explanation = GradCAM(HandNet(), precision="fp64")(image, target=0)
    fall_off = torch.tensor([1, 0.75, 0.25, 0])
    assert torch.allclose(explanation.layers[0].maps[0], torch.outer(fall_off, fall_off) / 4)
    assert torch.allclose(explanation.maps[0], torch.outer(fall_off, fall_off))


def test_maps_that_are_negative_throughout_are_a_constant_map() -> None:
    network = HandNet()
    with torch.no_grad():
        network.head.weight.neg_()
    explanation = GradCAM(network)(torch.rand(1, 3, 4, 4), target=0)
    assert explanation.status == ("constant map",)
    assert explanation.maps.count_nonzero() == 0


@pytest.mark.parametrize("label", [0, 4])
def test_agrees_with_torchcam(label: int) -> None:
    torch.manual_seed(0)
    network = resnet18(num_classes=5).eval()
    image = some_images(1, (64, 64))
    ours = GradCAM(network, precision="fp32")(image, target=label)
    with TorchcamGradCAM(network, target_layer="layer4") as extractor:
        coarse = extractor(label, network(image))[0]
    # torch-cam normalises before it upsamples, we after: undo ours by doing it once more.
    theirs = torch.nn.functional.interpolate(coarse[None], size=(64, 64), mode="bilinear")[0, 0]
    theirs = (theirs - theirs.min()) / (theirs.max() - theirs.min())
    assert ours.layers[0].name == "layer4"
    assert torch.allclose(ours.maps[0], theirs, atol=1e-5)


def test_any_layer_may_be_named_but_only_one() -> None:
    assert GradCAM(small_cnn(), layers=["2"])(some_images(1)).layers[0].name == "2"
    with pytest.raises(LayerError, match="one layer, not 2"):
        GradCAM(small_cnn(), layers=["2", "6"])
