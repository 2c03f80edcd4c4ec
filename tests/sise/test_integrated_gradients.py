import pytest
import torch
from captum.attr import IntegratedGradients as CaptumIntegratedGradients
from networks import HandNet, small_cnn, some_images

from sise.baselines import baseline_of
from sise.errors import SiseError
from sise.logits import Output
from sise.masks import normalise
from sise.methods.integrated_gradients import IntegratedGradients, attributions


def integrated(network: torch.nn.Module, image: torch.Tensor, label: int, steps: int, at_once=7):
    zeros = torch.zeros_like(image)
    return attributions(network, image, zeros, torch.tensor([label]), "softmax", steps, at_once)


def test_by_hand() -> None:
    # The softmax of two logits is σ(t·(z0 - z1)) along the line, and so each pixel has a share
    # of p(I) - 1/2 in proportion to what it adds to z0 - z1.
    image = torch.rand(1, 3, 4, 4, dtype=torch.float64)
    network = HandNet().double()
    added = image[0] * torch.tensor([1.0, -1, 2])[:, None, None] / 16
    expected = added / added.sum() * (added.sum().sigmoid() - 0.5)
    assert torch.allclose(integrated(network, image, 0, 20)[0], expected, atol=1e-12)
    explanation = IntegratedGradients(network, steps=20, precision="fp64")(image, target=0)
    positive = expected.sum(dim=0).relu()
    assert torch.allclose(explanation.maps, normalise(positive[None])[0].float(), atol=1e-6)
    assert explanation.forwards.tolist() == [21]


def test_completeness() -> None:
    network = small_cnn().double()
    images = some_images(3).double()
    for image, label in zip(images, (0, 1, 2), strict=True):
        whole, nothing = network(torch.stack([image, 0 * image])).softmax(1)[:, label].tolist()
        rise = integrated(network, image[None], label, 400).sum().item()
        assert rise == pytest.approx(whole - nothing, abs=2e-3)
        assert abs(whole - nothing) > 0.01


@pytest.mark.parametrize("label", [0, 1])
def test_agrees_with_captum(label: int) -> None:
    network = small_cnn().double()
    image = some_images(1).double()
    theirs = CaptumIntegratedGradients(lambda batch: network(batch).softmax(1)).attribute(
        image, target=label, n_steps=50, method="gausslegendre", internal_batch_size=10
    )
    assert torch.allclose(integrated(network, image, label, 50), theirs, atol=1e-12)
    explanation = IntegratedGradients(network, precision="fp64")(image, target=label)
    expected = normalise(theirs.sum(dim=1).relu())[0].float()
    assert torch.allclose(explanation.maps, expected, atol=1e-6)


@pytest.mark.parametrize("fill", ["mean", "blur", torch.tensor([-2.0, -1.5, -1.0])])
def test_agrees_with_captum_from_other_baselines(fill: str | torch.Tensor) -> None:
    network = small_cnn().double()
    image = some_images(1).double()
    if isinstance(fill, torch.Tensor):
        baseline = fill.double().view(1, 3, 1, 1).expand_as(image)
    elif fill == "mean":
        baseline = image.mean(dim=(2, 3), keepdim=True).expand_as(image)
    else:
        blurred = baseline_of(image, "blur")
        assert blurred is not None
        baseline = blurred
    theirs = CaptumIntegratedGradients(lambda batch: network(batch).softmax(1)).attribute(
        image, baseline, target=1, n_steps=30, method="gausslegendre"
    )
    ours = IntegratedGradients(network, steps=30, fill=fill, precision="fp64")(image, target=1)
    expected = normalise(theirs.sum(dim=1).relu())[0].float()
    assert torch.allclose(ours.maps, expected, atol=1e-6)


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_how_many_points_go_together_changes_nothing(output: Output) -> None:
    network = small_cnn().double()
    images = some_images(2).double()
    alone, together = (
        attributions(network, images, 0 * images, torch.tensor([0, 2]), output, 11, at_once)
        for at_once in (1, 50)
    )
    assert torch.allclose(alone, together, atol=1e-14)
    assert together.abs().amax() > 1e-4


def test_no_batch_is_larger_than_asked() -> None:
    network = small_cnn()
    sizes: list[int] = []
    network.register_forward_pre_hook(lambda _module, inputs: sizes.append(len(inputs[0])))
    explainer = IntegratedGradients(network, steps=10, batch_size=32)
    explainer(some_images(1))
    assert sizes == [1, 2, 1, 4, 4, 2]  # a look at the model goes before


def test_a_pixel_that_speaks_against_the_class_is_dark() -> None:
    image = torch.zeros(1, 3, 4, 4)
    image[0, 0, 0, 0] = 1
    image[0, 1, 3, 3] = 5
    explanation = IntegratedGradients(HandNet(), precision="fp64")(image, target=0)
    assert explanation.maps[0].nonzero().tolist() == [[0, 0]]
    other = IntegratedGradients(HandNet(), precision="fp64")(image, target=1)
    assert other.maps[0].nonzero().tolist() == [[3, 3]]


def test_a_model_that_turns_autograd_off() -> None:
    class Offline(torch.nn.Sequential):
        @torch.no_grad()
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return super().forward(images)

    with pytest.raises(SiseError, match="turns autograd off"):
        IntegratedGradients(Offline(*small_cnn()))(some_images(1))


def test_options_that_make_no_sense() -> None:
    with pytest.raises(SiseError, match="steps must be at least 1, not 0"):
        IntegratedGradients(small_cnn(), steps=0)
    with pytest.raises(SiseError, match="depends on a mask"):
        IntegratedGradients(small_cnn(), fill="inpaint")
