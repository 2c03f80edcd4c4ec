import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from sise.masks import (
    attribution_masks,
    constant_maps,
    normalise,
    pooled,
    upsample,
    upsampled_extremes,
    upsampled_sums,
)

sides = st.integers(1, 9)
larger = st.integers(9, 40)


def some_maps(height: int, width: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(3, height, width, generator=generator, dtype=torch.float64)


def test_upsampling_is_bilinear_with_half_pixel_centres() -> None:
    # Targets at -0.25, 0.25, 0.75 and 1.25 of a source of two: the ends are clamped.
    row = torch.tensor([[[0.0, 4.0]]])
    assert upsample(row, (1, 4)).tolist() == [[[0.0, 1.0, 3.0, 4.0]]]


@given(sides, sides, larger, larger, st.integers(0, 99))
def test_upsampling_is_pytorchs(h: int, w: int, height: int, width: int, seed: int) -> None:
    maps = some_maps(h, w, seed)
    expected = functional.interpolate(
        maps[:, None], (height, width), mode="bilinear", align_corners=False
    )[:, 0]
    assert torch.allclose(upsample(maps, (height, width)), expected, atol=1e-12)


@given(sides, sides, larger, larger, st.integers(0, 99))
def test_extremes_and_sums_need_no_upsampling(
    h: int, w: int, height: int, width: int, seed: int
) -> None:
    maps = some_maps(h, w, seed)
    whole = upsample(maps, (height, width))
    low, high = upsampled_extremes(maps, (height, width))
    assert torch.allclose(low, whole.amin(dim=(1, 2)), atol=1e-12)
    assert torch.allclose(high, whole.amax(dim=(1, 2)), atol=1e-12)
    assert torch.allclose(upsampled_sums(maps, (height, width)), whole.sum(dim=(1, 2)))


def test_extremes_where_features_are_as_large_as_the_image_or_larger() -> None:
    for size in [(9, 7), (5, 4)]:
        maps = some_maps(9, 7)
        whole = upsample(maps, size)
        low, high = upsampled_extremes(maps, size)
        assert torch.allclose(low, whole.amin(dim=(1, 2)))
        assert torch.allclose(high, whole.amax(dim=(1, 2)))


def test_attribution_masks_by_hand() -> None:
    # Upsampled to 0, 1, 3, 4 a row; from 2 on, so that the minimum has to go.
    masks = attribution_masks(torch.tensor([[[2.0, 6.0]]]), (1, 4))
    assert upsample(masks.values, (1, 4)).tolist() == [[[0.0, 0.25, 0.75, 1.0]]]
    assert masks.areas.tolist() == [2.0]


def test_attribution_masks_run_from_0_to_1_at_the_images_size() -> None:
    masks = attribution_masks(some_maps(5, 6), (32, 40))
    whole = upsample(masks.values, (32, 40))
    assert torch.allclose(whole.amin(dim=(1, 2)), torch.zeros(3, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(whole.amax(dim=(1, 2)), torch.ones(3, dtype=torch.float64))
    assert torch.allclose(masks.areas, whole.sum(dim=(1, 2)))


def test_a_constant_map_becomes_a_mask_of_zeros() -> None:
    masks = attribution_masks(torch.full((1, 2, 2), 7.0), (8, 8))
    assert masks.values.count_nonzero() == 0
    assert masks.areas.tolist() == [0.0]


@pytest.mark.parametrize("cells", [1, 3, 4])
def test_pooling_is_that_of_the_upsampled_maps(cells: int) -> None:
    maps = some_maps(5, 6)
    expected = functional.adaptive_avg_pool2d(upsample(maps, (24, 36))[:, None], cells)
    assert torch.allclose(pooled(maps, (24, 36), cells), expected.flatten(1))


def test_normalise_takes_each_map_to_0_1_and_tells_minimum_and_range() -> None:
    maps = torch.tensor([[[2.0, 4.0], [6.0, 3.0]], [[-1.0, 0.0], [1.0, 1.0]]])
    masks, low, extent = normalise(maps)
    assert masks[0].tolist() == [[0.0, 0.5], [1.0, 0.25]]
    assert masks[1].tolist() == [[0.0, 0.5], [1.0, 1.0]]
    assert low.tolist() == [2.0, -1.0]
    assert extent.tolist() == [4.0, 2.0]


def test_normalising_a_constant_map_gives_zeros() -> None:
    masks, _, extent = normalise(torch.full((1, 2, 2), 7.0))
    assert masks.tolist() == [[[0.0, 0.0], [0.0, 0.0]]]
    assert extent.tolist() == [0.0]


def test_constant_maps_are_told_apart_per_image() -> None:
    features = torch.zeros(2, 2, 2, 2)
    features[0, 1, 0, 0] = 1e-30
    assert constant_maps(features).tolist() == [[True, False], [True, True]]
