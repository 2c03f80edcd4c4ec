import pytest
import torch
from networks import some_images
from torch import nn
from torchcam.methods import LayerCAM as TorchcamLayerCAM
from torchvision.models import resnet18

from sise.masks import normalise
from sise.methods.layercam import LayerCAM


def test_by_hand_each_place_has_its_own_weight() -> None:
    network = nn.Sequential(nn.Conv2d(3, 3, 1, bias=False), nn.Flatten(), nn.Linear(12, 2))
    with torch.no_grad():
        network[0].weight.copy_(torch.eye(3).reshape(3, 3, 1, 1))
        network[2].weight[0] = torch.tensor([1.0, 2, -3, 4, 0, -1, 1, 0, 2, 0, 0, -5])
    image = torch.tensor([[[[1.0, 1], [1, 2]], [[3, 3], [3, 3]], [[1, 1], [1, 1]]]])
    explanation = LayerCAM(network, layers=["0"], precision="fp64")(image, target=0)
    # Places with a negative gradient give nothing: 1·1 + 2·1, 2·1, 1·3, 4·2.
    assert explanation.layers[0].maps[0].tolist() == [[3, 2], [3, 8]]
    assert torch.allclose(explanation.maps[0], torch.tensor([[1 / 6, 0], [1 / 6, 1]]))


@pytest.mark.parametrize("layer", ["layer4", "layer2"])
def test_agrees_with_torchcam(layer: str) -> None:
    torch.manual_seed(0)
    network = resnet18(num_classes=5).eval()
    image = some_images(1, (64, 64))
    ours = LayerCAM(network, layers=[layer], precision="fp32")(image, target=3)
    with TorchcamLayerCAM(network, target_layer=layer) as extractor:
        coarse = extractor(3, network(image))[0]
    # torch-cam normalises before it upsamples, we after: undo ours by doing it once more.
    theirs = nn.functional.interpolate(coarse[None], size=(64, 64), mode="bilinear")[0]
    assert torch.allclose(ours.maps, normalise(theirs)[0], atol=1e-5)
