import pytest
import torch
from networks import small_cnn, some_images
from torch import nn

from sise import SISE, GradCAM
from sise.errors import LayerError, SiseError
from sise.methods.untrained import Untrained, untrained


def trained() -> nn.Sequential:
    """A network none of whose tensors are as PyTorch makes them."""
    network = small_cnn()
    with torch.no_grad():
        for tensor in (*network.parameters(), *network.buffers()):
            if tensor.is_floating_point():
                tensor.mul_(2).add_(1)
    return network


def test_every_weight_is_new_and_the_model_is_left_alone() -> None:
    network = trained()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    copy, originals = untrained(network, seed=0)
    fresh = copy.state_dict()
    assert fresh.keys() == before.keys()
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key])
        assert not value.is_floating_point() or not torch.isclose(fresh[key], value).any()
    assert fresh["1.running_var"].tolist() == [1] * 8
    assert originals[copy[4]] is network[4]


def test_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(5)
    state = torch.get_rng_state()
    one, same, other = (untrained(trained(), seed)[0].state_dict() for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert not torch.equal(one["4.weight"], other["4.weight"])
    half = untrained(trained().half(), 0)[0].state_dict()
    assert all(torch.equal(one[key], half[key]) for key in one)


def test_a_weight_that_its_module_does_not_draw_is_shuffled() -> None:
    class Scale(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.arange(100.0).view(10, 10))

    module = Scale()
    scale = untrained(module, seed=0)[0].scale
    assert isinstance(scale, torch.Tensor)
    assert not torch.equal(scale, module.scale)
    assert torch.equal(scale.flatten().sort().values, module.scale.detach().flatten())


@pytest.mark.parametrize("method", [SISE, GradCAM])
def test_the_map_is_of_the_copy_and_the_score_of_the_model(method: type) -> None:
    network = trained()
    images = some_images(2)
    own = method(network, precision="fp64")(images)
    found = Untrained(network, method, seed=3, precision="fp64")(images)
    copy = untrained(network, seed=3)[0]
    expected = method(copy, precision="fp64")(images, target=own.targets)
    assert torch.equal(found.maps, expected.maps)
    assert not torch.allclose(found.maps, own.maps, atol=0.1)
    assert torch.equal(found.targets, own.targets)
    assert torch.equal(found.scores, own.scores)
    assert torch.equal(found.forwards, expected.forwards + 1)
    assert [layer.name for layer in found.layers] == [layer.name for layer in own.layers]


def test_layers_may_be_named_or_given_as_the_models_modules() -> None:
    network = small_cnn()
    images = some_images(1)
    named = Untrained(network, GradCAM, layers=["2"])(images)
    given = Untrained(nn.DataParallel(network), GradCAM, layers=[network[2]])(images)
    assert named.layers[0].name == given.layers[0].name == "2"
    assert torch.equal(named.maps, given.maps)
    assert not torch.equal(named.maps, Untrained(network, GradCAM)(images).maps)


def test_options_of_the_method_are_looked_at_at_once() -> None:
    with pytest.raises(LayerError, match="explains one layer, not 2"):
        Untrained(small_cnn(), GradCAM, layers=["2", "6"])
    with pytest.raises(SiseError, match="mu must be at least 0, not -1"):
        Untrained(small_cnn(), mu=-1)
    with pytest.raises(TypeError, match="colour"):
        Untrained(small_cnn(), GradCAM, colour="red")
