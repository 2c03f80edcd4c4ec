"""What is said of a model before it is explained: neighbours, chance, laziness, its kind."""

import warnings

import pytest
import torch
from explainers import EXPLAINERS, LAYERED, OWN, UNTRAINED, make, plainly
from networks import Returning, small_cnn, some_images
from torch import nn
from torch.nn import functional

from sise import SISE, GradCAM
from sise.errors import LayerError, SiseError


@pytest.mark.filterwarnings("ignore")  # PyTorch is about to move quantization elsewhere
def test_a_quantized_model_is_told_of() -> None:
    quantized = torch.ao.quantization.quantize_dynamic(small_cnn(), {nn.Linear})
    for name in ("SISE", "Grad-CAM"):
        with pytest.raises(
            SiseError, match=r"^the model is quantized \(layer '.*'\): .*float model"
        ):
            make(name, quantized, precision="fp32")(some_images(1))
    assert make("RISE", quantized, precision="fp32")(some_images(1)).status == ("ok",)


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
    network = nn.Sequential(*small_cnn(), last).eval()
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
