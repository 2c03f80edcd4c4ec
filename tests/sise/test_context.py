import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import HandNet, small_cnn, some_images
from torch import nn

from sise import SISE
from sise.blocks import Layer
from sise.context import (
    Context,
    check_context,
    features_in_context,
    middle,
    surrounded,
    tile_in_context,
)
from sise.errors import SiseError

sizes = st.integers(1, 9)


def network(stride: int = 4) -> nn.Sequential:
    """Its second layer sees 11 px around each of its cells."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1, stride=2),
        nn.ReLU(),
        nn.Conv2d(4, 4, 5, padding=2, stride=stride // 2),
    ).double()


def layers(model: nn.Sequential) -> tuple[Layer, ...]:
    return Layer("early", model[0]), Layer("late", model[2])


@given(sizes, st.integers(1, 9), st.integers(0, 9), st.integers(0, 25))
@settings(max_examples=80)
def test_a_strip_is_mirrored_beyond_its_ends(
    height: int, width: int, left: int, margin: int
) -> None:
    length = left + width
    strip = np.arange(height * length).reshape(height, length)
    around = np.pad(strip, margin, mode="reflect")
    expected = around[:, left : left + width + 2 * margin]
    assert np.array_equal(tile_in_context(strip, left, width, margin), expected)


def test_neighbouring_steel_is_the_strips_own() -> None:
    strip = np.arange(2 * 30 * 3).reshape(2, 30, 3)
    piece = tile_in_context(strip, left=10, width=8, margin=1)
    assert piece.shape == (4, 10, 3)
    assert np.array_equal(piece[1:3], strip[:, 9:19])
    assert np.array_equal(piece[0], strip[1, 9:19])  # mirrored at the upper edge


@pytest.mark.parametrize("margin", [1, 3, 20])
def test_images_are_continued_by_their_mirror_image_or_their_edge(margin: int) -> None:
    images = torch.randn(2, 3, 5, 7)
    for context, mode in (("reflect", "reflect"), ("edge", "edge")):
        found = surrounded(images, context, margin)  # type: ignore[arg-type]
        padding = ((0, 0), (0, 0), (margin, margin), (margin, margin))
        assert np.array_equal(found.numpy(), np.pad(images.numpy(), padding, mode=mode))  # type: ignore[call-overload]


def test_in_its_strip_a_window_has_the_features_of_the_whole_strip() -> None:
    # 12 px of margin are more than the 5 px that the network sees around a cell, so that not a
    # bit of the zero padding is left but above and below, where the strip ends.
    model = network()
    strip = np.random.default_rng(0).normal(size=(24, 96, 3))
    whole = torch.from_numpy(strip).permute(2, 0, 1)[None]
    piece = torch.from_numpy(tile_in_context(strip, 32, 32, margin=12)).permute(2, 0, 1)[None]
    tile = whole[..., 32:64]
    early, late = features_in_context(model, layers(model), tile, piece, [(12, 16), (6, 8)])
    everywhere = model(whole)[..., 8:16]
    assert early.shape == (1, 4, 12, 16)
    torch.testing.assert_close(late[:, :, 2:-2], everywhere[:, :, 2:-2], atol=1e-12, rtol=0)
    alone = model(tile)
    assert (alone[:, :, 2:-2, 0] - everywhere[:, :, 2:-2, 0]).abs().max() > 0.01


@pytest.mark.parametrize("context", ["reflect", "edge"])
def test_the_border_of_even_steel_is_like_its_middle(context: Context) -> None:
    model = network()
    even = torch.full((1, 3, 16, 16), 2.0, dtype=torch.float64)
    alone = model(even)
    assert alone.amax(dim=(2, 3)).sub(alone.amin(dim=(2, 3))).min() > 0.01
    _, late = features_in_context(model, layers(model), even, context, [(8, 8), (4, 4)])
    for channel in late[0]:
        torch.testing.assert_close(channel, channel[:1, :1].expand(4, 4), atol=1e-12, rtol=0)


def test_the_middle_is_cut_cell_by_cell() -> None:
    cells = torch.arange(30.0).view(1, 1, 5, 6)
    assert middle(cells, (3, 2)).tolist() == [[[[8, 9], [14, 15], [20, 21]]]]


def test_a_margin_that_is_no_multiple_of_the_stride_is_told() -> None:
    model = network()
    images = torch.zeros(1, 3, 16, 16, dtype=torch.float64)
    around = torch.zeros(1, 3, 20, 20, dtype=torch.float64)
    with pytest.raises(SiseError, match=r"stride of layer 'late' \(5 cells around 4\)"):
        features_in_context(model, layers(model), images, around, [(8, 8), (4, 4)])


@pytest.mark.parametrize(
    ("context", "told"),
    [
        ("mirror", "context 'mirror': one of reflect, edge"),
        (torch.zeros(3, 20, 20), "one wider piece per image"),
        (torch.zeros(1, 3, 20, 20), "one wider piece per image"),
        (torch.zeros(2, 3, 20, 24), "same on all four sides"),
        (torch.zeros(2, 3, 16, 16), "same on all four sides"),
        (torch.zeros(2, 3, 19, 19), "same on all four sides"),
        (torch.zeros(2, 3, 20, 20), "its middle is not the image"),
    ],
)
def test_a_context_that_does_not_fit_is_refused(context: Context, told: str) -> None:
    with pytest.raises(SiseError, match=told):
        surrounded(torch.ones(2, 3, 16, 16), context)


def test_a_wider_piece_takes_the_images_dtype() -> None:
    images = torch.randn(2, 3, 6, 6, dtype=torch.float64)
    wider = surrounded(images, "reflect", 2)
    assert torch.equal(surrounded(images, wider.float()), wider.float().double())


def test_no_context_and_continuations_are_fine() -> None:
    for context in (None, "reflect", "edge", torch.zeros(1)):
        check_context(context)  # type: ignore[arg-type]


def test_without_padding_a_context_changes_nothing() -> None:
    # HandNet's feature maps are the image's channels: nothing comes from beyond the border.
    images = some_images(2, (8, 12)).double()
    plain = SISE(HandNet().double(), precision="fp64")(images)
    for context in ("reflect", "edge"):
        found = SISE(HandNet().double(), context=context, precision="fp64")(images)  # type: ignore[arg-type]
        torch.testing.assert_close(found.maps, plain.maps, atol=1e-6, rtol=0)
        assert torch.equal(found.forwards, plain.forwards + 1)


def test_masks_come_from_the_context_and_all_else_from_the_image() -> None:
    # What `sise.explainer` does with the feature maps of the context, it must do with those of a
    # model that pads as the context continues the image.
    model, images = small_cnn().double(), some_images(2).double()
    found = SISE(model, layers=["0"], precision="fp64")(images, context="edge")
    seen = model[0](surrounded(images, "edge"))[:, :, 64:-64, 64:-64]
    padded = small_cnn().double()
    padded[0] = nn.Conv2d(3, 8, 3, padding=1, padding_mode="replicate").double()
    padded[0].load_state_dict(model[0].state_dict())
    torch.testing.assert_close(padded[0](images), seen, atol=1e-12, rtol=0)
    plain = SISE(model, layers=["0"], precision="fp64")(images)
    assert torch.equal(found.targets, plain.targets)
    assert torch.equal(found.scores, plain.scores)
    assert torch.equal(found.layers[0].selected, plain.layers[0].selected)
    assert not torch.equal(found.maps[:, 0], plain.maps[:, 0])


def test_a_wider_piece_and_a_continuation_are_the_same_thing() -> None:
    model, images = small_cnn(), some_images(5)
    by_word = SISE(model, context="reflect", precision="fp32", batch_size=8)(images)
    pieces = surrounded(images, "reflect")
    # Eight masked images at once are one captured at once: each piece must reach its image.
    by_piece = SISE(model, precision="fp32", batch_size=8)(images, context=pieces)
    assert torch.equal(by_word.maps, by_piece.maps)
    alone = SISE(model, precision="fp32", batch_size=8)(images[3:4], context=pieces[3:4])
    torch.testing.assert_close(alone.maps[0], by_piece.maps[3], atol=1e-5, rtol=0)


def test_the_pass_over_the_context_counts_in_the_budget() -> None:
    explanation = SISE(small_cnn(), budget=9, context="reflect", precision="fp32")(some_images())
    assert explanation.forwards.tolist() == [9, 9, 9]


def test_the_explainer_refuses_a_context_that_does_not_fit() -> None:
    with pytest.raises(SiseError, match="one of reflect, edge"):
        SISE(small_cnn(), context="zeros")  # type: ignore[arg-type]
    with pytest.raises(SiseError, match="one wider piece per image"):
        SISE(small_cnn())(some_images(3), context=torch.zeros(2, 3, 144, 152))
