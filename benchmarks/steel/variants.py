"""What is compared: fills × where the masks come from."""

from dataclasses import dataclass
from typing import Any

import torch

from sise import SISE
from sise.baselines import FillName

FILLS: tuple[FillName, ...] = ("grey", "mean", "blur", "inpaint")


@dataclass(frozen=True)
class Variant:
    """SISE with a fill, and with its masks from `source`.

    "plain": the image's own feature maps. "reflect", "edge": feature maps of the image continued
    by its mirror image or its edge pixels, then cut. "strip": of the piece of strip around it.
    """

    fill: FillName
    source: str

    @property
    def name(self) -> str:
        return f"{self.source}/{self.fill}"

    def explainer(self, model: torch.nn.Module, **options: Any) -> SISE:
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
    Variant("grey", "edge"),
    Variant("blur", "plain"),
    Variant("mean", "reflect"),
    Variant("inpaint", "reflect"),
    Variant("mean", "plain"),
    Variant("inpaint", "plain"),
)
ON_STRIPS = (
    PLAIN,
    Variant("grey", "strip"),
    Variant("grey", "reflect"),
    Variant("blur", "strip"),
    Variant("blur", "plain"),
    Variant("mean", "strip"),
    Variant("inpaint", "strip"),
    Variant("mean", "plain"),
    Variant("inpaint", "plain"),
    Variant("grey", "edge"),
)
