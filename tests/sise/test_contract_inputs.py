"""What every explainer promises of its images, targets and options, whatever its method."""

from collections.abc import Callable
from functools import cache

import pytest
import torch
from explainers import (
    EVERY,
    LAYERED,
    OWN,
    UNTRAINED,
    make,
    plainly,
    probabilities,
)
from networks import quickly, small_cnn, some_images
from torch import nn

from sise.errors import LayerError, SiseError
from sise.explanation import Explanation


@EVERY
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


@EVERY
def test_targets_and_scores_are_the_models_own(name: str) -> None:
    network = small_cnn()
    images = some_images(3)
    expected = probabilities(name, network(images))
    explanation = make(name, network, precision="fp32")(images)
    assert torch.equal(explanation.targets, expected.argmax(1))
    assert torch.allclose(explanation.scores, expected.amax(1))


@OWN
@pytest.mark.parametrize("target", [2, [2, 2, 2], torch.tensor([2, 2, 2]), torch.tensor(2)])
def test_a_target_may_be_an_int_a_list_or_a_tensor(name: str, target: object) -> None:
    network = small_cnn()
    images = some_images(3)
    explanation = make(name, network, precision="fp32")(images, target=target)
    assert explanation.targets.tolist() == [2, 2, 2]
    assert torch.allclose(explanation.scores, probabilities(name, network(images))[:, 2])


@EVERY
def test_each_image_may_have_its_own_target(name: str) -> None:
    images = some_images(3)
    explainer = make(name, small_cnn(), precision="fp64", batch_size=5)
    together = explainer(images, target=[2, 0, 1])
    for index, label in enumerate([2, 0, 1]):
        alone = explainer(images[index : index + 1], target=label)
        assert torch.allclose(together.maps[index], alone.maps[0], atol=1e-6)


@EVERY
def test_a_batch_of_three_equals_three_of_one(name: str) -> None:
    explainer = make(name, small_cnn(), precision="fp64")
    images = some_images(3)
    together = plainly(name, "fp64", 3)
    alone = [explainer(image[None]) for image in images]
    assert torch.allclose(together.maps, torch.cat([one.maps for one in alone]), atol=1e-6)
    assert together.forwards.tolist() == [one.forwards.item() for one in alone]


@EVERY
def test_the_same_input_gives_the_same_bits(name: str) -> None:
    explainer = make(name, small_cnn())
    images = some_images(2)
    assert torch.equal(explainer(images).maps, explainer(images).maps)


@OWN
@pytest.mark.parametrize(
    ("laid_out", "which"),
    [
        (lambda images: images.to(memory_format=torch.channels_last), [0, 1]),
        (lambda images: images.transpose(2, 3).contiguous().transpose(2, 3), [0, 1]),
        (lambda images: images.repeat_interleave(2, dim=3)[:, :, :, ::2], [0, 1]),
        (lambda images: images[:1].expand(2, 3, 16, 24), [0, 0]),
    ],
)
def test_the_layout_of_images_in_memory_does_not_matter(
    name: str, laid_out: Callable[[torch.Tensor], torch.Tensor], which: list[int]
) -> None:
    images = laid_out(some_images(2))
    assert torch.equal(images, some_images(2)[which])
    found = make(name, small_cnn(), precision="fp64")(images).maps
    assert torch.allclose(found, plainly(name, "fp64").maps[which], atol=1e-6)


@EVERY
def test_a_batch_of_64(name: str) -> None:
    images = some_images(64, (8, 8))
    explanation = make(name, small_cnn(), precision="fp64", batch_size=40)(images)
    assert explanation.maps.shape == (64, 8, 8)
    assert len(explanation.status) == 64
    for index in (0, 4, 5, 63):  # five images at a time go through the backward pass
        alone = make(name, small_cnn(), precision="fp64")(images[index : index + 1])
        assert torch.allclose(explanation.maps[index], alone.maps[0], atol=1e-6)
        assert explanation.forwards[index] == alone.forwards[0]


@EVERY
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


@EVERY
def test_a_constant_image_gives_no_nan(name: str) -> None:
    explanation = make(name, small_cnn())(torch.zeros(1, 3, 16, 16))
    assert explanation.maps.isfinite().all()
    assert explanation.maps.amin() >= 0
    assert explanation.maps.amax() <= 1


@cache
def without_the_second(name: str) -> Explanation:
    return make(name, small_cnn(), precision="fp32")(some_images(3)[::2], target=[2, 0])


@EVERY
@pytest.mark.parametrize("value", quickly([torch.nan, torch.inf, -torch.inf], [torch.nan]))
def test_an_image_that_is_not_finite_is_a_status(name: str, value: float) -> None:
    images = some_images(3)
    images[1, 0, 3, 3] = value
    explanation = make(name, small_cnn(), precision="fp32")(images, target=[2, 1, 0])
    assert explanation.status == ("ok", "not finite", "ok")
    assert explanation.maps[1].count_nonzero() == 0
    assert explanation.targets.tolist() == [2, 1, 0]
    untouched = without_the_second(name)
    assert torch.allclose(explanation.maps[::2], untouched.maps, atol=1e-5)
    assert explanation.forwards[::2].tolist() == untouched.forwards.tolist()


@OWN
@pytest.mark.parametrize(
    ("images", "complaint"),
    [
        (torch.zeros(3, 16, 16), r"must be a floating-point tensor \(B, 3, H, W\)"),
        (torch.zeros(1, 1, 16, 16), r"\(1, 1, 16, 16\); grey is three .*expand"),
        (torch.zeros(1, 3, 16, 16, dtype=torch.uint8), r"not torch.uint8 .*images / 255"),
        (torch.zeros(1, 3, 16, 16).long(), r"not torch.int64 .*images / 255"),
        (torch.zeros(1, 16, 16, 3), r"\(1, 16, 16, 3\); colours come first: images.permute"),
        (torch.zeros(1, 16, 16, 3).numpy(), r"not a ndarray; of an array \(H, W, 3\) uint8: "),
        (torch.zeros(0, 3, 16, 16), "images is empty"),
        (torch.zeros(1, 3, 16, 16).numpy(), r"must be a tensor \(B, 3, H, W\), not a ndarray"),
        (torch.zeros(1, 3, 16, 16, device="meta"), "images are on meta, the model is on cpu; move"),
    ],
)
def test_images_that_make_no_sense(name: str, images: torch.Tensor, complaint: str) -> None:
    with pytest.raises(SiseError, match=complaint):
        make(name, small_cnn())(images)


@OWN
@pytest.mark.parametrize(
    ("target", "complaint"),
    [
        (-1, "classes go from 0 to 2"),
        (10**30, r"must hold class indices, no number as large as 1e\+30"),
        ([0, 3], "classes go from 0 to 2"),
        ([0, 1, 2], r"target has shape \(3,\); 2 images need \(2,\)"),
        (1.0, "must hold class indices, not torch.float64; 1 rather than 1.0"),
        ([True, False], "must hold class indices, not torch.bool"),
        ("cat", "must hold class indices, not names such as 'cat': give the place of the class"),
        ([0, None], "must hold class indices, an int or one for each image, not NoneType, int"),
    ],
)
def test_targets_that_make_no_sense(name: str, target: object, complaint: str) -> None:
    with pytest.raises(SiseError, match=complaint):
        make(name, small_cnn())(some_images(2), target=target)


@EVERY
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


@EVERY
def test_options_that_make_no_sense(name: str) -> None:
    with pytest.raises(SiseError, match="batch_size"):
        make(name, small_cnn(), batch_size=0)
    with pytest.raises(SiseError, match="precision 'fp8': one of auto, fp64, fp32, bf16"):
        make(name, small_cnn(), precision="fp8")(some_images(1))


@EVERY
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
