"""Which models every explainer takes, whatever its method: hooked, wrapped, shared, compiled."""

import copy
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch
from explainers import (
    DIFFERENCES,
    EVERY,
    LAYERED,
    NO_GRADIENTS,
    OWN,
    UNTRAINED,
    layers_for,
    make,
    plainly,
)
from networks import Breaking, Returning, quickly, small_cnn, snapshot, some_images
from torch import nn
from torch.nn.utils import parametrizations

from sise.errors import SiseError
from sise.explanation import Explanation


@OWN
def test_a_model_in_training_mode_is_explained_in_evaluation_mode(name: str) -> None:
    network = small_cnn().train()
    assert torch.equal(make(name, network)(some_images(2)).maps, plainly(name).maps)


@OWN
def test_frozen_weights(name: str) -> None:
    frozen = small_cnn().requires_grad_(False)
    assert torch.equal(make(name, frozen)(some_images(2)).maps, plainly(name).maps)


@OWN
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_model_of_another_precision_is_computed_in_the_one_asked_for(
    name: str, dtype: torch.dtype
) -> None:
    network = small_cnn().to(dtype)
    before = snapshot(network)
    expected = make(name, small_cnn().to(dtype).float(), precision="fp32")(some_images(1)).maps
    assert torch.equal(make(name, network, precision="fp32")(some_images(1)).maps, expected)
    assert snapshot(network) == before


@EVERY
@pytest.mark.parametrize("value", quickly([torch.nan, torch.inf, -torch.inf], [torch.nan]))
def test_logits_that_are_not_finite_are_a_status(name: str, value: float) -> None:
    images = some_images(2)
    images[0] *= 1e6
    network = nn.Sequential(*small_cnn(), Breaking(value)).eval()
    explanation = make(name, network, precision="fp64")(images)
    assert explanation.status == ("not finite", "ok")
    assert explanation.maps[0].count_nonzero() == 0
    assert 0 <= explanation.targets[0] <= 2
    assert not explanation.scores[0].isfinite()
    # Fewer masks of its neighbour: the batches differ, and with them the rounding.
    assert torch.allclose(explanation.maps[1], plainly(name, "fp64").maps[1], atol=1e-6)


def boom(*_: object) -> None:
    raise ZeroDivisionError("the user's own")


@OWN
@pytest.mark.parametrize("wrap", [nn.DataParallel, lambda net: torch.compile(net, backend=boom)])
def test_wrappers_are_looked_through(name: str, wrap: Callable[[nn.Module], nn.Module]) -> None:
    network = small_cnn()
    expected = plainly(name)
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


@OWN
def test_a_model_that_compiles_itself_is_not_compiled(name: str) -> None:
    network = small_cnn()
    network.compile(backend=boom)
    before = snapshot(network)
    assert torch.equal(make(name, network)(some_images(2)).maps, plainly(name).maps)
    assert snapshot(network) == before
    with pytest.raises(Exception, match="the user's own"):
        network(some_images(2))


@OWN
def test_a_model_with_a_compiled_part_is_not_compiled(name: str) -> None:
    part: Any = torch.compile(small_cnn()[:7], backend=boom)
    network = nn.Sequential(part, *small_cnn()[7:]).eval()
    before = snapshot(network)
    found = make(name, network, precision="fp64")(some_images(2))
    assert torch.allclose(found.maps, plainly(name, "fp64").maps, atol=1e-6)
    assert snapshot(network) == before


@OWN
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


@OWN
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


@dataclass(slots=True)
class Slots:
    loss: torch.Tensor | None
    logits: torch.Tensor


class Outputs(NamedTuple):
    features: torch.Tensor | None
    scores: torch.Tensor


@OWN
@pytest.mark.parametrize(
    ("wrap", "complaint"),
    [
        (
            lambda logits: (logits, None),
            r"not a tuple; wrap it in a module that returns its logits .*model\(images\)\[0\]",
        ),
        (lambda logits: {"logits": logits}, r"not a dict; wrap it .*model\(images\)\['logits'\]"),
        (lambda logits: Outputs(None, logits), r"not a Outputs; wrap it .*model\(images\)\.scores"),
        (
            lambda logits: SimpleNamespace(loss=None, logits=logits),
            r"not a SimpleNamespace; wrap it .*model\(images\)\.logits",
        ),
        (lambda logits: Slots(None, logits), r"not a Slots; wrap it .*model\(images\)\.logits"),
        (lambda logits: None, "not a NoneType; wrap it in a module that returns its logits alone$"),
        (lambda logits: logits[:, 0], r"\(1, classes\), not torch.float32 \(1,\); .*\[:, None\]"),
        (lambda logits: logits[:, :, None, None], r"\(1, 3, 1, 1\); return logits.flatten\(1\)"),
        (lambda logits: logits[:, :0], r"\(1, 0\); give a model that returns a row for each image"),
        (lambda logits: logits[:1], r"here \(2, classes\), not torch.float32 \(1, 3\)"),
        (lambda logits: logits.argmax(1, keepdim=True), r"not torch.int64 \(1, 1\)"),
        (lambda logits: logits * 1j, r"not torch.complex64 \(1, 3\)"),
    ],
)
def test_a_model_that_does_not_return_logits(
    name: str, wrap: Callable[[torch.Tensor], Any], complaint: str
) -> None:
    network = Returning(wrap).eval()
    before = snapshot(network)
    with pytest.raises(SiseError, match=f"the model must return logits .*{complaint}"):
        make(name, network)(some_images(2))
    assert snapshot(network) == before


@OWN
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


@EVERY
def test_a_single_output_speaks_for_or_against(name: str) -> None:
    network = small_cnn(classes=1)
    images = some_images(2)
    with torch.no_grad():
        positive = network(images).sigmoid()[:, 0]
        network[-1].bias -= positive.logit().mean()  # one image is positive, one is not
        positive = network(images).sigmoid()[:, 0]
    explainer = make(name, network, output="sigmoid", precision="fp32")
    explanation = explainer(images)
    assert sorted(explanation.targets.tolist()) == [0, 1]
    assert explanation.targets.tolist() == (positive > 0.5).int().tolist()
    assert torch.allclose(explanation.scores, torch.maximum(positive, 1 - positive))
    assert torch.allclose(explainer(images, target=0).scores, 1 - positive)
    assert torch.allclose(explainer(images, target=[1, 1]).scores, positive)
    with pytest.raises(SiseError, match=r"one output: classes are 0 \(negative\) and 1"):
        explainer(images, target=2)
    with pytest.raises(SiseError, match=r'softmax needs two classes.*output="sigmoid"'):
        make(name, network, output="softmax")(images)


@OWN
def test_dropout_and_batch_norm_in_training_mode(name: str) -> None:
    network = nn.Sequential(*small_cnn()[:8], nn.Dropout(0.5), *small_cnn()[8:]).train()
    before = snapshot(network)
    assert torch.equal(make(name, network)(some_images(2)).maps, plainly(name).maps)
    assert snapshot(network) == before


@cache
def negated(name: str) -> Explanation:
    """`plainly` of a network whose last weights have the other sign."""
    changed = small_cnn()
    changed[-1].weight.data.neg_()
    return make(name, changed)(some_images(2))


@OWN
def test_weights_made_under_inference_mode(name: str) -> None:
    with torch.inference_mode():
        network = small_cnn()
        images = some_images(2)
    assert network[0].weight.is_inference()
    explainer = make(name, network)
    assert torch.equal(explainer(images).maps, plainly(name).maps)
    with torch.inference_mode():
        network[-1].weight.neg_()
    assert torch.equal(explainer(images).maps, negated(name).maps)


@OWN
def test_weights_changed_behind_autograds_back(name: str) -> None:
    network = small_cnn()
    explainer = make(name, network)
    explainer(some_images(2))
    network[-1].weight.data.neg_()
    assert torch.equal(explainer(some_images(2)).maps, negated(name).maps)


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


@cache
def pair_of(weights: str) -> tuple[nn.Module, nn.Module]:
    """A network with such weights, and one with the same weights of its own."""
    return PAIRS[weights]()


PAIRS: dict[str, Callable[[], tuple[nn.Module, nn.Module]]] = {
    "tied": tied,
    "weight norm": lambda: reparametrized(parametrizations.weight_norm),
    "spectral norm": lambda: reparametrized(parametrizations.spectral_norm),
    "older weight norm": lambda: reparametrized(nn.utils.weight_norm),
    "older spectral norm": lambda: reparametrized(nn.utils.spectral_norm),
}


@OWN
@pytest.mark.parametrize("weights", PAIRS)
@pytest.mark.parametrize("precision", ["fp32", pytest.param("bf16", marks=pytest.mark.slow)])
def test_weights_that_are_shared_or_computed(name: str, weights: str, precision: str) -> None:
    if name in UNTRAINED:
        pytest.skip("has other weights")
    network, plain = pair_of(weights)
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
