"""What every explainer promises, whatever its method."""

import pytest
import torch
from explainers import EXPLAINERS, make
from networks import small_cnn, some_images
from torch import nn

from sise.errors import LayerError, SiseError

pytestmark = pytest.mark.parametrize("name", EXPLAINERS)


def test_shapes_dtypes_and_ranges(name: str) -> None:
    explanation = make(name, small_cnn())(some_images(3, (16, 24)))
    assert explanation.maps.shape == (3, 16, 24)
    assert explanation.maps.dtype == torch.float32
    assert explanation.maps.amin(dim=(1, 2)).tolist() == [0, 0, 0]
    assert explanation.maps.amax(dim=(1, 2)).tolist() == [1, 1, 1]
    assert explanation.targets.dtype == torch.int64
    assert explanation.scores.dtype == torch.float32
    assert explanation.status == ("ok", "ok", "ok")
    assert explanation.forwards.dtype == torch.int64
    for layer in explanation.layers:
        assert layer.maps.shape == (3, 16, 24)


def test_targets_and_scores_are_the_models_own(name: str) -> None:
    network = small_cnn()
    images = some_images(3)
    probabilities = network(images).softmax(1)
    explanation = make(name, network, precision="fp32")(images)
    assert torch.equal(explanation.targets, probabilities.argmax(1))
    assert torch.allclose(explanation.scores, probabilities.amax(1))


@pytest.mark.parametrize("target", [2, [2, 2, 2], torch.tensor([2, 2, 2]), torch.tensor(2)])
def test_a_target_may_be_an_int_a_list_or_a_tensor(name: str, target: object) -> None:
    network = small_cnn()
    images = some_images(3)
    explanation = make(name, network, precision="fp32")(images, target=target)
    assert explanation.targets.tolist() == [2, 2, 2]
    assert torch.allclose(explanation.scores, network(images).softmax(1)[:, 2])


def test_each_image_may_have_its_own_target(name: str) -> None:
    images = some_images(3)
    explainer = make(name, small_cnn(), precision="fp64", batch_size=5)
    together = explainer(images, target=[2, 0, 1])
    for index, label in enumerate([2, 0, 1]):
        alone = explainer(images[index : index + 1], target=label)
        assert torch.allclose(together.maps[index], alone.maps[0], atol=1e-6)


def test_a_batch_of_three_equals_three_of_one(name: str) -> None:
    explainer = make(name, small_cnn(), precision="fp64")
    images = some_images(3)
    together = explainer(images)
    alone = [explainer(image[None]) for image in images]
    assert torch.allclose(together.maps, torch.cat([one.maps for one in alone]), atol=1e-6)
    assert together.forwards.tolist() == [one.forwards.item() for one in alone]


def test_the_same_input_gives_the_same_bits(name: str) -> None:
    explainer = make(name, small_cnn())
    images = some_images(2)
    assert torch.equal(explainer(images).maps, explainer(images).maps)


@pytest.mark.parametrize("precision", ["fp32", "fp64", "bf16"])
def test_the_model_is_given_back_as_it_was(name: str, precision: str) -> None:
    network = small_cnn()
    network.train()
    network[1].eval()
    network[0].weight.requires_grad_(False)
    network[4].weight.grad = torch.full_like(network[4].weight, 3.0)
    state = {key: value.clone() for key, value in network.state_dict().items()}
    modes = [module.training for module in network.modules()]

    make(name, network, precision=precision)(some_images(1))

    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    assert all(value.dtype == state[key].dtype for key, value in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())
    assert not any(module._backward_hooks for module in network.modules())
    assert network[0].weight.grad is None
    assert network[4].weight.grad.eq(3).all()
    assert not network[0].weight.requires_grad
    assert network[4].weight.requires_grad


def test_the_model_is_given_back_after_an_error_too(name: str) -> None:
    network = small_cnn()
    network.train()
    explainer = make(name, network)
    with pytest.raises(SiseError, match="classes go from 0 to 2"):
        explainer(some_images(1), target=3)
    assert network.training
    assert not any(module._forward_hooks for module in network.modules())


def test_the_images_are_left_alone(name: str) -> None:
    images = some_images(2)
    before = images.clone()
    make(name, small_cnn())(images)
    assert torch.equal(images, before)
    assert not images.requires_grad


def test_a_model_in_training_mode_is_explained_in_evaluation_mode(name: str) -> None:
    network = small_cnn()
    expected = make(name, network)(some_images(2)).maps
    network.train()
    assert torch.equal(make(name, network)(some_images(2)).maps, expected)


def test_frozen_weights(name: str) -> None:
    expected = make(name, small_cnn())(some_images(2)).maps
    frozen = small_cnn().requires_grad_(False)
    assert torch.equal(make(name, frozen)(some_images(2)).maps, expected)


@pytest.mark.parametrize("around", [torch.no_grad, torch.inference_mode])
def test_autograd_may_be_off_around_the_call(name: str, around: type) -> None:
    expected = make(name, small_cnn())(some_images(2)).maps
    with around():
        images = some_images(2)
        assert torch.equal(make(name, small_cnn())(images).maps, expected)
        assert not torch.is_grad_enabled()


def test_a_half_precision_model_is_computed_in_float32(name: str) -> None:
    network = small_cnn().half()
    widened = small_cnn().half().float()
    expected = make(name, widened, precision="fp32")(some_images(1)).maps
    explanation = make(name, network, precision="fp32")(some_images(1))
    assert torch.equal(explanation.maps, expected)
    assert network[0].weight.dtype == torch.float16


def test_a_constant_image_gives_no_nan(name: str) -> None:
    explanation = make(name, small_cnn())(torch.zeros(1, 3, 16, 16))
    assert explanation.maps.isfinite().all()
    assert explanation.maps.amin() >= 0
    assert explanation.maps.amax() <= 1


def test_an_image_of_nan_is_a_status(name: str) -> None:
    images = some_images(2)
    images[0, 0, 3, 3] = torch.nan
    explanation = make(name, small_cnn(), precision="fp32")(images)
    assert explanation.status == ("not finite", "ok")
    assert explanation.maps[0].count_nonzero() == 0
    alone = make(name, small_cnn(), precision="fp32")(images[1:])
    assert torch.allclose(explanation.maps[1], alone.maps[0], atol=1e-5)


@pytest.mark.parametrize(
    ("images", "complaint"),
    [
        (torch.zeros(3, 16, 16), r"must be a floating-point tensor \(B, 3, H, W\)"),
        (torch.zeros(1, 1, 16, 16), r"not torch.float32 \(1, 1, 16, 16\)"),
        (torch.zeros(1, 3, 16, 16, dtype=torch.uint8), "not torch.uint8"),
        (torch.zeros(0, 3, 16, 16), "images is empty"),
    ],
)
def test_images_that_make_no_sense(name: str, images: torch.Tensor, complaint: str) -> None:
    with pytest.raises(SiseError, match=complaint):
        make(name, small_cnn())(images)


@pytest.mark.parametrize(
    ("target", "complaint"),
    [
        (-1, "classes go from 0 to 2"),
        ([0, 3], "classes go from 0 to 2"),
        ([0, 1, 2], r"target has shape \(3,\); 2 images need \(2,\)"),
        (1.0, "must hold class indices, not torch.float32"),
        ([True, False], "must hold class indices, not torch.bool"),
    ],
)
def test_targets_that_make_no_sense(name: str, target: object, complaint: str) -> None:
    with pytest.raises(SiseError, match=complaint):
        make(name, small_cnn())(some_images(2), target=target)


@pytest.mark.parametrize(
    ("layers", "complaint"),
    [
        (["nowhere"], "no module named 'nowhere'"),
        ([nn.ReLU()], "ReLU is not a module of this model"),
        (["9"], "does not return feature maps"),
    ],
)
def test_layers_that_make_no_sense(name: str, layers: list[str], complaint: str) -> None:
    with pytest.raises(LayerError, match=complaint):
        make(name, small_cnn(), layers=layers)(some_images(1))


def test_options_that_make_no_sense(name: str) -> None:
    with pytest.raises(SiseError, match="batch_size"):
        make(name, small_cnn(), batch_size=0)
    with pytest.raises(SiseError, match="precision 'fp8': one of auto, fp64, fp32, bf16"):
        make(name, small_cnn(), precision="fp8")(some_images(1))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize("precision", ["fp32", "fp64", "bf16"])
def test_on_a_gpu_the_maps_are_those_of_the_cpu(name: str, precision: str) -> None:
    images = some_images(2, (32, 32))
    on_cpu = make(name, small_cnn(), precision="fp64")(images)
    on_gpu = make(name, small_cnn().cuda(), precision=precision)(images.cuda(), on_cpu.targets)
    assert on_gpu.maps.device.type == "cuda"
    pairs = zip(on_cpu.maps.flatten(1), on_gpu.maps.cpu().flatten(1), strict=True)
    for one, other in pairs:
        assert torch.corrcoef(torch.stack([one, other]))[0, 1] > 0.99
