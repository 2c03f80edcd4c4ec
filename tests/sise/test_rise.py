import logging

import pytest
import torch
from networks import small_cnn, some_images
from torch import nn
from torch.nn import functional

from sise.errors import SiseError
from sise.masks import normalise
from sise.methods.rise import RISE, random_masks


def test_a_mask_is_a_shifted_crop_of_an_upsampled_grid() -> None:
    drawn = random_masks(20, 4, 0.5, (14, 22), seed=3)
    masks = drawn.between(0, 20, torch.zeros(1, dtype=torch.float64))
    assert masks.shape == (20, 14, 22)
    for index in (0, 7, 19):
        grid = drawn.grids[index][None, None].double()
        # Cells are 4 × 6 px: 14/4 and 22/4, rounded up. One cell more a side than the image.
        wide = functional.interpolate(grid, size=(20, 30), mode="bilinear")[0, 0]
        top, left = drawn.shifts[index].tolist()
        assert torch.allclose(masks[index], wide[top : top + 14, left : left + 22])


def test_masks_keep_their_share_and_are_shifted_by_less_than_a_cell() -> None:
    drawn = random_masks(2000, 7, 0.3, (28, 42), seed=0)
    assert drawn.grids.float().mean() == pytest.approx(0.3, abs=0.01)
    assert drawn.shifts.amin(dim=0).tolist() == [0, 0]
    assert drawn.shifts.amax(dim=0).tolist() == [3, 5]
    means = drawn.between(0, 2000, torch.zeros(1)).mean(dim=0)
    assert means.amin() > 0.25
    assert means.amax() < 0.35


def test_masks_depend_on_the_seed_alone() -> None:
    one, same, other = (random_masks(50, 8, 0.5, (32, 32), seed) for seed in (0, 0, 1))
    like = torch.zeros(1)
    assert torch.equal(one.between(0, 50, like), same.between(0, 50, like))
    assert torch.equal(one.between(0, 50, like)[10:20], same.between(10, 20, like))
    assert not torch.equal(one.grids, other.grids)
    assert not torch.equal(one.shifts, other.shifts)


@pytest.mark.parametrize("label", [0, 2])
def test_agrees_with_equation_6(label: int) -> None:
    network = small_cnn().double()
    image = some_images(1).double()
    masks = random_masks(60, 5, 0.4, (16, 24), seed=2).between(0, 60, image)
    total = torch.zeros(16, 24, dtype=torch.float64)
    with torch.no_grad():
        for mask in masks:
            total += network(image * mask).softmax(1)[0, label] * mask
    explainer = RISE(network, n_masks=60, cells=5, share=0.4, seed=2, precision="fp64")
    explanation = explainer(image, target=label)
    expected = normalise(total[None] / (0.4 * 60))[0].float()
    assert torch.allclose(explanation.maps, expected, atol=1e-6)
    assert explanation.forwards.tolist() == [61]
    assert explanation.layers == ()


class LeftEye(nn.Module):
    """Class 0 if the left half of the image is bright, else class 1."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        seen = images[:, :, :, : images.shape[3] // 2].mean(dim=(1, 2, 3))
        return torch.stack([4 * seen, torch.full_like(seen, 2.0)], dim=1)


def test_the_map_is_bright_where_the_model_looks() -> None:
    explanation = RISE(LeftEye(), n_masks=2000, precision="fp32")(torch.ones(1, 3, 32, 32))
    left, right = explanation.maps[0].split(16, dim=1)
    assert left.mean() > 1.5 * right.mean()
    assert explanation.maps[0].argmax() % 32 < 16
    against = RISE(LeftEye(), n_masks=2000, precision="fp32")(torch.ones(1, 3, 32, 32), target=1)
    assert against.maps[0, :, :16].mean() < against.maps[0, :, 16:].mean()


def test_the_batch_size_changes_nothing() -> None:
    images = some_images(2)
    maps = [
        RISE(small_cnn(), n_masks=37, precision="fp64", batch_size=size)(images).maps
        for size in (1, 8, 100)
    ]
    assert torch.allclose(maps[0], maps[1], atol=1e-6)
    assert torch.allclose(maps[0], maps[2], atol=1e-6)


def test_seeds() -> None:
    images = some_images(1)
    maps = [RISE(small_cnn(), n_masks=50, seed=seed)(images).maps for seed in (0, 0, 1)]
    assert torch.equal(maps[0], maps[1])
    assert not torch.allclose(maps[0], maps[2], atol=0.01)


def test_out_of_memory_halves_the_batch(caplog: pytest.LogCaptureFixture) -> None:
    class Small(nn.Sequential):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            if len(images) > 3:
                raise torch.OutOfMemoryError("here it is full")
            return super().forward(images)

    expected = RISE(small_cnn(), n_masks=20, precision="fp64")(some_images(1)).maps
    with caplog.at_level(logging.WARNING, "sise"):
        network = Small(*small_cnn()).eval()
        found = RISE(network, n_masks=20, precision="fp64", batch_size=8)(some_images(1)).maps
    assert torch.allclose(found, expected, atol=1e-6)
    assert "going on with batches of 2" in caplog.text


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"n_masks": 0}, "n_masks must be at least 1, not 0"),
        ({"cells": 1}, "cells must be at least 2, not 1"),
        ({"share": 0.0}, "share must lie between 0 and 1, not 0.0"),
        ({"share": 1.0}, "share must lie between 0 and 1, not 1.0"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, float], complaint: str) -> None:
    with pytest.raises(SiseError, match=complaint):
        RISE(small_cnn(), **options)
