"""After `Engine.keep_images_apart` an image's explanation has the bits that it has alone."""

from functools import cache
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import quickly, small_cnn, some_images

from sise import SISE, GradCAM
from sise.backends import Backend
from sise.explanation import Explanation

OPTIONS: dict[str, dict[str, Any]] = {
    "exact": {},
    "budget": {"budget": 9, "evidence": "removed", "fill": "mean", "context": "reflect"},
    "settled": {"budget": "auto", "evidence": "both", "fill": "blur", "fusion": "geometric"},
    "otsu": {"budget": 14, "fill": "inpaint", "fusion": "soft", "mu": "otsu"},
}
TARGETS = (0, 2, 1, 1, 0, 2)
# Odd sides leave ends that no vector unit fills.
SIZES = [(32, 32), (31, 29)]


@cache
def one_at_a_time(
    name: str, backend: Backend, batch: int, size: tuple[int, int]
) -> tuple[SISE | GradCAM, list[Explanation]]:
    """An explainer, and what it makes of each image alone."""
    images = some_images(len(TARGETS), size)
    explainer = (
        GradCAM(small_cnn(), batch_size=batch)
        if name == "Grad-CAM"
        else SISE(small_cnn(), precision="fp32", backend=backend, batch_size=batch, **OPTIONS[name])
    )
    explainer.engine.keep_images_apart()
    pairs = zip(images.split(1), TARGETS, strict=True)
    return explainer, [explainer(image, target=target) for image, target in pairs]


def differing(one: Explanation, place: int, alone: Explanation) -> list[str]:
    """What of an image's explanation is not that of the image alone, bit for bit."""
    names = ["maps", "targets", "scores", "forwards"]
    names = [name for name in names if not _same(vars(one)[name][place], vars(alone)[name][0])]
    for mine, theirs in zip(one.layers, alone.layers, strict=True):
        names += [
            f"{name} of {mine.name}"
            for name in ("maps", "constant", "selected", "scored")
            if not _same(vars(mine)[name][place], vars(theirs)[name][0])
        ]
    return names + ["status"] * (one.status[place] != alone.status[0])


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.dtype == other.dtype and torch.equal(one, other)


CASES = [
    *((name, "torch") for name in ("budget", "Grad-CAM", "exact", "settled", "otsu")),
    *((name, "openvino") for name in ("budget", "exact")),
]
QUICK = [("budget", "torch"), ("Grad-CAM", "torch"), ("budget", "openvino")]


@pytest.mark.parametrize("case", quickly(CASES, QUICK), ids=str)
@settings(max_examples=15, deadline=None)
@given(
    places=st.lists(st.integers(0, len(TARGETS) - 1), min_size=1, max_size=8),
    batch=st.sampled_from([5, 32]),
    size=st.sampled_from(SIZES),
)
def test_an_image_has_the_bits_that_it_has_alone(
    case: tuple[str, Backend], places: list[int], batch: int, size: tuple[int, int]
) -> None:
    name, backend = case
    if backend == "openvino":
        pytest.importorskip("openvino")
    explainer, alone = one_at_a_time(name, backend, batch, size)
    images = some_images(len(TARGETS), size)[places]
    found = explainer(images, target=[TARGETS[place] for place in places])
    for position, place in enumerate(places):
        assert differing(found, position, alone[place]) == []
