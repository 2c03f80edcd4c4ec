from collections.abc import Sequence
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from skimage.filters import threshold_otsu
from textbook import VisualizationMap
from textbook import fuse as textbook_fuse

from sise.choices import Fusion
from sise.errors import SiseError
from sise.fusion import fuse, otsu_thresholds


@given(
    hnp.arrays(
        np.float64,
        hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=12),
        elements=st.floats(0, 1),
    )
)
def test_otsu_agrees_with_scikit_image(values: np.ndarray) -> None:
    if values.min() == values.max():
        return
    span = (values - values.min()) / (values.max() - values.min())
    ours = otsu_thresholds(torch.from_numpy(span)[None]).item()
    # Two bins may separate equally well; then either threshold makes the same binary mask.
    theirs = threshold_otsu(span)
    assert ours == pytest.approx(theirs, abs=1e-6) or np.array_equal(span > ours, span > theirs)


def test_otsu_of_smooth_maps_agrees_with_scikit_image_to_the_last_bin() -> None:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(50, 1, 6, 6, generator=generator)
    maps = torch.nn.functional.interpolate(coarse, size=(48, 48), mode="bilinear")[:, 0]
    theirs = [threshold_otsu(values.numpy()) for values in maps]
    assert otsu_thresholds(maps).tolist() == pytest.approx(theirs, abs=1e-6)


def test_otsu_of_a_constant_map_is_its_constant() -> None:
    assert otsu_thresholds(torch.full((1, 3, 3), 0.25)).tolist() == [0.25]


def test_hard_fusion_by_hand() -> None:
    shallow = torch.tensor([[[0.0, 1.0, 0.5, 0.0]]])
    deep = torch.tensor([[[0.0, 0.2, 0.8, 1.0]]])
    # F + V = 0, 1.2, 1.3, 1.0; Otsu keeps the last two; then / maximum.
    expected = [0.0, 0.0, 1.0, 1.0 / 1.3]
    assert fuse([shallow, deep])[0, 0].tolist() == pytest.approx(expected)


def test_hard_fusion_normalises_nothing_between_two_stages() -> None:
    first = torch.tensor([[[0.0, 1.0, 1.0, 0.0]]])
    second = torch.tensor([[[0.0, 0.0, 1.0, 1.0]]])
    third = torch.tensor([[[0.0, 0.099, 0.9, 1.0]]])
    # Stage 2: (0, 1, 2, 1) · (0, 0, 1, 1) = 0, 0, 2, 1.
    # Stage 3: (0, 0.099, 2.9, 2) · (0, 0, 1, 1); then / 2.9.
    assert fuse([first, second, third])[0, 0].tolist() == pytest.approx([0, 0, 1, 2 / 2.9])


@pytest.mark.parametrize("fusion", ["hard", "soft"])
def test_all_maps_weigh_alike_where_every_gate_is_open(fusion: Fusion) -> None:
    # Six dark pixels and six bright ones, of which map b has its own at 1 and the others at 0.8.
    bright = 0.8 + 0.2 * torch.eye(6)[:5]
    maps = [torch.cat([torch.zeros(6), one]).reshape(1, 3, 4) for one in bright]
    fused = fuse(maps, fusion).flatten()
    assert fused.tolist() == pytest.approx([0] * 6 + [1] * 5 + [4 / 4.2], abs=1e-6)


def test_the_range_and_offset_of_a_map_count_for_nothing() -> None:
    generator = torch.Generator().manual_seed(1)
    maps = [torch.rand(2, 6, 6, generator=generator, dtype=torch.float64) for _ in range(4)]
    scaled = [values * 10.0**-depth + depth for depth, values in enumerate(maps)]
    for fusion in get_args(Fusion):
        assert torch.allclose(fuse(maps, fusion), fuse(scaled, fusion), atol=1e-9)


def test_a_constant_visualization_map_gates_nothing() -> None:
    shallow = torch.tensor([[[0.0, 1.0, 0.5, 0.25]]])
    for constant in (0.0, 0.7):
        fused = fuse([shallow, torch.full((1, 1, 4), constant)])
        assert fused[0, 0].tolist() == pytest.approx([0.0, 1.0, 0.5, 0.25])


def test_each_image_of_a_batch_is_fused_alone() -> None:
    generator = torch.Generator().manual_seed(3)
    maps = [torch.rand(4, 8, 8, generator=generator) for _ in range(3)]
    maps[1][2] = 0.5
    for fusion in get_args(Fusion):
        alone = [fuse([layer[i : i + 1] for layer in maps], fusion) for i in range(4)]
        assert torch.equal(fuse(maps, fusion), torch.cat(alone))


def soft_gate(values: Sequence[float]) -> torch.Tensor:
    """What a deep map of these values does to a shallow one, seen where its sum is flat."""
    deep = torch.tensor([[values]], dtype=torch.float64)
    return fuse([1 - deep, deep], "soft")[0, 0]


def test_soft_fusion_by_hand() -> None:
    # Levels 0, 51, 205, 256 of which the last counts as 255. Between-class variances are 1·3·170²,
    # 2·2·204², 3·1·170²: so t is 52, the lowest level above 51, and half of the pixels reach 78.
    shallow = torch.tensor([[[0.0, 1.0, 0.5, 0.0]]], dtype=torch.float64)
    deep = torch.tensor([[[0.0, 0.2, 0.8, 1.0]]], dtype=torch.float64)
    added = np.array([0.0, 1.2, 1.3, 1.0])
    gated = added / (1 + np.exp(-100 * (deep[0, 0].numpy() - 52 / 256)))
    assert fuse([shallow, deep], "soft")[0, 0].tolist() == pytest.approx(gated / gated.max())
    assert gated[1] == pytest.approx(1.2 * 0.4225, abs=1e-4)  # 0.2 lies just below 52 / 256


def test_soft_fusion_raises_a_threshold_that_hardly_any_pixel_clears() -> None:
    # Of 400 pixels, one at level 0, 199 each at 64 and 96, one at 255: Otsu parts 64 from 96, so
    # that t is 65. Only one pixel reaches 1.5 · 65 = 97.5, rounded 98: so 97.5 it is.
    gate = soft_gate([0.0] + [0.25] * 199 + [0.375] * 199 + [1.0])
    assert gate[[1, 399]].tolist() == pytest.approx([0, 1], abs=1e-5)
    assert gate[200].item() == pytest.approx(1 / (1 + np.exp(0.5859375)))
    # Where 39 lie at 98 instead of 96, a tenth of the pixels reaches it, and t stays.
    gate = soft_gate([0.0] + [0.25] * 199 + [0.375] * 160 + [98 / 256] * 39 + [1.0])
    assert gate[200].item() == pytest.approx(1, abs=1e-4)


@given(
    hnp.arrays(
        np.float64,
        hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=9),
        elements=st.floats(0, 1) | st.sampled_from([k / 512 for k in range(513)]),
    ),
    st.floats(0.2, 6),
)
def test_soft_fusion_is_that_of_the_authors_code(values: np.ndarray, power: float) -> None:
    if np.ptp(values) < 1e-3:
        return
    deep = ((values - values.min()) / np.ptp(values)) ** power
    maps = [VisualizationMap(one, 1) for one in (1 - values, deep, deep.T[::-1].T)]
    tensors = [torch.from_numpy(np.ascontiguousarray(one.values))[None] for one in maps]
    assert np.allclose(fuse(tensors, "soft")[0], textbook_fuse(maps, "soft"), atol=1e-9)
    singles = [one.float() for one in tensors]
    again = [VisualizationMap(one[0].double().numpy(), 1) for one in singles]
    assert fuse(singles, "soft").dtype == torch.float32
    assert np.allclose(fuse(singles, "soft")[0], textbook_fuse(again, "soft"), atol=2e-5)


def test_geometric_fusion_by_hand() -> None:
    # Of two maps, their product: (0, 1/4, 1/2, 1) · (1, 0, 1/2, 1/4), divided by its maximum 1/4.
    two = [torch.tensor([[[0.0, 1.0, 2.0, 4.0]]]), torch.tensor([[[4.0, 0.0, 2.0, 1.0]]])]
    assert fuse(two, "geometric")[0, 0].tolist() == pytest.approx([0, 0, 1, 1])
    # Of four, the root of the product: √(1/4 · 1/4 · 1 · 1) = 1/4 beside √1; a constant map counts
    # for none of them, so that (1/4)^(2/3) is left of three.
    quarter, whole = torch.tensor([[[0.0, 0.25, 1.0]]]), torch.tensor([[[0.0, 1.0, 1.0]]])
    four = fuse([quarter, quarter, whole, whole], "geometric")
    assert four[0, 0].tolist() == pytest.approx([0, 0.25, 1])
    three = fuse([quarter, torch.full((1, 1, 3), 0.7), whole, whole], "geometric")
    assert three[0, 0].tolist() == pytest.approx([0, 0.25 ** (2 / 3), 1])


@given(
    hnp.arrays(np.float64, (4, 6, 6), elements=st.floats(0, 1).map(lambda value: round(value, 3)))
)
def test_geometric_fusion_is_the_square_of_scipys_geometric_mean(maps: np.ndarray) -> None:
    if (np.ptp(maps, axis=(1, 2)) == 0).any():
        return
    low, high = (side(axis=(1, 2), keepdims=True) for side in (maps.min, maps.max))
    with np.errstate(divide="ignore"):
        mean = stats.gmean((maps - low) / (high - low), axis=0) ** 2
    if np.ptp(mean) < 1e-9:
        return
    fused = fuse(list(torch.from_numpy(maps)[:, None]), "geometric")[0]
    assert np.allclose(fused, (mean - mean.min()) / np.ptp(mean), atol=1e-6)


def test_one_map_alone_is_only_normalised_by_each_fusion() -> None:
    alone = torch.tensor([[[1.0, 3.0], [5.0, 2.0]]])
    for fusion in get_args(Fusion):
        assert fuse([alone], fusion).tolist() == [[[0.0, 0.5], [1.0, 0.25]]]


def test_constant_maps_alone_give_zeros() -> None:
    for fusion in get_args(Fusion):
        assert not fuse([torch.full((1, 2, 2), 0.7)] * 3, fusion).any()


def test_an_unknown_fusion_is_refused_by_name() -> None:
    with pytest.raises(SiseError, match="'medium': one of hard, soft, geometric"):
        fuse([torch.zeros(1, 2, 2)], "medium")  # type: ignore[arg-type]
