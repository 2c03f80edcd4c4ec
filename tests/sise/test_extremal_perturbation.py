from math import cos, exp, hypot, pi

import pytest
import torch
from networks import small_cnn, some_images
from torch import nn
from torch.nn import functional

from sise.errors import SiseError
from sise.methods.extremal_perturbation import (
    ExtremalPerturbation,
    SmoothMasks,
    extremal_masks,
    sorted_masks,
)


def test_smooth_masks_agree_with_a_plain_loop() -> None:
    # The kernel's radius is 0.05 · 80 = 4 px, so a point every 2 px.
    smooth = SmoothMasks((80, 120))
    assert smooth.grid == (40, 60)
    grid = torch.rand(1, 40, 60, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = smooth.at_points(grid)
    for row, column in ((0, 0), (10, 59), (16, 20)):
        values = []
        for down in range(-4, 5):
            for across in range(-4, 5):
                inside = 0 <= row + down < 40 and 0 <= column + across < 60
                value = grid[0, row + down, column + across].item() if inside else 0.0
                away = min(max(hypot(2 * down, 2 * across) / 4 - 1, 0), 1)  # 1 where k is 0
                values.append((1 + cos(pi * away)) / 2 * value)
        weights = [exp(10 * value) for value in values]
        expected = sum(v * w for v, w in zip(values, weights, strict=True)) / sum(weights)
        assert found[0, row, column].item() == pytest.approx(expected, abs=1e-12)
    masks = functional.interpolate(found[None], size=(80, 120), mode="bilinear")[0]
    assert torch.allclose(smooth(grid), masks)


def test_a_smooth_mask_has_no_specks() -> None:
    smooth = SmoothMasks((80, 80))
    grid = torch.zeros(1, 40, 40)
    grid[0, 16, 16] = 1
    mask = smooth(grid)[0]
    assert mask.amax() > 0.9
    assert (mask > 0.5).sum() > 3.14 * 5**2  # a disc of more than 5 px
    assert mask.diff(dim=0).abs().amax() < 0.4


def test_what_sorted_masks_should_be() -> None:
    wanted = sorted_masks(torch.tensor([0.25, 0.5, 0.001]), (2, 4))
    assert wanted[0].tolist() == [0, 0, 0, 0, 0, 0, 1, 1]
    assert wanted[1].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert wanted[2].tolist() == [0, 0, 0, 0, 0, 0, 0, 1]


@pytest.mark.parametrize("total", [0.1, 1000])
def test_masks_of_the_area_asked_for_cover_what_the_reward_is_for(total: float) -> None:
    prize = torch.zeros(32, 32)
    prize[:16, :16] = total / 16**2
    masks = extremal_masks(
        lambda masks: (masks * prize).sum(dim=(1, 2)),
        SmoothMasks((32, 32)),
        torch.tensor([0.05, 0.25]),
        steps=100,
    )
    for mask, area in zip(masks, (0.05, 0.25), strict=True):
        assert mask.mean().item() == pytest.approx(area, abs=0.01)
        kept = mask > 0.5
        assert kept.float().mean().item() == pytest.approx(area, abs=0.01)
        assert kept[:16, :16].sum() / kept.sum() > 0.9
        assert ((mask > 0.2) & (mask < 0.8)).float().mean() < 0.1


def test_a_reward_that_no_mask_changes() -> None:
    masks = extremal_masks(
        lambda masks: 0 * masks.sum(dim=(1, 2)), SmoothMasks((16, 16)), torch.tensor([0.3]), 100
    )
    assert masks.isfinite().all()
    assert masks.mean().item() == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize(
    ("gain", "between"),
    [(1e-3, 0.0), (1.0, 0.0), (1e3, 0.0), (1.0, 1e-5), (1.0, -1e-5), (1.0, 1.0)],
)
def test_the_areas_come_out_where_background_and_image_score_alike(
    gain: float, between: float
) -> None:
    # The left half pays what the right half costs: with all and with nothing, next to nothing.
    prize = torch.ones(32, 32) / 32**2
    prize[:, 16:] *= -1
    prize[0, 0] += between
    wanted = torch.tensor([0.025, 0.05, 0.1, 0.2])
    masks = extremal_masks(
        lambda masks: gain * (masks * prize).sum(dim=(1, 2)), SmoothMasks((32, 32)), wanted, 80
    )
    kept = masks > 0.5
    for found in (masks.mean(dim=(1, 2)), kept.float().mean(dim=(1, 2))):
        assert found.tolist() == pytest.approx(wanted.tolist(), abs=0.015)
    assert (kept[:, :, :16].sum(dim=(1, 2)) / kept.sum(dim=(1, 2)) > 0.9).all()


class Hidden(nn.Module):
    """Class 0 likes detail on the left and dislikes it on the right, in equal measure."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        detail = images.diff(dim=3).square().mean(dim=(1, 2))
        half = detail.shape[1] // 2
        logit = 5 * (detail[:, :half].sum(dim=1) - detail[:, -half:].sum(dim=1))
        return torch.stack([logit, torch.zeros_like(logit)], dim=1)


def test_the_map_of_an_image_that_scores_as_its_blur_does() -> None:
    left = some_images(1, (32, 16))
    images = torch.cat([left, left.flip(3)], dim=3)  # what speaks for the class speaks against it
    explainer = ExtremalPerturbation(Hidden(), steps=100, precision="fp32", batch_size=64)
    (heat,) = explainer(images, target=0).maps
    assert heat[:, :16].sum() > 0.85 * heat.sum()
    assert (heat > 0.01).float().mean() < 0.35  # the largest mask keeps a fifth


class Corner(nn.Module):
    """Class 0 by how varied the red of the top left quarter is, class 1 by the bottom right's."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        half = images.shape[2] // 2
        corners = images[:, 0, :half, :half], images[:, 0, half:, half:]
        return torch.stack([10 * corner.square().mean(dim=(1, 2)) for corner in corners], dim=1)


def test_each_class_has_its_own_map() -> None:
    images = some_images(2, (32, 32))
    explainer = ExtremalPerturbation(
        Corner(), areas=(0.05, 0.2), steps=150, precision="fp32", batch_size=64
    )
    explanation = explainer(images, target=[0, 1])
    assert explanation.maps[0, :16, :16].sum() > 0.8 * explanation.maps[0].sum()
    assert explanation.maps[1, 16:, 16:].sum() > 0.8 * explanation.maps[1].sum()
    assert explanation.forwards.tolist() == [305, 305]
    assert explanation.layers == ()


def test_how_many_masks_go_together_changes_nothing() -> None:
    images = some_images(2)
    one, many = (
        ExtremalPerturbation(small_cnn(), steps=20, precision="fp64", batch_size=size)(images).maps
        for size in (1, 64)
    )
    assert torch.allclose(one, many, atol=1e-6)


def test_options_that_make_no_sense() -> None:
    with pytest.raises(SiseError, match=r"areas must lie between 0 and 1, not 0.1, 1.0"):
        ExtremalPerturbation(small_cnn(), areas=(0.1, 1.0))
    with pytest.raises(SiseError, match="areas must lie between 0 and 1"):
        ExtremalPerturbation(small_cnn(), areas=())
    with pytest.raises(SiseError, match="steps must be at least 1, not 0"):
        ExtremalPerturbation(small_cnn(), steps=0)
