"""Whether a model returns logits or probabilities, told before it is explained."""

from collections.abc import Callable

import pytest
import torch
from explainers import EXPLAINERS, OWN, make
from networks import HandNet, Returning, small_cnn, some_images
from torch import nn
from torch.nn import functional
from torchvision import models

from sise import SISE, EigenCAM, GradCAM, IntegratedGradients
from sise.errors import SiseError
from sise.logits import Output
from sise.methods.integrated_gradients import attributions


def ending_in(last: nn.Module, classes: int = 3) -> nn.Module:
    return nn.Sequential(*small_cnn(classes=classes), last).eval()


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
