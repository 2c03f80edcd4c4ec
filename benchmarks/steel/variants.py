"""What is compared: fills × where the masks come from, and baselines that ask no model."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.nn.functional import pad

from sise import SISE
from sise.baselines import FillName
from sise.capture import Capture

FILLS: tuple[FillName, ...] = ("grey", "mean", "blur", "inpaint")


@dataclass(frozen=True)
class Variant:
    """SISE with a fill, and with its masks from `source`.

    "plain": the image's own feature maps. "rim": the outer cells of each feature map replaced by
    their inner neighbours. "clamp": the outer cells left out of minimum and maximum. "reflect",
    "edge": feature maps of the image continued by its mirror image or its edge pixels, then cut.
    "strip": of the piece of strip around it.
    """

    fill: FillName
    source: str

    @property
    def name(self) -> str:
        return f"{self.source}/{self.fill}"

    def explainer(self, model: torch.nn.Module, **options: Any) -> SISE:
        if self.source in RIMS:
            return _RimAware(RIMS[self.source], model, fill=self.fill, **options)
        return SISE(model, fill=self.fill, **options)

    def context(self, around: torch.Tensor | None) -> Any:
        if self.source == "strip":
            return around
        return self.source if self.source in ("reflect", "edge") else None


PLAIN = Variant("grey", "plain")
ON_IMAGES = (
    PLAIN,
    Variant("grey", "reflect"),
    Variant("blur", "reflect"),
    Variant("grey", "rim"),
    Variant("grey", "edge"),
    Variant("blur", "plain"),
    Variant("mean", "reflect"),
    Variant("inpaint", "reflect"),
    Variant("mean", "plain"),
    Variant("inpaint", "plain"),
    Variant("grey", "clamp"),
)
ON_STRIPS = (
    PLAIN,
    Variant("grey", "strip"),
    Variant("grey", "reflect"),
    Variant("blur", "strip"),
    Variant("grey", "rim"),
    Variant("blur", "plain"),
    Variant("mean", "strip"),
    Variant("inpaint", "strip"),
    Variant("mean", "plain"),
    Variant("inpaint", "plain"),
    Variant("grey", "edge"),
)


def with_inner_rim(features: torch.Tensor) -> torch.Tensor:
    """The outer cells replaced by their inner neighbours: (B, N, h, w) -> (B, N, h, w).

    Maps of fewer than four cells a side have hardly anything else, and stay as they are.
    """
    if min(features.shape[2:]) < 4:
        return features
    return pad(features[:, :, 1:-1, 1:-1], (1, 1, 1, 1), mode="replicate")


def with_clamped_rim(features: torch.Tensor) -> torch.Tensor:
    """The outer cells clamped to the range of the inner ones: (B, N, h, w) -> (B, N, h, w)."""
    if min(features.shape[2:]) < 4:
        return features
    inner = features[:, :, 1:-1, 1:-1]
    return features.clamp(
        inner.amin(dim=(2, 3), keepdim=True), inner.amax(dim=(2, 3), keepdim=True)
    )


RIMS = {"rim": with_inner_rim, "clamp": with_clamped_rim}


class _RimAware(SISE):
    def __init__(
        self, change: Callable[[torch.Tensor], torch.Tensor], model: torch.nn.Module, **options: Any
    ) -> None:
        super().__init__(model, **options)
        self._change = change

    def _capture(self, *args: Any) -> Capture:
        seen = super()._capture(*args)
        return replace(seen, features=tuple(self._change(maps) for maps in seen.features))


def centre_gaussian(size: tuple[int, int]) -> torch.Tensor:
    """A blob in the middle, of a sigma of a quarter of each side: (H, W)."""
    rows, columns = (torch.linspace(-2, 2, length) for length in size)
    return torch.exp(-0.5 * (rows[:, None] ** 2 + columns[None, :] ** 2))


def noise(size: tuple[int, int], seed: int) -> torch.Tensor:
    """Uniform in [0, 1), (H, W)."""
    return torch.rand(size, generator=torch.Generator().manual_seed(seed))
