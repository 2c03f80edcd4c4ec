from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks import small_cnn, some_images

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


@pytest.mark.parametrize(
    ("alpha", "kept"),
    [
        ([0.001, 0.3, 1.0], [1.0]),  # 2·1·0.8495² > 1·2·0.649²
        ([0.0, 0.001, 0.3, 1.0, -5.0], [1.0]),
        ([1.0, 2.0, 3.0], [2.0, 3.0]),  # as good as {1, 2} | {3}
        ([1.0, 1.0, 1.0, 2.0], [2.0]),
        ([1.0, 2.0, 2.0, 2.0], [2.0] * 3),
        ([1.0, 1.0 + 1e-6], [1.0 + 1e-6]),
        ([1e-30, 2e-30, 9e-30], [9e-30]),
        ([1e-3, 1e30], [1e30]),
    ],
)
def test_by_hand(alpha: list[float], kept: list[float]) -> None:
    for order in (alpha, alpha[::-1]):
        for dtype in (torch.float32, torch.float64):
            values = torch.tensor([order], dtype=dtype)
            found = values[positive_gradient_maps(values, mu="otsu")].sort().values
            assert found.tolist() == torch.tensor(kept, dtype=dtype).tolist()


def between(lower: list[float], upper: list[float]) -> Fraction:
    """n₀·n₁·(m₁ − m₀)², exactly."""
    first, second = [list(map(Fraction, values)) for values in (lower, upper)]
    apart = sum(second) / len(second) - sum(first) / len(first)
    return len(first) * len(second) * apart**2


@given(
    st.lists(
        st.floats(-5, 5) | st.integers(1, 4).map(float) | st.floats(1e-30, 1e-20),
        min_size=1,
        max_size=12,
    )
)
def test_no_partition_of_the_positive_values_is_better(values: list[float]) -> None:
    (kept,) = positive_gradient_maps(torch.tensor([values], dtype=torch.float64), mu="otsu")
    positive = sorted(value for value in values if value > 0)
    upper = sorted(value for value, one in zip(values, kept.tolist(), strict=True) if one)
    if len(set(positive)) < 2:
        assert upper == positive
        return
    lower = positive[: len(positive) - len(upper)]
    assert lower + upper == positive
    assert lower[-1] < upper[0]
    best = max(between(positive[:k], positive[k:]) for k in range(1, len(positive)))
    assert float(between(lower, upper) / best) > 1 - 1e-12


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
