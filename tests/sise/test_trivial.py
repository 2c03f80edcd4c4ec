from math import exp

import pytest
import torch
from networks import small_cnn, some_images
from skimage.filters import sobel

from sise.masks import normalise
from sise.methods.trivial import CentreGaussian, Noise, SobelEdges


def test_the_gaussian_by_hand() -> None:
    explanation = CentreGaussian(small_cnn())(some_images(2, (4, 4)))
    # Pixel centres are 1/8 and 3/8 of the side from the middle, σ is 1/4 of it.
    corner, edge, middle = exp(-2.25), exp(-1.25), exp(-0.25)
    side = (edge - corner) / (middle - corner)
    expected = torch.tensor(
        [[0, side, side, 0], [side, 1, 1, side], [side, 1, 1, side], [0, side, side, 0]]
    )
    assert torch.allclose(explanation.maps, expected.expand(2, 4, 4), atol=1e-6)
    assert explanation.forwards.tolist() == [1, 1]
    assert explanation.layers == ()


def test_the_gaussian_is_as_oblong_as_the_image() -> None:
    oblong = CentreGaussian(small_cnn())(some_images(1, (40, 160))).maps[0] > 0.5
    wide, high = (int(oblong.any(dim=axis).sum()) for axis in (0, 1))
    assert 0 < high < 40
    assert abs(wide - 4 * high) <= 4


def test_noise_is_drawn_for_each_image_from_its_pixels_and_the_seed() -> None:
    images = some_images(3, (32, 32))
    maps = Noise(small_cnn(), precision="fp32")(images).maps
    assert torch.equal(Noise(small_cnn(), precision="fp64")(images[1:2]).maps, maps[1:2])
    assert torch.equal(Noise(small_cnn(), seed=0)(images.flip(0)).maps, maps.flip(0))
    assert not torch.equal(Noise(small_cnn(), seed=1)(images).maps, maps)
    assert torch.corrcoef(maps.flatten(1)).triu(1).abs().amax() < 0.1
    assert maps.mean().item() == pytest.approx(0.5, abs=0.02)
    assert maps.std().item() == pytest.approx(12**-0.5, abs=0.02)


def test_edges_agree_with_scikit_image() -> None:
    images = some_images(2)
    edges = SobelEdges(small_cnn(), precision="fp64")(images).maps
    for image, found in zip(images.double(), edges, strict=True):
        expected = torch.from_numpy(sobel(image.mean(dim=0).numpy()))
        assert torch.allclose(found, normalise(expected[None])[0][0].float(), atol=1e-6)


def test_an_even_image_has_no_edges() -> None:
    explanation = SobelEdges(small_cnn())(torch.ones(1, 3, 8, 8))
    assert explanation.status == ("constant map",)
