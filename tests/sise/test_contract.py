"""What every explainer promises, whatever its method."""

import copy
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from explainers import (
    DIFFERENCES,
    EXPLAINERS,
    LAYERED,
    NO_GRADIENTS,
    ONLY_GRADIENTS,
    UNTRAINED,
    layers_for,
    make,
    probabilities,
)
from networks import Breaking, Returning, small_cnn, snapshot, some_images
from torch import nn
from torch.nn.utils import parametrizations

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
    expected = probabilities(name, network(images))
    explanation = make(name, network, precision="fp32")(images)
    assert torch.equal(explanation.targets, expected.argmax(1))
    assert torch.allclose(explanation.scores, expected.amax(1))


@pytest.mark.parametrize("target", [2, [2, 2, 2], torch.tensor([2, 2, 2]), torch.tensor(2)])
def test_a_target_may_be_an_int_a_list_or_a_tensor(name: str, target: object) -> None:
    network = small_cnn()
    images = some_images(3)
    explanation = make(name, network, precision="fp32")(images, target=target)
    assert explanation.targets.tolist() == [2, 2, 2]
    assert torch.allclose(explanation.scores, probabilities(name, network(images))[:, 2])


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
    before = snapshot(network)
    make(name, network, precision=precision)(some_images(1))
    assert snapshot(network) == before


@pytest.mark.parametrize("precision", ["fp32", "fp64", "bf16"])
def test_the_model_is_given_back_after_an_error_too(name: str, precision: str) -> None:
    network = small_cnn()
    network.train()
    explainer = make(name, network, precision=precision)
    before = snapshot(network)
    with pytest.raises(SiseError, match="classes go from 0 to 2"):
        explainer(some_images(1), target=3)
    assert snapshot(network) == before


def test_the_images_are_left_alone(name: str) -> None:
    images = some_images(2)
    before = images.clone()
    # Even from a network that works on its input in place.
    network = nn.Sequential(nn.ReLU(inplace=True), *small_cnn()).eval()
    explanation = make(name, network, precision="fp32")(images)
    assert torch.equal(images, before)
    assert not images.requires_grad
    network[0] = nn.ReLU()
    assert torch.equal(explanation.maps, make(name, network, precision="fp32")(images).maps)


def test_images_may_require_gradients_and_get_none(name: str) -> None:
    images = some_images(2).requires_grad_()
    explanation = make(name, small_cnn())(images)
    assert torch.equal(explanation.maps, make(name, small_cnn())(some_images(2)).maps)
    assert images.grad is None
    assert not explanation.maps.requires_grad
    assert not explanation.scores.requires_grad


@pytest.mark.parametrize(
    "laid_out",
    [
        lambda images: images.to(memory_format=torch.channels_last),
        lambda images: images.transpose(2, 3).contiguous().transpose(2, 3),
        lambda images: images.repeat_interleave(2, dim=3)[:, :, :, ::2],
        lambda images: images[:1].expand(2, 3, 16, 24),
    ],
)
def test_the_layout_of_images_in_memory_does_not_matter(
    name: str, laid_out: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    images = laid_out(some_images(2))
    expected = make(name, small_cnn(), precision="fp64")(images.contiguous()).maps
    found = make(name, small_cnn(), precision="fp64")(images).maps
    assert torch.allclose(found, expected, atol=1e-6)


def test_a_batch_of_64(name: str) -> None:
    images = some_images(64, (8, 8))
    explanation = make(name, small_cnn(), precision="fp64", batch_size=40)(images)
    assert explanation.maps.shape == (64, 8, 8)
    assert len(explanation.status) == 64
    for index in (0, 4, 5, 63):  # five images at a time go through the backward pass
        alone = make(name, small_cnn(), precision="fp64")(images[index : index + 1])
        assert torch.allclose(explanation.maps[index], alone.maps[0], atol=1e-6)
        assert explanation.forwards[index] == alone.forwards[0]


def test_images_smaller_than_the_stride(name: str) -> None:
    if name not in LAYERED - UNTRAINED:
        assert make(name, small_cnn())(some_images(2, (2, 3))).maps.shape == (2, 2, 3)
        return
    # The second block sees one location, which explains nothing; the first sees six.
    explanation = make(name, small_cnn())(some_images(2, (2, 3)))
    assert explanation.maps.shape == (2, 2, 3)
    assert [layer.name for layer in explanation.layers] == ["2"]
    with pytest.raises(SiseError, match=r"does not run on an image \(1, 3, 1, 1\)"):
        make(name, small_cnn())(some_images(1, (1, 1)))


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


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_model_of_another_precision_is_computed_in_the_one_asked_for(
    name: str, dtype: torch.dtype
) -> None:
    network = small_cnn().to(dtype)
    before = snapshot(network)
    expected = make(name, small_cnn().to(dtype).float(), precision="fp32")(some_images(1)).maps
    assert torch.equal(make(name, network, precision="fp32")(some_images(1)).maps, expected)
    assert snapshot(network) == before


def test_a_constant_image_gives_no_nan(name: str) -> None:
    explanation = make(name, small_cnn())(torch.zeros(1, 3, 16, 16))
    assert explanation.maps.isfinite().all()
    assert explanation.maps.amin() >= 0
    assert explanation.maps.amax() <= 1


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_an_image_that_is_not_finite_is_a_status(name: str, value: float) -> None:
    images = some_images(3)
    images[1, 0, 3, 3] = value
    explanation = make(name, small_cnn(), precision="fp32")(images, target=[2, 1, 0])
    assert explanation.status == ("ok", "not finite", "ok")
    assert explanation.maps[1].count_nonzero() == 0
    assert explanation.targets.tolist() == [2, 1, 0]
    untouched = make(name, small_cnn(), precision="fp32")(images[::2], target=[2, 0])
    assert torch.allclose(explanation.maps[::2], untouched.maps, atol=1e-5)
    assert explanation.forwards[::2].tolist() == untouched.forwards.tolist()


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_logits_that_are_not_finite_are_a_status(name: str, value: float) -> None:
    images = some_images(2)
    images[0] *= 1e6
    explanation = make(name, nn.Sequential(*small_cnn(), Breaking(value)).eval())(images)
    assert explanation.status == ("not finite", "ok")
    assert explanation.maps[0].count_nonzero() == 0
    assert 0 <= explanation.targets[0] <= 2
    assert not explanation.scores[0].isfinite()
    assert torch.equal(
        explanation.maps[1], make(name, small_cnn())(images, explanation.targets).maps[1]
    )


@pytest.mark.parametrize(
    ("images", "complaint"),
    [
        (torch.zeros(3, 16, 16), r"must be a floating-point tensor \(B, 3, H, W\)"),
        (torch.zeros(1, 1, 16, 16), r"not torch.float32 \(1, 1, 16, 16\)"),
        (torch.zeros(1, 3, 16, 16, dtype=torch.uint8), "not torch.uint8"),
        (torch.zeros(0, 3, 16, 16), "images is empty"),
        (torch.zeros(1, 3, 16, 16).numpy(), r"must be a tensor \(B, 3, H, W\), not a ndarray"),
        (torch.zeros(1, 3, 16, 16, device="meta"), "images are on meta, the model is on cpu; move"),
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
    if name not in LAYERED:
        pytest.skip("explains no layers")
    with pytest.raises(LayerError, match=complaint):
        make(name, small_cnn(), layers=layers)(some_images(1))


def test_options_that_make_no_sense(name: str) -> None:
    with pytest.raises(SiseError, match="batch_size"):
        make(name, small_cnn(), batch_size=0)
    with pytest.raises(SiseError, match="precision 'fp8': one of auto, fp64, fp32, bf16"):
        make(name, small_cnn(), precision="fp8")(some_images(1))


def boom(*_: object) -> None:
    raise ZeroDivisionError("the user's own")


@pytest.mark.parametrize("wrap", [nn.DataParallel, lambda net: torch.compile(net, backend=boom)])
def test_wrappers_are_looked_through(name: str, wrap: Callable[[nn.Module], nn.Module]) -> None:
    network = small_cnn()
    expected = make(name, network)(some_images(2))
    wrapped = wrap(network)
    before = snapshot(wrapped)
    found = make(name, wrapped)(some_images(2))
    assert torch.equal(found.maps, expected.maps)
    assert [layer.name for layer in found.layers] == [layer.name for layer in expected.layers]
    prefix = next(key for key, _ in wrapped.named_children())
    for layers in (["2", "6"], [f"{prefix}.2", f"{prefix}.6"], [network[2], network[6]]):
        chosen: dict[str, Any] = layers_for(name, *layers)  # type: ignore[arg-type]
        assert torch.equal(make(name, wrapped, **chosen)(some_images(2)).maps, expected.maps)
    assert snapshot(wrapped) == before


def test_a_model_that_compiles_itself_is_not_compiled(name: str) -> None:
    expected = make(name, small_cnn())(some_images(2)).maps
    network = small_cnn()
    network.compile(backend=boom)
    before = snapshot(network)
    assert torch.equal(make(name, network)(some_images(2)).maps, expected)
    assert snapshot(network) == before
    with pytest.raises(Exception, match="the user's own"):
        network(some_images(2))


def test_a_model_with_a_compiled_part_is_not_compiled(name: str) -> None:
    expected = make(name, small_cnn(), precision="fp64")(some_images(2)).maps
    part: Any = torch.compile(small_cnn()[:7], backend=boom)
    network = nn.Sequential(part, *small_cnn()[7:]).eval()
    before = snapshot(network)
    found = make(name, network, precision="fp64")(some_images(2))
    assert torch.allclose(found.maps, expected, atol=1e-6)
    assert snapshot(network) == before


@pytest.mark.parametrize("scored", [False, True])
def test_a_hook_that_raises(name: str, scored: bool) -> None:
    if name in (ONLY_GRADIENTS if scored else NO_GRADIENTS | UNTRAINED):
        pytest.skip("has no such passes")

    def hook(*_: object) -> None:
        if torch.is_grad_enabled() is not scored:
            raise ZeroDivisionError("the user's own")

    network = small_cnn().train()
    network[4].register_forward_hook(hook)
    before = snapshot(network)
    with pytest.raises(ZeroDivisionError, match="the user's own"):
        make(name, network)(some_images(2))
    assert snapshot(network) == before


@pytest.mark.parametrize("already_explained", [False, True])
def test_a_hook_that_changes_an_output_is_part_of_the_model(
    name: str, already_explained: bool
) -> None:
    changed = small_cnn()
    with torch.no_grad():
        changed[4].weight.mul_(2)
        changed[4].bias.mul_(2)
    expected = make(name, changed, precision="fp64")(some_images(2))
    network = small_cnn()
    explainer = make(name, network, precision="fp64")
    if already_explained:
        explainer(some_images(2))
    network[4].register_forward_hook(lambda _module, _inputs, output: 2 * output)
    found = explainer(some_images(2))
    assert torch.allclose(found.maps, expected.maps, atol=1e-6)
    assert torch.allclose(found.scores, expected.scores)


def test_a_hook_on_an_explained_layer_comes_before_ours(name: str) -> None:
    if name in UNTRAINED:
        pytest.skip("is explained without hooks")
    network = nn.Sequential(*small_cnn()[:7], nn.Threshold(0.3, 0), *small_cnn()[7:]).eval()
    layers = layers_for(name, "2", "7")
    expected = make(name, network, precision="fp64", **layers)(some_images(2)).maps
    network[7] = nn.Identity()
    network[7].register_forward_hook(lambda _m, _i, output: nn.functional.threshold(output, 0.3, 0))
    found = make(name, network, precision="fp64", **layers)(some_images(2)).maps
    assert torch.allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("wrap", "complaint"),
    [
        (lambda logits: (logits, None), "not a tuple; wrap it in a module that returns its logits"),
        (lambda logits: {"logits": logits}, "not a dict; wrap it"),
        (lambda logits: logits[:, 0], r"here \(2, classes\), not torch.float32 \(2,\)"),
        (lambda logits: logits[:1], r"here \(2, classes\), not torch.float32 \(1, 3\)"),
        (lambda logits: logits.argmax(1, keepdim=True), r"not torch.int64 \(2, 1\)"),
    ],
)
def test_a_model_that_does_not_return_logits(
    name: str, wrap: Callable[[torch.Tensor], Any], complaint: str
) -> None:
    network = Returning(wrap).eval()
    layers = layers_for(name, "body.2", "body.6")
    before = snapshot(network)
    with pytest.raises(SiseError, match=f"the model must return logits .*{complaint}"):
        make(name, network, precision="fp32", **layers)(some_images(2))
    assert snapshot(network) == before


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
def test_a_model_that_turns_autograd_off(name: str, off: Callable[[], Any]) -> None:
    class Offline(nn.Sequential):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            with off():
                return super().forward(images)

    network = Offline(*small_cnn()).eval()
    explainer = make(name, network, **layers_for(name, "2", "6"))
    if name in NO_GRADIENTS:
        assert explainer(some_images(1)).status == ("ok",)
        return
    where = "where layer .*'6' runs" if name in LAYERED else r"\(no_grad"
    with pytest.raises(SiseError, match=f"turns autograd off .*{where}"):
        explainer(some_images(1))


def test_a_single_output_is_explained_by_its_sigmoid(name: str) -> None:
    network = small_cnn(classes=1)
    images = some_images(2)
    explanation = make(name, network, output="sigmoid", precision="fp32")(images)
    assert explanation.targets.tolist() == [0, 0]
    assert torch.allclose(explanation.scores, network(images).sigmoid()[:, 0])
    assert explanation.status == ("ok", "ok")
    with pytest.raises(SiseError, match=r'softmax needs two classes.*output="sigmoid"'):
        make(name, network, output="softmax")(images)


def test_dropout_and_batch_norm_in_training_mode(name: str) -> None:
    expected = make(name, small_cnn())(some_images(2)).maps
    network = nn.Sequential(*small_cnn()[:8], nn.Dropout(0.5), *small_cnn()[8:]).train()
    before = snapshot(network)
    assert torch.equal(make(name, network)(some_images(2)).maps, expected)
    assert snapshot(network) == before


def test_weights_made_under_inference_mode(name: str) -> None:
    expected = make(name, small_cnn())(some_images(2)).maps
    with torch.inference_mode():
        network = small_cnn()
        images = some_images(2)
    assert network[0].weight.is_inference()
    explainer = make(name, network)
    assert torch.equal(explainer(images).maps, expected)
    with torch.inference_mode():
        network[-1].weight.neg_()
    changed = small_cnn()
    changed[-1].weight.data.neg_()
    assert torch.equal(explainer(images).maps, make(name, changed)(images).maps)


def test_weights_changed_behind_autograds_back(name: str) -> None:
    network, changed = small_cnn(), small_cnn()
    explainer = make(name, network)
    explainer(some_images(2))
    for one in (network, changed):
        one[-1].weight.data.neg_()
    assert torch.equal(explainer(some_images(2)).maps, make(name, changed)(some_images(2)).maps)


def tied() -> tuple[nn.Module, nn.Module]:
    network = small_cnn()
    again = nn.Conv2d(12, 12, 3, padding=1)
    untied = nn.Sequential(*network[:7], again, nn.ReLU(), copy.deepcopy(again), *network[7:])
    second = nn.Conv2d(12, 12, 3, padding=1)
    second.weight, second.bias = again.weight, again.bias
    return nn.Sequential(*network[:7], again, nn.ReLU(), second, *network[7:]).eval(), untied.eval()


def reparametrized(apply: Callable[[nn.Module], nn.Module]) -> tuple[nn.Module, nn.Module]:
    network, plain = small_cnn(), small_cnn()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the older weight_norm is deprecated, yet in use
        apply(network[0])
        apply(network[4])
    for index in (0, 4):
        network[index].train()  # spectral norms begin at random, and settle in training
    for _ in range(15):
        network(some_images(1))
    for index in (0, 4):
        plain[index].weight.data.copy_(network[index].weight)
    return network.eval(), plain


@pytest.mark.parametrize(
    "pair",
    [
        tied,
        lambda: reparametrized(parametrizations.weight_norm),
        lambda: reparametrized(parametrizations.spectral_norm),
        lambda: reparametrized(nn.utils.weight_norm),
        lambda: reparametrized(nn.utils.spectral_norm),
    ],
    ids=["tied", "weight norm", "spectral norm", "older weight norm", "older spectral norm"],
)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_weights_that_are_shared_or_computed(
    name: str, pair: Callable[[], tuple[nn.Module, nn.Module]], precision: str
) -> None:
    if name in UNTRAINED:
        pytest.skip("has other weights")
    network, plain = pair()
    before = snapshot(network)
    found = make(name, network, precision=precision)(some_images(2))
    assert snapshot(network) == before
    expected = make(name, plain, precision=precision)(some_images(2), target=found.targets)
    tolerance = 1e-4 if precision == "fp32" else 0.05
    for one, other in zip(found.layers, expected.layers, strict=True):
        apart = (one.maps - other.maps).abs().amax()
        if name not in DIFFERENCES:
            assert apart <= tolerance * other.maps.amax()
        elif precision == "fp32":  # bfloat16 rounds away such differences on this network
            assert apart <= 1e-6


def test_two_explainers_on_one_model(name: str) -> None:
    network = small_cnn()
    one = make(name, network, precision="fp32")
    other = make("Grad-CAM", network, precision="fp64")
    first, second = one(some_images(2)).maps, other(some_images(2)).maps
    assert torch.equal(one(some_images(2)).maps, first)
    assert torch.equal(other(some_images(2)).maps, second)


@pytest.mark.parametrize("shared", [False, True])
def test_threads(name: str, shared: bool) -> None:
    network = small_cnn()
    expected = make(name, network)(some_images(2)).maps
    models = [network if shared else copy.deepcopy(network) for _ in range(4)]
    before = snapshot(network)
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda model: make(name, model)(some_images(2)).maps, models)
        assert all(torch.equal(maps, expected) for maps in found)
    assert snapshot(network) == before


def test_autocast_around_the_call_changes_nothing(name: str) -> None:
    expected = make(name, small_cnn(), precision="fp32")(some_images(2))
    with torch.autocast("cpu", torch.bfloat16):
        found = make(name, small_cnn(), precision="fp32")(some_images(2))
        assert torch.is_autocast_enabled("cpu")
    assert torch.equal(found.maps, expected.maps)
    assert torch.equal(found.scores, expected.scores)


@pytest.mark.parametrize("setting", ["highest", "high", "medium"])
def test_float32_is_not_rounded_within_the_call(name: str, setting: str) -> None:
    backends: Any = torch.backends
    inside: list[str] = []

    def record(*_: object) -> None:
        operators = backends.cudnn.conv, backends.cuda.matmul, backends.mkldnn.matmul
        inside.extend(operator.fp32_precision for operator in operators)

    network = small_cnn()
    network[4].register_forward_hook(record)
    usual = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(setting)
    try:
        before = snapshot(network)
        make(name, network)(some_images(1))
        assert set(inside) == {"ieee"}
        assert snapshot(network) == before
        assert torch.backends.cudnn.allow_tf32
        assert torch.get_float32_matmul_precision() == setting
    finally:
        torch.set_float32_matmul_precision(usual)


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
