"""How much memory an explanation takes: the most bytes that tensors hold at any one time."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from networks import some_images
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torchvision.models import resnet18, resnet101

from sise import SISE

GIB = 2**30
# What batch_size="auto" makes of strips of 256 × 1600.
STRIPS_AT_ONCE = 2


class LiveBytes(TorchDispatchMode):
    """Counts what operations made and what is still there, in bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._live: dict[StorageWeakRef, int] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor) and tensor.device.type == "cpu":
                storage = tensor.untyped_storage()
                self._live[StorageWeakRef(storage)] = storage.nbytes()
        for gone in [reference for reference in self._live if reference.expired()]:
            del self._live[gone]
        self.peak = max(self.peak, sum(self._live.values()))
        return made


def peak_bytes(explainer: SISE, images: torch.Tensor) -> tuple[int, int]:
    """The most bytes held beside model and images, and the passes that were made."""
    with LiveBytes() as memory:
        explanation = explainer(images)
    assert explanation.status == ("ok",) * len(images)
    return memory.peak, int(explanation.forwards.sum())


def test_live_bytes_are_those_of_the_tensors_that_are_still_there() -> None:
    with LiveBytes() as memory:
        one = torch.zeros(1000)
        two = one + 1
        one += 1  # nothing new
        view = two[10:]
        del two
        assert memory.peak == 8000
        del view
        three = one + 1
        assert memory.peak == 8000
        four = three + one
    assert memory.peak == 12000
    assert four.sum() == 3000


def wide() -> nn.Module:
    """256 feature maps of a quarter of the image's height and width."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.MaxPool2d(4),
        nn.Conv2d(4, 256, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(256, 3),
    ).eval()


def test_ten_times_the_masks_take_no_more_memory_than_their_feature_maps() -> None:
    images = some_images(1, (64, 64))
    model = wide()
    (few, passes), (many, more_passes) = (
        peak_bytes(SISE(model, mu=mu, layers=["3"], precision="fp32", batch_size=1), images)
        for mu in (0.92, 0.0)
    )
    assert more_passes > 10 * passes
    # Masks are kept at their feature maps' size; at the image's they would take 16 times as much.
    kept = (more_passes - passes) * 16 * 16 * 4
    assert kept <= many - few < 4 * kept


@pytest.mark.parametrize(
    ("make", "least", "most"),
    [(resnet18, 0.2, 0.8), pytest.param(resnet101, 1, 4, marks=pytest.mark.slow)],
)
def test_a_network_on_a_strip_would_stay_below(
    make: Callable[..., nn.Module], least: float, most: float
) -> None:
    torch.manual_seed(0)
    model = make(num_classes=5).eval()
    weights = sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers()))
    explainer = SISE(model, budget=4, batch_size=STRIPS_AT_ONCE, precision="fp32")
    explainer(some_images(1, (64, 200)))  # makes the copy of the network that scores
    narrow, _ = peak_bytes(explainer, some_images(1, (64, 200)))
    wide, _ = peak_bytes(explainer, some_images(1, (64, 400)))
    per_pixel = (wide - narrow) / (64 * 200)
    strip = 2 * weights + wide + per_pixel * (256 * 1600 - 64 * 400)
    assert least * GIB < strip < most * GIB
