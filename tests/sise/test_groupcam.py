import numpy as np
import pytest
import torch
from networks import small_cnn, some_images
from torch import nn
from torch.nn import functional

from sise.baselines import baseline_of
from sise.errors import LayerError, SiseError
from sise.masks import normalise
from sise.methods.groupcam import GroupCAM, grouped


def test_groups_by_hand() -> None:
    features = torch.zeros(1, 3, 2, 5)
    features[0, 0, 0] = torch.tensor([1.0, 2, 3, 4, 5])
    features[0, 1, 1] = torch.tensor([1.0, 2, 3, 4, 5])
    features[0, 2, 0] = torch.tensor([7.0, 1, 1, 1, 1])
    gradients = torch.ones(1, 3, 2, 5)
    gradients[0, 1] = 2
    gradients[0, 2] = -1
    groups = grouped(features, gradients, 2)
    # The first two maps are a group: 1 to 5 above, 2 to 10 below, of which the 70th percentile
    # is 4 + 0.3 · 1 of the sorted 1, 2, 2, 3, 4, 4, 5, 6, 8, 10: place 6.3 of 9, so 5.3.
    assert groups[0, 0].tolist() == [[0, 0, 0, 0, 0], [0, 0, 6, 8, 10]]
    assert groups[0, 1].count_nonzero() == 0  # negative throughout


def test_groups_are_neighbours_as_even_as_they_come() -> None:
    features = torch.eye(5).reshape(1, 5, 1, 5)
    groups = grouped(features, torch.ones(1, 5, 1, 5), 2)
    assert [group.nonzero()[:, 1].tolist() for group in groups[0]] == [[], [3, 4]]
    assert grouped(features, torch.ones(1, 5, 1, 5), 32).shape == (1, 5, 1, 5)


@torch.no_grad()
def one_by_one(model: nn.Module, image: torch.Tensor, label: int, groups: int) -> torch.Tensor:
    """The authors' loop in float64, one group at a time, with our blur: before it is rectified."""
    with torch.enable_grad():
        features = model[:7](image).detach().requires_grad_()
        (gradients,) = torch.autograd.grad(model[7:](features)[0, label], [features])
    weighted = gradients.mean(dim=(2, 3), keepdim=True) * features
    blurred = baseline_of(image, "blur")
    base = model(blurred).softmax(1)[0, label]
    total = torch.zeros_like(image[0, 0])
    for part in weighted.chunk(groups, dim=1):
        low = part.sum(dim=1, keepdim=True).relu()
        low = torch.where(low > np.percentile(low.numpy(), 70), low, 0.0)
        large = functional.interpolate(low, size=image.shape[2:], mode="bilinear")[0, 0]
        if large.max() == large.min():
            continue
        mask = (large - large.min()) / (large.max() - large.min())
        score = model(image * mask + blurred * (1 - mask)).softmax(1)[0, label]
        total += (score - base) * mask
    return total


@pytest.mark.parametrize(("label", "groups"), [(0, 4), (1, 32), (2, 5)])
def test_agrees_with_the_authors_loop(label: int, groups: int) -> None:
    network = small_cnn().double()
    image = some_images(1, (32, 40)).double()
    expected = one_by_one(network, image, label, groups).relu()
    explanation = GroupCAM(network, groups, precision="fp64", batch_size=3)(image, target=label)
    assert torch.allclose(explanation.layers[0].maps[0].double(), expected, atol=1e-6)
    assert torch.allclose(explanation.maps, normalise(expected[None])[0].float(), atol=1e-5)
    layer = explanation.layers[0]
    assert layer.found == min(12, len(torch.zeros(12).chunk(groups)))
    assert explanation.forwards.item() == layer.scored.item() + 2


def test_options_that_make_no_sense() -> None:
    with pytest.raises(SiseError, match="groups must be at least 1, not 0"):
        GroupCAM(small_cnn(), groups=0)
    with pytest.raises(LayerError, match="Group-CAM explains one layer, not 2"):
        GroupCAM(small_cnn(), layers=["2", "6"])
