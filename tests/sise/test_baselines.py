import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, uniform_filter

from sise.baselines import BLUR_SIGMA, Fill, Masker, baseline_of, check_fill, inpainted, masked
from sise.errors import SiseError

COLOUR = torch.tensor([-1.0, 0.5, 2.0])
FILLS: list[Fill] = ["grey", "mean", "blur", "inpaint", COLOUR]
fills = st.sampled_from(FILLS)
sizes = st.tuples(st.integers(1, 3), st.integers(1, 24), st.integers(1, 24))
seeds = st.integers(0, 2**32 - 1)


def images_and_masks(size: tuple[int, int, int], seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    count, height, width = size
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn((count, 3, height, width), generator=generator, dtype=torch.float64)
    return images, torch.rand((count, height, width), generator=generator, dtype=torch.float64)


def test_a_mask_blends_the_image_with_each_fill() -> None:
    # One row of four pixels per channel: 1 2 3 6, 0 0 0 4, 2 2 2 2; their means 3, 1 and 2.
    images = torch.tensor([[[[1.0, 2, 3, 6]], [[0.0, 0, 0, 4]], [[2.0, 2, 2, 2]]]])
    mask = torch.tensor([[[1.0, 0.5, 0.0, 0.25]]])
    assert masked(images, mask, "grey").tolist() == [
        [[[1, 1, 0, 1.5]], [[0, 0, 0, 1]], [[2, 1, 0, 0.5]]]
    ]
    assert masked(images, mask, "mean").tolist() == [
        [[[1, 2.5, 3, 3.75]], [[0, 0.5, 1, 1.75]], [[2, 2, 2, 2]]]
    ]
    assert masked(images, mask, COLOUR).tolist() == [
        [[[1, 0.5, -1, 0.75]], [[0, 0.25, 0.5, 1.375]], [[2, 2, 2, 2]]]
    ]


def test_each_mask_goes_to_the_image_it_belongs_to() -> None:
    images = torch.stack([torch.full((3, 2, 2), 1.0), torch.full((3, 2, 2), 5.0)])
    images[1, :, 0, 0] = 9.0
    masker = Masker(images, "mean")
    found = masker.masked(torch.tensor([1, 0, 1]), torch.zeros(3, 2, 2))
    assert masker.size == (2, 2)
    assert found[:, 0, 0, 0].tolist() == [6.0, 1.0, 6.0]


@pytest.mark.parametrize("size", [(40, 57), (57, 40), (3, 50), (1, 9)])
def test_blur_is_that_of_scipy(size: tuple[int, int]) -> None:
    images, _ = images_and_masks((2, *size), seed=0)
    expected = gaussian_filter(images.numpy(), BLUR_SIGMA * min(size), mode="reflect", axes=(2, 3))
    found = baseline_of(images, "blur")
    assert found is not None
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


def test_grey_and_inpaint_have_no_background_of_their_own() -> None:
    images, _ = images_and_masks((1, 4, 4), seed=0)
    assert baseline_of(images, "grey") is None
    assert baseline_of(images, "inpaint") is None


@given(fills, sizes, seeds)
@settings(max_examples=60)
def test_a_mask_of_one_gives_the_image_to_the_bit(
    fill: Fill, size: tuple[int, int, int], seed: int
) -> None:
    images, masks = images_and_masks(size, seed)
    assert torch.equal(masked(images, torch.ones_like(masks), fill), images)


@given(fills, sizes, seeds)
@settings(max_examples=60)
def test_a_mask_of_zero_gives_the_fill(fill: Fill, size: tuple[int, int, int], seed: int) -> None:
    images, masks = images_and_masks(size, seed)
    found = masked(images, torch.zeros_like(masks), fill)
    if isinstance(fill, torch.Tensor):
        expected = fill.double()[None, :, None, None].expand_as(images)
    elif fill == "grey":
        expected = torch.zeros_like(images)
    elif fill == "blur":
        expected = baseline_of(images, "blur")
    else:  # nothing is kept anywhere, so that inpainting knows the mean alone
        expected = images.mean(dim=(2, 3), keepdim=True).expand_as(images)
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)


@given(st.sampled_from(["mean", "blur", "inpaint"]), sizes, seeds)
@settings(max_examples=60)
def test_an_even_image_stays_as_it_is_under_any_mask(
    fill: Fill, size: tuple[int, int, int], seed: int
) -> None:
    images, masks = images_and_masks(size, seed)
    even = images[:, :, :1, :1].expand_as(images).contiguous()
    torch.testing.assert_close(masked(even, masks, fill), even, atol=1e-12, rtol=1e-12)


@given(fills, sizes, seeds)
@settings(max_examples=60)
def test_nothing_leaves_the_range_of_image_and_fill(
    fill: Fill, size: tuple[int, int, int], seed: int
) -> None:
    images, masks = images_and_masks(size, seed)
    found = masked(images, masks, fill)
    also = fill.double() if isinstance(fill, torch.Tensor) else torch.zeros(3).double()
    low = torch.minimum(images.amin(dim=(2, 3)), also)[:, :, None, None]
    high = torch.maximum(images.amax(dim=(2, 3)), also)[:, :, None, None]
    assert bool(((found >= low - 1e-12) & (found <= high + 1e-12)).all())


def test_inpainting_carries_the_kept_steel_into_the_hole() -> None:
    # Dark steel at the left, bright at the right, and a hole on each side of a bright defect in
    # the middle: each hole takes the brightness of its side, and nothing of the defect.
    image = torch.full((1, 3, 64, 128), -1.0)
    image[..., 64:] = 1.0
    image[..., 24:40, 56:72] = 5.0
    mask = torch.ones(1, 64, 128)
    mask[:, 22:42, 8:120] = 0.0
    found = inpainted(image, mask)[0, 0, 32]
    assert found[16].item() == pytest.approx(-1, abs=0.05)
    assert found[112].item() == pytest.approx(1, abs=0.05)
    assert found.max() < 1.01


def test_inpainting_is_a_normalised_convolution() -> None:
    # On the coarse grid: the weighted mean of what is kept, by a plain Gaussian around the cell.
    images, masks = images_and_masks((1, 96, 96), seed=3)
    sigma = BLUR_SIGMA * 96
    smooth = gaussian_filter(images[0].numpy() * masks[0].numpy(), (0, sigma, sigma))
    share = gaussian_filter(masks[0].numpy(), sigma)
    mean = images[0].mean(dim=(1, 2)).numpy()[:, None, None]
    expected = (smooth + 0.001 * mean) / (share + 0.001)
    found = inpainted(images, masks)[0].numpy()
    # Interpolated between cells of half a sigma: a few percent of the blurred noise's range.
    assert np.abs(found - expected).max() < 0.1 * np.ptp(expected)
    cell = uniform_filter(found - expected, (1, 9, 9))
    assert np.abs(cell).max() < 0.05 * np.ptp(expected)


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_images_dtype_is_kept(fill: Fill, dtype: torch.dtype) -> None:
    images, masks = images_and_masks((2, 9, 12), seed=1)
    found = masked(images.to(dtype), masks.float(), fill)
    assert found.dtype == dtype
    exact = masked(images, masks.float().double(), fill)
    tolerance = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 0.05}[dtype]
    torch.testing.assert_close(found.double(), exact, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize(
    ("fill", "told"),
    [
        ("gray", "fill 'gray': one of grey, mean, blur, inpaint"),
        (torch.zeros(4), r"a fill colour .* not torch.float32 \(4,\)"),
        (torch.zeros(3, dtype=torch.int64), r"not torch.int64 \(3,\)"),
    ],
)
def test_another_fill_is_refused(fill: Fill, told: str) -> None:
    with pytest.raises(SiseError, match=told):
        check_fill(fill)
    with pytest.raises(SiseError, match=told):
        baseline_of(torch.zeros(1, 3, 2, 2), fill)


@pytest.mark.parametrize("fill", ["grey", "mean", "blur", "inpaint"])
def test_one_image_under_many_masks_is_each_mask_on_a_copy_of_it(fill: Fill) -> None:
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(1, 3, 24, 20, generator=generator, dtype=torch.float64)
    masks = torch.rand(4, 24, 20, generator=generator, dtype=torch.float64)
    many = Masker(image, fill).masked(torch.zeros(4, dtype=torch.int64), masks)
    assert torch.allclose(many, masked(image.expand(4, -1, -1, -1), masks, fill))
