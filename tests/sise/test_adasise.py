import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks import small_cnn, some_images
from skimage.filters import threshold_otsu

from sise import SISE
from sise.errors import SiseError
from sise.selection import positive_gradient_maps


def test_the_upper_of_two_clusters_is_kept() -> None:
    alpha = torch.tensor([[0.1, 5.0, -3.0, 0.2, 6.0, 0.0, 0.15, 5.5]])
    kept = positive_gradient_maps(alpha, mu="otsu")
    assert kept.tolist() == [[False, True, False, False, True, False, False, True]]


def test_each_image_has_its_own_threshold() -> None:
    alpha = torch.tensor([[1.0, 2, 9, 10], [10.0, 20, 90, 100]])
    assert positive_gradient_maps(alpha, mu="otsu").tolist() == [[False, False, True, True]] * 2


@pytest.mark.parametrize(
    ("alpha", "kept"),
    [
        ([2.0, 2.0, -1.0], [True, True, False]),
        ([3.0, -1.0, -2.0], [True, False, False]),
        ([-3.0, 0.0, -1.0], [False, False, False]),
    ],
    ids=["all the same", "only one", "none positive"],
)
def test_without_two_different_values_all_that_are_positive_are_kept(
    alpha: list[float], kept: list[bool]
) -> None:
    assert positive_gradient_maps(torch.tensor([alpha]), mu="otsu").tolist() == [kept]


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=40))
def test_it_is_otsus_threshold_of_the_positive_values(values: list[float]) -> None:
    alpha = torch.tensor([values], dtype=torch.float64)
    kept = positive_gradient_maps(alpha, mu="otsu")
    candidates = alpha[alpha > 0]
    if candidates.numel() and candidates.max() - candidates.min() > 1e-6:
        assert torch.equal(kept, alpha > threshold_otsu(candidates.numpy()))
    assert not (kept & (alpha <= 0)).any()
    assert kept.any() == (alpha > 0).any()


def test_ada_sise_scores_fewer_masks_of_the_same_maps() -> None:
    images = some_images(2)
    every = SISE(small_cnn(), precision="fp64")(images)
    fewer = SISE(small_cnn(), mu="otsu", precision="fp64")(images)
    for one, other in zip(every.layers, fewer.layers, strict=True):
        assert (other.scored < one.scored).all()
        assert (other.scored > 0).all()
    assert fewer.status == ("ok", "ok")
    assert fewer.forwards.tolist() == [
        1 + sum(int(layer.scored[image]) for layer in fewer.layers) for image in (0, 1)
    ]


def test_another_word() -> None:
    with pytest.raises(SiseError, match='mu must be at least 0, not auto; or "otsu"'):
        SISE(small_cnn(), mu="auto")  # type: ignore[arg-type]
