import torch

from sise.masks import constant_maps, normalise, upsample


def test_upsampling_is_bilinear_with_half_pixel_centres() -> None:
    # Targets at -0.25, 0.25, 0.75 and 1.25 of a source of two: the ends are clamped.
    row = torch.tensor([[[0.0, 4.0]]])
    assert upsample(row, (1, 4)).tolist() == [[[0.0, 1.0, 3.0, 4.0]]]


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
