import torch
from hypothesis import given
from hypothesis import strategies as st

from sise.selection import average_gradients, positive_gradient_maps


def test_alpha_sums_the_gradient_over_locations() -> None:
    gradients = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]], [[-1.0, 0.5], [0.0, 0.0]]]])
    assert average_gradients(gradients).tolist() == [[10.0, -0.5]]


def test_alpha_of_half_precision_gradients_is_summed_in_float32() -> None:
    # 4096 + 1 is 4096 in float16: a sum in float16 would lose every one of the ones.
    gradients = torch.ones(1, 1, 64, 65, dtype=torch.float16)
    assert average_gradients(gradients).item() == 4160


def test_mu_zero_keeps_positive_gradients_only() -> None:
    alpha = torch.tensor([[0.5, 0.0, -0.1, 2.0]])
    assert positive_gradient_maps(alpha, mu=0.0).tolist() == [[True, False, False, True]]


def test_the_threshold_is_mu_times_the_images_own_largest_alpha() -> None:
    alpha = torch.tensor([[1.0, 2.0, 0.9], [10.0, 4.9, 5.1]])
    assert positive_gradient_maps(alpha, mu=0.5).tolist() == [
        [False, True, False],  # 1.0 is not above 0.5 · 2.0
        [True, False, True],
    ]


def test_a_layer_without_positive_gradient_keeps_none_even_where_mu_beta_is_negative() -> None:
    # -1 > 0.5 · -3 would hold for every map if only equation 7 were applied.
    alpha = torch.tensor([[-1.0, -3.0]])
    assert not positive_gradient_maps(alpha, mu=0.5).any()


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=9), st.floats(0, 0.99), st.floats(0, 0.99))
def test_a_larger_mu_keeps_a_subset(values: list[float], one: float, other: float) -> None:
    alpha = torch.tensor([values], dtype=torch.float64)
    loose = positive_gradient_maps(alpha, min(one, other))
    strict = positive_gradient_maps(alpha, max(one, other))
    assert bool((loose | ~strict).all())


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=9), st.integers(-20, 20))
def test_a_positive_factor_of_the_gradient_changes_nothing(values: list[float], k: int) -> None:
    alpha = torch.tensor([values], dtype=torch.float64)
    scaled = positive_gradient_maps(alpha * 2.0**k, 0.3)
    assert torch.equal(positive_gradient_maps(alpha, 0.3), scaled)
