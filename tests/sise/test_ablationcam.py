from collections.abc import Callable

import pytest
import torch
from networks import HandNet, small_cnn, some_images
from pytorch_grad_cam import AblationCAM as GradCamAblationCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn

from sise.errors import LayerError
from sise.methods.ablationcam import AblationCAM


def test_by_hand() -> None:
    image = torch.zeros(1, 3, 4, 4)
    image[0, 0, :2, :2] = 1
    image[0, 2, 2:, 2:] = 1
    # Means are 1/4 of red and of blue, so the logit of class 0 is 1/4 + 2/4. Without red it loses
    # 1/4, without blue 2/4. Green is zero: no pass.
    explanation = AblationCAM(HandNet(), precision="fp64")(image, target=0)
    fall_off = torch.tensor([1, 0.75, 0.25, 0])
    red, blue = torch.outer(fall_off, fall_off), torch.outer(fall_off.flip(0), fall_off.flip(0))
    layer = explanation.layers[0]
    assert torch.allclose(layer.maps[0], red / 4 + blue / 2)
    assert (layer.found, layer.constant.item(), layer.scored.item()) == (3, 1, 2)
    assert explanation.forwards.tolist() == [3]


@pytest.mark.parametrize("layer", ["2", "6"])
def test_each_weight_is_what_the_logit_loses(layer: str) -> None:
    network = small_cnn().double()
    image = some_images(1).double()
    place = int(layer) + 1
    with torch.no_grad():
        features = network[:place](image)
        whole = network(image)[0, 1]
        expected = torch.zeros_like(features[0, 0])
        for k in range(features.shape[1]):
            without = features.clone()
            without[0, k] = 0
            expected += (whole - network[place:](without)[0, 1]) * features[0, k]
    rectified = expected.relu()[None, None]
    large = nn.functional.interpolate(rectified, size=(16, 24), mode="bilinear")[0]
    explainer = AblationCAM(network, layers=[layer], precision="fp64", batch_size=5)
    found = explainer(image, target=1).layers[0].maps
    assert torch.allclose(found.double(), large, atol=1e-6)


@pytest.mark.parametrize("label", range(3))
def test_agrees_with_grad_cam_but_where_the_logit_is_negative(label: int) -> None:
    network = small_cnn()
    image = some_images(1)
    logit = network(image)[0, label]
    ours = AblationCAM(network, layers=["6"], precision="fp32")(image, target=label).maps[0]
    with GradCamAblationCAM(network, [network[6]], batch_size=5) as extractor:
        theirs = torch.from_numpy(extractor(image, [ClassifierOutputTarget(label)])[0])
    if logit > 0:
        assert torch.corrcoef(torch.stack([ours, theirs]).flatten(1))[0, 1] > 0.999
    else:  # it divides by the logit, which turns the map round
        assert not (theirs[ours > 0.5] > 0.5).any()


class Joining(nn.Module):
    """Joins the output of "second" with that of "first" by `join`."""

    def __init__(self, join: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.first = nn.Conv2d(3, 6, 3, padding=1)
            self.second = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.ReLU())
            self.head = nn.LazyLinear(3)
        self.join = join

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        first = self.first(images)
        joined = self.join(first, self.second(first))
        logits: torch.Tensor = self.head(joined.mean(dim=(2, 3)).view(len(images), -1))
        return logits


@pytest.mark.parametrize(
    "join",
    [torch.add, lambda one, other: other.add_(one), lambda *both: torch.cat(both, dim=1)],
    ids=["sum", "in place", "side by side"],
)
def test_a_layer_whose_output_is_joined_with_something_earlier(
    join: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
) -> None:
    network = Joining(join).double()
    image = some_images(1).double()
    with torch.no_grad():
        whole = network(image)[0, 2]
        features = network.second(network.first(image))
        expected = torch.zeros_like(features[0, 0])
        for k in range(6):
            handle = network.second.register_forward_hook(
                lambda _m, _i, output, k=k: output.index_fill(1, torch.tensor([k]), 0)
            )
            expected += (whole - network(image)[0, 2]) * features[0, k]
            handle.remove()
    explainer = AblationCAM(network, layers=["second"], precision="fp64")
    assert torch.allclose(
        explainer(image, target=2).layers[0].maps[0].double(), expected.relu(), atol=1e-6
    )


def test_one_layer_only() -> None:
    with pytest.raises(LayerError, match="Ablation-CAM explains one layer, not 2"):
        AblationCAM(small_cnn(), layers=["2", "6"])
