from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from networks import HandNet, small_cnn, some_images
from test_backends import needs_openvino
from test_explainer import BLUE_1, BLUE_2, RED_1, RED_2, hand_image, sigmoid
from test_mask_scoring import Recorder, mask_sets, scorer
from textbook import explain as textbook_explain

from sise import SISE
from sise.choices import Evidence
from sise.errors import SiseError
from sise.evidence import EvidenceScorer
from sise.registry import make_explainer, parse_spec
from sise.sampling import MaskScorer, MaskSet

EVERY = pytest.mark.parametrize("evidence", ["kept", "removed", "both", "none"])
SCORED = pytest.mark.parametrize("evidence", ["removed", "both"])

# Class 0 of HandNet on `hand_image`, by hand. The whole image: red 4/16, twice blue 8/16, green
# -1/16. Without the upper left quarter (red, and the green pixel) blue is left, without the lower
# right one red and green. A mask of the half resolution leaves 4 - 1.75² of its own quarter and
# 4 - 0.25² of the other; at the green pixel red's is 1, blue's 0.
WHOLE = sigmoid(11 / 16)
LOST_1 = WHOLE - sigmoid(8 / 16), WHOLE - sigmoid(3 / 16)
LOST_2 = (
    WHOLE - sigmoid((4 - 1.75**2 + 2 * (4 - 0.25**2)) / 16),
    WHOLE - sigmoid((4 - 0.25**2 + 2 * (4 - 1.75**2) - 1) / 16),
)
KEPT_1 = sigmoid(3 / 16), sigmoid(8 / 16)
KEPT_2 = sigmoid((1.75**2 + 2 * 0.25**2 - 1) / 16), sigmoid((0.25**2 + 2 * 1.75**2) / 16)


def mean(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    return (one[0] + other[0]) / 2, (one[1] + other[1]) / 2


def scores_by(evidence: Evidence, masked: MaskScorer) -> Callable[..., Sequence[torch.Tensor]]:
    """What scores masks as `evidence` says, by `masked` scores of masked images."""
    images = masked.masker.images
    score = EvidenceScorer(evidence, images.to(torch.promote_types(images.dtype, torch.float32)))
    return lambda sets: masked.work_off([score(sets)], [len(masked.targets)])[0]


@pytest.mark.parametrize(
    ("evidence", "first", "second", "forwards", "scored"),
    [
        ("kept", KEPT_1, KEPT_2, 1 + 4, 2),
        ("removed", LOST_1, LOST_2, 1 + 1 + 4, 2),
        ("both", mean(KEPT_1, LOST_1), mean(KEPT_2, LOST_2), 1 + 1 + 8, 2),
        ("none", (1, 1), (1, 1), 1, 0),
    ],
)
def test_scores_by_hand(
    evidence: Evidence,
    first: tuple[float, float],
    second: tuple[float, float],
    forwards: int,
    scored: int,
) -> None:
    found = SISE(HandNet(), evidence=evidence, precision="fp64")(hand_image(), target=0)
    expected = [(first[0] * RED_1 + first[1] * BLUE_1) / 8]
    expected.append((second[0] * RED_2 + second[1] * BLUE_2) / 8)
    for layer, values in zip(found.layers, expected, strict=True):
        np.testing.assert_allclose(layer.maps[0], values, rtol=1e-6)
        assert (layer.selected.item(), layer.scored.item()) == (2, scored)
    assert found.forwards.tolist() == [forwards]


def test_what_speaks_against_the_class_has_a_negative_score_and_the_least_value() -> None:
    image = hand_image()
    image[0, 1, :2, :2] = 3  # green speaks for the other class, and red's mask covers it
    found = SISE(HandNet(), evidence="removed", layers=["block1"], precision="fp64")(image, 0)
    whole = sigmoid(4 / 16 + 8 / 16 - 12 / 16)
    red, blue = whole - sigmoid(8 / 16), whole - sigmoid(-8 / 16)
    assert red < 0 < blue
    values = (red * RED_1 + blue * BLUE_1) / 8
    np.testing.assert_allclose(found.layers[0].maps[0], values, rtol=1e-6)
    np.testing.assert_allclose(found.maps[0], (values - red / 8) / (blue / 8 - red / 8), atol=1e-6)


def test_the_paper_is_the_default_bit_for_bit() -> None:
    images = some_images(2)
    found = SISE(small_cnn(), evidence="kept", precision="fp32")(images)
    plain = SISE(small_cnn(), precision="fp32")(images)
    assert torch.equal(found.maps, plain.maps)
    assert found.forwards.tolist() == plain.forwards.tolist()


@EVERY
@pytest.mark.parametrize("fill", ["grey", "inpaint"])
@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_float64_equals_the_textbook(evidence: Evidence, fill: str, output: str) -> None:
    model, image = small_cnn(), some_images(1)
    explainer = SISE(model, evidence=evidence, fill=fill, output=output, precision="fp64")  # type: ignore[arg-type]
    expected = textbook_explain(
        model, image[0], 1, ["2", "6"], fill=fill, output=output, evidence=evidence
    )
    np.testing.assert_allclose(explainer(image, target=1).maps[0], expected, atol=1e-6)


def ones_and_zeros(images: torch.Tensor) -> list[MaskSet]:
    owners = torch.arange(len(images))
    return [
        MaskSet(torch.ones(len(images), 2, 2).to(images), owners),
        MaskSet(torch.zeros(len(images), 2, 3).to(images), owners),
    ]


@pytest.mark.parametrize("fill", ["grey", "mean", "colour"])
def test_a_mask_of_ones_takes_all_of_the_image_away_and_one_of_zeros_nothing(fill: str) -> None:
    images, model = some_images(3).double(), small_cnn().double()
    colour = torch.tensor([0.5, -1.0, 2.0])
    background = {
        "grey": torch.zeros_like(images),
        "mean": images.mean(dim=(2, 3), keepdim=True).expand_as(images),
        "colour": colour.double().view(1, 3, 1, 1).expand_as(images),
    }[fill]
    targets = torch.tensor([0, 2, 1])
    explainer = SISE(model, fill=colour if fill == "colour" else fill, precision="fp64")  # type: ignore[arg-type]
    with torch.no_grad():
        shown = [model(seen).softmax(dim=1)[range(3), targets] for seen in (images, background)]
        score = scores_by("removed", explainer.engine.scorer(images, targets))
        all_gone, nothing_gone = score(ones_and_zeros(images))
        both = scores_by("both", explainer.engine.scorer(images, targets))
        kept_all, kept_none = both(ones_and_zeros(images))
    torch.testing.assert_close(all_gone, shown[0] - shown[1])
    assert nothing_gone.abs().max() < 1e-12
    torch.testing.assert_close(kept_all, (2 * shown[0] - shown[1]) / 2)
    torch.testing.assert_close(kept_none, shown[1] / 2)


@pytest.mark.parametrize(
    "options",
    [
        {"precision": "bf16"},
        {"precision": "fp32", "compile": True},
        pytest.param({"precision": "fp32", "backend": "openvino"}, marks=needs_openvino),
        pytest.param({"precision": "bf16", "backend": "openvino"}, marks=needs_openvino),
    ],
    ids=["bf16", "compiled", "openvino", "openvino in bf16"],
)
def test_what_takes_nothing_away_is_worth_nothing_however_it_is_scored(
    options: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The whole image by another network than the masks would leave the difference of the two.
    eager = partial(torch.compile, backend="eager")
    monkeypatch.setattr(torch, "compile", lambda net, dynamic, options: eager(net))
    images = some_images(2)
    engine = SISE(small_cnn(), batch_size=8, **options).engine  # type: ignore[arg-type]
    with torch.no_grad():
        score = scores_by("removed", engine.scorer(images, torch.tensor([0, 1])))
        _, nothing_gone = score(ones_and_zeros(images))
    assert nothing_gone.abs().max() < 1e-6


@SCORED
@pytest.mark.parametrize(
    "options",
    [
        {"compile": True},
        pytest.param({"backend": "openvino"}, marks=needs_openvino),
    ],
    ids=["compiled", "openvino"],
)
def test_every_backend_gives_the_same_map(
    evidence: Evidence, options: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    eager = partial(torch.compile, backend="eager")
    monkeypatch.setattr(torch, "compile", lambda net, dynamic, options: eager(net))
    make = partial(SISE, small_cnn(), evidence=evidence, precision="fp32", batch_size=4)
    plain, other = (make(**chosen)(some_images(2)) for chosen in ({}, options))
    assert other.forwards.tolist() == plain.forwards.tolist()
    for one, two in zip(plain.layers, other.layers, strict=True):
        torch.testing.assert_close(one.maps, two.maps, rtol=1e-4, atol=1e-6)


@SCORED
def test_the_whole_image_is_one_mask_more_of_the_same_batches_and_once(evidence: Evidence) -> None:
    network = Recorder()
    score = scores_by(evidence, scorer(network, batch=20))
    # The k-th mask is k/10 everywhere; of image 1, twice as bright, only in the second call.
    (first,) = score(mask_sets([0, 0, 0]))
    (second,) = score(mask_sets([0, 1]))
    (third,) = score(mask_sets([1, 0]))
    each = 2 if evidence == "both" else 1
    assert network.sizes == [1 + 3 * each, 1 + 2 * each, 2 * each]

    def worth(mask: float, value: float) -> float:
        lost = sigmoid(value) - sigmoid(value * (1 - mask))
        return lost if evidence == "removed" else (lost + sigmoid(value * mask)) / 2

    assert first.tolist() == pytest.approx([worth(0, 1), worth(0.1, 1), worth(0.2, 1)])
    assert second.tolist() == pytest.approx([worth(0, 1), worth(0.1, 2)])
    assert third.tolist() == pytest.approx([worth(0, 2), worth(0.1, 1)])


def test_an_image_without_masks_costs_no_pass_more() -> None:
    images = torch.cat([torch.full((1, 3, 4, 4), 0.5), hand_image()])
    for evidence, forwards in (("removed", 6), ("both", 10), ("none", 1)):
        found = SISE(HandNet(), evidence=evidence, precision="fp32")(images, target=0)  # type: ignore[arg-type]
        assert found.status == ("no positive gradient", "ok")
        assert found.forwards.tolist() == [1, forwards]


@EVERY
def test_images_together_are_images_alone(evidence: Evidence) -> None:
    explainer = SISE(small_cnn(), evidence=evidence, precision="fp64")
    images, targets = some_images(3), [2, 0, 1]
    together = explainer(images, targets)
    for index in range(3):
        alone = explainer(images[index : index + 1], targets[index])
        torch.testing.assert_close(together.maps[index], alone.maps[0], atol=1e-6, rtol=0)
        assert together.forwards[index] == alone.forwards[0]


@EVERY
@pytest.mark.parametrize("context", [None, "reflect"])
def test_a_budget_for_all_masks_is_the_exact_algorithm(
    evidence: Evidence, context: str | None
) -> None:
    make = partial(SISE, small_cnn(), evidence=evidence, context=context, precision="fp64")
    exact, same = (make(budget=budget)(some_images(2)) for budget in (None, 1000))
    assert torch.equal(same.maps, exact.maps)
    assert same.forwards.tolist() == exact.forwards.tolist()


# One pass is for the feature maps, a second for a context, the next for the whole image.
@pytest.mark.parametrize(
    ("evidence", "budget", "context", "masks", "forwards"),
    [
        ("removed", 1, None, 0, 1),
        ("removed", 2, None, 0, 1),
        ("removed", 3, None, 1, 3),
        ("removed", 8, None, 6, 8),
        ("removed", 8, "reflect", 5, 8),
        ("both", 3, None, 0, 1),
        ("both", 4, None, 1, 4),
        ("both", 5, None, 1, 4),
        ("both", 12, None, 5, 12),
        ("both", 12, "reflect", 4, 11),
        ("none", 8, None, 0, 1),
        ("none", 8, "reflect", 0, 2),
    ],
)
def test_a_budget_pays_for_the_whole_image_and_for_both_passes_of_a_mask(
    evidence: Evidence, budget: int, context: str | None, masks: int, forwards: int
) -> None:
    make = partial(SISE, small_cnn(), evidence=evidence, precision="fp64")
    found = make(budget=budget, context=context)(some_images(1))  # type: ignore[arg-type]
    assert sum(layer.scored.item() for layer in found.layers) == masks
    assert found.forwards.tolist() == [forwards]
    assert found.status == ("ok",)


@EVERY
def test_auto_ends_with_the_exact_map_or_where_it_has_settled(
    evidence: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = partial(SISE, small_cnn(), evidence=evidence, precision="fp64")
    images = some_images(1)
    monkeypatch.setattr("sise.budget.FEWEST", 2)
    monkeypatch.setattr("sise.budget.TOLERANCE", -1.0)  # no second map will do
    exact, same = (make(budget=budget)(images) for budget in (None, "auto"))
    assert torch.equal(same.maps, exact.maps)
    assert same.forwards.tolist() == exact.forwards.tolist()
    monkeypatch.setattr("sise.budget.TOLERANCE", 2.0)  # any will
    passes = {"kept": 1 + 4, "removed": 1 + 1 + 4, "both": 1 + 1 + 8, "none": 1}[evidence]
    assert make(budget="auto")(images).forwards.tolist() == [passes]


@SCORED
def test_more_passes_come_nearer_to_the_exact_map(evidence: Evidence) -> None:
    make = partial(SISE, small_cnn(), evidence=evidence, precision="fp64")
    images = some_images(8, (32, 32))
    exact = make()(images)
    errors = []
    for budget in (5, 11, 21):
        pairs = zip(make(budget=budget)(images).layers, exact.layers, strict=True)
        errors.append(sum(float((one.maps - two.maps).norm()) for one, two in pairs))
    assert all(more > fewer for more, fewer in pairwise(errors))


def test_estimates_are_of_the_same_sign_as_what_was_scored() -> None:
    # Both masks of a layer of red and blue alike: green is under both, and speaks against class 0.
    image = torch.zeros(1, 3, 4, 4)
    image[0, 0, :2, :2], image[0, 1, :2, :2], image[0, 2, :2, :2] = 1, 8, 2
    fewer = SISE(HandNet(), evidence="removed", budget=4, layers=["block1"], precision="fp64")
    found = fewer(image, target=0)
    worth = sigmoid((4 + 16 - 32) / 16) - 1 / 2
    assert worth < 0
    np.testing.assert_allclose(found.layers[0].maps[0], worth * RED_1 / 4, rtol=1e-6)
    assert found.maps[0, 0, 0] == 0
    assert found.maps[0, 3, 3] == 1


def test_the_variants_of_sise_take_it() -> None:
    model, images = small_cnn(), some_images(1)
    shared = {"precision": "fp32"}
    plain, other = (
        make_explainer(parse_spec(text), model, shared)(images)
        for text in ("adasise", "adasise:evidence=removed")
    )
    assert other.forwards.tolist() == (plain.forwards + 1).tolist()
    (none,) = make_explainer(parse_spec("untrained:evidence=none"), model, shared)(images).forwards
    assert none == 2  # one pass of each network


def test_a_word_that_does_not_exist_is_told() -> None:
    with pytest.raises(SiseError, match=r"^evidence 'lost': one of kept, removed, both, none$"):
        SISE(small_cnn(), evidence="lost")  # type: ignore[arg-type]
