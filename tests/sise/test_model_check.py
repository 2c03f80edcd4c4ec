"""What is said of a model before it is explained: probabilities, neighbours, chance, laziness."""

import warnings
from collections.abc import Callable

import pytest
import torch
from explainers import EXPLAINERS, LAYERED, OWN, UNTRAINED, make, plainly
from networks import HandNet, Returning, small_cnn, some_images
from torch import nn
from torch.nn import functional
from torchvision import models

from sise import SISE, EigenCAM, GradCAM, IntegratedGradients
from sise.errors import LayerError, SiseError
from sise.logits import Output
from sise.methods.integrated_gradients import attributions


def ending_in(last: nn.Module, classes: int = 3) -> nn.Module:
    return nn.Sequential(*small_cnn(classes=classes), last).eval()


@pytest.mark.filterwarnings("ignore")  # PyTorch is about to move quantization elsewhere
def test_a_quantized_model_is_told_of() -> None:
    quantized = torch.ao.quantization.quantize_dynamic(small_cnn(), {nn.Linear})
    for name in ("SISE", "Grad-CAM"):
        with pytest.raises(
            SiseError, match=r"^the model is quantized \(layer '.*'\): .*float model"
        ):
            make(name, quantized, precision="fp32")(some_images(1))
    assert make("RISE", quantized, precision="fp32")(some_images(1)).status == ("ok",)


@OWN
@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_probabilities_are_not_taken_for_logits(name: str, output: Output) -> None:
    network = ending_in(nn.Softmax(dim=1))
    with pytest.raises(
        SiseError, match=r'probabilities already .*sum to one.*give output="probabilities"'
    ):
        make(name, network, output=output)(some_images(1))
    with pytest.raises(SiseError, match=r'probabilities already .*give output="probabilities"'):
        make(name, ending_in(nn.Sigmoid()), output=output)(some_images(1))


@pytest.mark.parametrize("name", EXPLAINERS)
def test_probabilities_are_explained_as_they_are(name: str) -> None:
    network = ending_in(nn.Softmax(dim=1))
    images = some_images(2)
    explanation = make(name, network, output="probabilities", precision="fp32")(images)
    expected = network(images)
    assert torch.equal(explanation.targets, expected.argmax(dim=1))
    assert torch.allclose(explanation.scores, expected.amax(dim=1))
    assert explanation.status == ("ok", "ok")


@pytest.mark.parametrize("target", [0, 1, 2])
def test_sise_of_probabilities_is_sise_of_their_logits(target: int) -> None:
    images = some_images(2)
    logits = SISE(small_cnn(), precision="fp64")(images, target)
    found = SISE(ending_in(nn.Softmax(dim=1)), precision="fp64", output="probabilities")(
        images, target
    )
    assert torch.allclose(found.maps, logits.maps, atol=1e-5)
    assert torch.allclose(found.scores, logits.scores)


@pytest.mark.parametrize("method", [SISE, GradCAM, IntegratedGradients, EigenCAM])
def test_sigmoids_within_a_model_are_explained_as_those_of_its_logits(
    method: Callable[..., SISE],
) -> None:
    for classes in (1, 3):
        images = some_images(2)
        outside = method(small_cnn(classes=classes), precision="fp64", output="sigmoid")(images)
        within = method(ending_in(nn.Sigmoid(), classes), precision="fp64", output="probabilities")(
            images
        )
        assert torch.allclose(within.maps, outside.maps, atol=1e-5)
        assert torch.allclose(within.scores, outside.scores)
        assert torch.equal(within.targets, outside.targets)


def test_the_gradient_of_a_certainty_is_not_lost() -> None:
    # z = (40, 0, 0): p is 1 in float32, and so are its log-odds beyond what 1 - p tells.
    network = ending_in(nn.Softmax(dim=1))
    with torch.no_grad():
        network[-2].bias += torch.tensor([40.0, 0, 0])  # type: ignore[index, operator]
    images = some_images(2)
    assert network(images)[:, 0].tolist() == [1, 1]
    certain = SISE(network, precision="fp32", output="probabilities")(images, 0)
    expected = SISE(network[:-1], precision="fp32")(images, 0)  # type: ignore[index]
    assert certain.status == ("ok", "ok")
    assert torch.allclose(certain.maps, expected.maps, atol=1e-4)


def test_attributions_of_probabilities_add_up() -> None:
    images = some_images(2)
    network = ending_in(nn.Softmax(dim=1)).double()
    explainer = IntegratedGradients(network, output="probabilities", precision="fp64", steps=200)
    explainer(images)
    forward = explainer.engine.exact_forward(images.device)
    targets = torch.tensor([1, 2])
    inputs = images.double()
    found = attributions(
        forward, inputs, torch.zeros_like(inputs), targets, "probabilities", 200, 20
    )
    gained = network(inputs) - network(torch.zeros_like(inputs))
    expected = gained[[0, 1], [1, 2]]
    assert torch.allclose(found.sum(dim=(1, 2, 3)), expected, atol=2e-3)


def test_what_is_no_probability_is_not_taken_for_one() -> None:
    for last in (nn.Identity(), nn.LogSoftmax(dim=1)):
        with pytest.raises(SiseError, match=r"numbers from -.*, which are no probabilities: give"):
            GradCAM(ending_in(last), output="probabilities")(some_images(1))


def test_a_log_softmax_is_logits_for_a_softmax_alone() -> None:
    images = some_images(2)
    network = ending_in(nn.LogSoftmax(dim=1))
    found = SISE(network, precision="fp64")(images)
    assert torch.allclose(found.maps, SISE(small_cnn(), precision="fp64")(images).maps, atol=1e-6)
    with pytest.raises(SiseError, match=r'log-softmax.*give output="softmax"'):
        SISE(network, output="sigmoid")(images)


def yes_and_no(probability: torch.Tensor) -> torch.Tensor:
    return torch.cat([1 - probability, probability], dim=1)


def mean_of_two() -> nn.Module:
    class Ensemble(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.members = nn.ModuleList([small_cnn(0), small_cnn(1)])

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.stack([one(images).softmax(dim=1) for one in self.members]).mean(dim=0)

    return Ensemble().eval()


@pytest.mark.parametrize(
    "network",
    [
        mean_of_two(),
        Returning(lambda logits: yes_and_no(logits[:, :1].sigmoid())),
        Returning(lambda logits: logits.softmax(dim=1).half()),
        Returning(lambda logits: logits.softmax(dim=1) @ (torch.eye(3) * 0.7 + 0.1)),
        Returning(lambda logits: logits.detach().softmax(dim=1)),
        Returning(lambda logits: (100 * logits).softmax(dim=1)),
    ],
)  # fmt: skip
def test_probabilities_are_known_however_they_were_made(network: nn.Module) -> None:
    with pytest.raises(SiseError, match=r"probabilities already .*sum to one"):
        EigenCAM(network.eval(), layers=None)(some_images(1))


@pytest.mark.parametrize("output", ["softmax", "sigmoid", "probabilities"])
def test_probabilities_in_percent(output: Output) -> None:
    network = Returning(lambda logits: 100 * logits.softmax(dim=1)).eval()
    with pytest.raises(SiseError, match=r"in percent .*sum to 100\): return them / 100, and give"):
        GradCAM(network, output=output)(some_images(1))


def test_a_sigmoid_that_says_one_of_every_image_is_still_a_sigmoid() -> None:
    network = ending_in(nn.Sigmoid(), classes=1)
    with torch.no_grad():
        network[-2].weight.abs_()  # type: ignore[index, operator, union-attr]
        network[-2].bias.fill_(200)  # type: ignore[index, operator, union-attr]
    assert network(some_images(1)).item() == 1
    with pytest.raises(SiseError, match=r"probabilities already .*lie between 0 and 1"):
        GradCAM(network, output="sigmoid")(some_images(1))


class Cosines(nn.Module):
    """Of features after a ReLU and weights that are positive: from 0 to 1."""

    def __init__(self, less: float) -> None:
        super().__init__()
        self.body, self.less = small_cnn()[:-1], less
        self.prototypes = nn.Parameter(torch.tensor([[1.0] * 6 + [0.1] * 6, [0.5] * 12]))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.body(images)[:, None]
        return functional.cosine_similarity(features, self.prototypes, dim=2) - self.less


def test_logits_between_0_and_1_have_a_cure() -> None:
    images = some_images(1)
    with pytest.raises(SiseError, match=r"logits all the same, return logits - 1"):
        GradCAM(Cosines(0).eval())(images)
    found = GradCAM(Cosines(1).eval(), precision="fp32")(images)
    assert torch.allclose(found.scores, Cosines(0).eval()(images).softmax(dim=1).amax(dim=1))


def test_logits_that_happen_to_look_like_probabilities_are_logits() -> None:
    images = torch.zeros(1, 3, 8, 8)
    images[:, 0], images[:, 1] = 0.3, 0.7  # HandNet's logits are then (0.3, 0.7)
    images += 0.01 * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    logits = HandNet()(images)
    assert logits.sum().item() == pytest.approx(1, abs=0.01)
    found = SISE(HandNet(), precision="fp32")(images)
    assert found.scores[0].item() == pytest.approx(logits.softmax(dim=1)[0, 1].item())


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
@pytest.mark.parametrize("bias", [[0.0, 0.0], [0.0, 1.0], [0.4, 0.6], [0.2, 0.3]])
def test_a_network_that_has_not_learnt_yet_returns_logits(
    output: Output, bias: list[float]
) -> None:
    network = small_cnn(classes=2)
    with torch.no_grad():
        network[-1].weight *= 1e-5
        network[-1].bias.copy_(torch.tensor(bias))
    found = SISE(network, precision="fp32", output=output)(some_images(1))
    logits = network(some_images(1))
    expected = logits.softmax(dim=1) if output == "softmax" else logits.sigmoid()
    assert torch.allclose(found.scores, expected.amax(dim=1))


@pytest.mark.parametrize("architecture", ["convnext_tiny", "squeezenet1_0", "shufflenet_v2_x0_5"])
def test_untrained_networks_of_torchvision_return_logits(architecture: str) -> None:
    torch.manual_seed(0)
    network = models.get_model(architecture, num_classes=1).eval()
    assert GradCAM(network, output="sigmoid")(some_images(1, (64, 64))).targets.shape == (1,)


def without_statistics() -> nn.Module:
    network = small_cnn()
    network[1] = nn.BatchNorm2d(8, track_running_stats=False)
    return network.eval()


class Stubborn(nn.BatchNorm2d):
    def train(self, mode: bool = True) -> "Stubborn":
        return super().train(True)


def stubborn() -> nn.Module:
    network = small_cnn()
    network[5] = Stubborn(12)
    return network.eval()


@OWN
@pytest.mark.parametrize(("network", "layer"), [(without_statistics(), 1), (stubborn(), 5)])
def test_a_batch_norm_that_uses_the_batch_is_refused(
    name: str, network: nn.Module, layer: int
) -> None:
    with pytest.raises(SiseError, match=f"batch norm '{layer}' uses the statistics of the batch"):
        make(name, network)(some_images(2))


def test_what_else_looks_at_its_neighbours_is_refused() -> None:
    network = Returning(lambda logits: logits - logits.mean(dim=0))
    with pytest.raises(SiseError, match="depends on the other images of its batch: normalise"):
        GradCAM(network.eval())(some_images(2))


@pytest.mark.parametrize("norm", [nn.GroupNorm(2, 8), nn.InstanceNorm2d(8)])
def test_norms_of_one_image_are_explained(norm: nn.Module) -> None:
    network = small_cnn()
    network[1] = norm
    together = SISE(network.eval(), precision="fp64")(some_images(2))
    alone = SISE(network, precision="fp64")(some_images(2)[:1])
    assert torch.allclose(together.maps[:1], alone.maps, atol=1e-6)


@OWN
def test_a_model_that_throws_dice_is_refused(name: str) -> None:
    class Dice(nn.Module):
        def forward(self, features: torch.Tensor) -> torch.Tensor:
            return functional.dropout(features, 0.5, training=True)

    network = nn.Sequential(*small_cnn()[:-1], Dice(), small_cnn()[-1])
    with pytest.raises(SiseError, match=r"other logits for the same image each time.*dropout"):
        make(name, network.eval())(some_images(2))


@pytest.mark.parametrize("seed", range(8))
def test_dice_that_fall_alike_are_seen_all_the_same(seed: int) -> None:
    class Seldom(nn.Module):
        def forward(self, features: torch.Tensor) -> torch.Tensor:
            return functional.dropout(features, 0.05, training=True)

    network = nn.Sequential(*small_cnn()[:-1], Seldom(), small_cnn()[-1]).eval()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        with pytest.raises(SiseError, match=r"each time.*dropout"):
            GradCAM(network)(some_images(1))


def test_dice_that_change_nothing_are_no_reason_to_refuse() -> None:
    network = Returning(lambda logits: logits + 0 * torch.rand(()))
    assert GradCAM(network.eval())(some_images(1)).maps.shape == (1, 16, 24)


@OWN
@pytest.mark.parametrize("last", [nn.Identity(), nn.Softmax(dim=1)])
def test_what_torch_jit_made_is_refused_at_once(name: str, last: nn.Module) -> None:
    network = ending_in(last)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, yet in use
        made = [torch.jit.script(network), torch.jit.trace(network, some_images(1))]
    for one in (*made, nn.Sequential(made[0]), nn.DataParallel(made[1])):
        with pytest.raises(SiseError, match=r"made by torch.jit, .*give the module that it was"):
            make(name, one)(some_images(1))


@pytest.mark.parametrize("model", [lambda images: images, nn.Linear, {}, None])
@OWN
def test_what_is_no_module(name: str, model: object) -> None:
    with pytest.raises(SiseError, match=r"must be a torch.nn.Module with its weights loaded, not"):
        make(name, model)(some_images(1))


@OWN
def test_what_torch_export_made_is_explained(name: str) -> None:
    example = torch.export.Dim("images", max=4096)
    program = torch.export.export(
        small_cnn(), (some_images(2),), dynamic_shapes=({0: example},)
    ).module()
    if name in LAYERED or name == "FullGrad":  # it has no modules that run
        with pytest.raises(LayerError, match=r"no convolutional block|bias of '0'"):
            make(name, program)(some_images(2))
        return
    found = make(name, program, precision="fp64")(some_images(2))
    assert torch.allclose(found.maps, plainly(name, "fp64").maps, atol=1e-6)


class Partly(nn.Sequential):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return super().forward(images)


@OWN
def test_a_model_that_runs_in_half_precision_of_its_own(name: str) -> None:
    found = make(name, Partly(*small_cnn()).eval())(some_images(2))
    assert found.maps.dtype == torch.float32
    assert torch.allclose(found.scores, plainly(name).scores, atol=0.01)


@pytest.mark.parametrize("name", ["RISE", "Score-CAM", "Grad-CAM", "integrated gradients"])
def test_a_model_that_knows_the_range_of_images_may_be_shown_a_white_one(name: str) -> None:
    def strict(images: torch.Tensor) -> None:
        if images.amax() > 1 or images.amin() < 0:
            raise ValueError("from 0 to 1")

    network = small_cnn()
    network.register_forward_pre_hook(lambda _module, inputs: strict(*inputs))
    assert make(name, network)(torch.ones(1, 3, 16, 24)).maps.shape == (1, 16, 24)


def test_a_model_that_fails_in_another_precision_has_a_cure() -> None:
    class Numpy(nn.Sequential):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.from_numpy(super().forward(images).detach().numpy())

    class Single(nn.Sequential):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return super().forward(images.float())

    with pytest.raises(SiseError, match=r'not run in bfloat16 \(.*; give precision="fp32"$'):
        make("RISE", Numpy(*small_cnn()).eval(), precision="bf16")(some_images(1))
    assert make("RISE", Numpy(*small_cnn()).eval(), precision="fp32")(some_images(1))
    with pytest.raises(SiseError, match=r'or precision="fp32", if it takes no float64'):
        make("RISE", Single(*small_cnn()).eval(), precision="fp64")(some_images(1))


@OWN
def test_a_model_that_takes_one_image_at_a_time(name: str) -> None:
    class Alone(nn.Sequential):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            (image,) = images
            return super().forward(image[None])

    network = Alone(*small_cnn()).eval()
    with pytest.raises(SiseError, match=r"does not run on two images at once .*give batch_size=1"):
        make(name, network)(some_images(2))
    found = make(name, network, batch_size=1, precision="fp64")(some_images(2))
    assert torch.allclose(found.maps, plainly(name, "fp64").maps, atol=1e-6)


@OWN
def test_a_lazy_layer_that_never_ran(name: str) -> None:
    network = nn.Sequential(*small_cnn()[:-1], nn.LazyLinear(3)).eval()
    with pytest.raises(
        SiseError, match=r"layer '9' \(LazyLinear\) has no weights yet: run the model once"
    ):
        make(name, network)(some_images(1))
    network(some_images(1))
    assert make(name, network)(some_images(1)).maps.shape == (1, 16, 24)


class Two(nn.Module):
    def forward(self, images: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return images * mask


@pytest.mark.parametrize(
    ("network", "complaint"),
    [
        (Two(), r"Two does not run on an image \(1, 3, 16, 24\): TypeError: .*missing 1 required"),
        (nn.Embedding(3, 4), r"Embedding does not run on an image \(1, 3, 16, 24\)"),
        (nn.Linear(5, 2), r"Linear does not run on an image .*give images that it takes"),
        (nn.Identity(), r"not torch.float32 \(1, 3, 16, 24\); it has no class for the image"),
    ],
)
@pytest.mark.parametrize("name", ["SISE", "RISE", "Grad-CAM", "edges"])
def test_what_does_not_classify_images(name: str, network: nn.Module, complaint: str) -> None:
    with pytest.raises(SiseError, match=complaint):
        make(name, network.eval())(some_images(1))


def test_a_model_is_looked_at_once() -> None:
    network, seen = small_cnn(), []
    network[0].register_forward_pre_hook(lambda _module, inputs: seen.append(len(inputs[0])))
    explainer = GradCAM(network)
    explainer(some_images(2))
    assert seen == [1, 2, 2]
    explainer(some_images(2))
    assert seen == [1, 2, 2, 2]


def test_a_model_without_weights_is_explained() -> None:
    class Fixed(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            maps = functional.conv2d(images, torch.eye(3)[:, :, None, None]).relu()
            return maps.mean(dim=(2, 3))

    assert make("RISE", Fixed().eval(), precision="fp32")(some_images(1)).status == ("ok",)
    assert set(UNTRAINED) < set(EXPLAINERS)
