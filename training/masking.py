"""Masked steel among the training crops, labelled by what is left of the defect.

An explainer shows a network images with parts filled. A network that never saw such images
answers them by chance; one that did tells whether a defect is among what is left.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
import torch

from severstal_prep.recast import NORMAL_NAME
from sise.baselines import Fill, masked
from training.errors import RecipeError

Kind = Literal["empty", "random", "black_out", "alone"]
MaskingFill = Literal["grey", "mean", "blur", "inpaint", "level"]
Image = npt.NDArray[np.uint8]
Weights = npt.NDArray[np.float32]

# Shares of the crop's shorter side. True masks are drawn by hand, and a hole of the defect's very
# shape would give it away.
GROWTH = (0.01, 0.08)
FEATHER = (0.01, 0.06)
CELLS = (2, 8)
COVERAGE = (0.1, 0.9)
SOFTNESS = (0.02, 0.3)


@dataclass(frozen=True)
class Masking:
    """Which training crops are masked, and how; the default masks none.

    A crop is masked in one way at most. Masks are drawn anew each time a crop is shown.

    Args:
        black_out: share of the defect crops whose whole defect is filled; they become normal.
        alone: share of the defect crops of which all but the defect is filled; the class stays.
        random: share of all crops that get a random smooth mask; a defect crop keeps its class or
            becomes normal by what is left of the defect, and stays unmasked where that is unclear.
        empty: share of all crops of which nothing is left, and which are normal.
        clear: share of the defect that a random mask must leave for the class to stay.
        gone: share of the defect up to which a random mask makes a crop normal.
        fill: what filled pixels become, one or a list to draw from: grey (0 in the normalised
            input), mean (the crop's), blur, inpaint (all as in sise), level (an even grey at
            random). A blur keeps a ghost of the defect. An empty crop takes mean for blur and
            inpaint.
        where_possible: for a dataset that masking cannot be had from (no normal class, or a
            defect crop without its mask), train without it and say so, rather than refuse.
    """

    black_out: float = 0.0
    alone: float = 0.0
    random: float = 0.0
    empty: float = 0.0
    clear: float = 0.5
    gone: float = 0.05
    fill: MaskingFill | tuple[MaskingFill, ...] = ("grey", "mean", "inpaint")
    where_possible: bool = False

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name not in ("fill", "where_possible") and not 0 <= value <= 1:
                raise RecipeError(f"data.masking.{name} must be 0 to 1, not {value}")
        total = self.black_out + self.alone + self.random + self.empty
        if total > 1 + 1e-9:
            raise RecipeError(
                "data.masking: black_out, alone, random and empty must be at most 1 together, "
                f"not {total:g}"
            )
        if self.gone >= self.clear:
            raise RecipeError(
                f"data.masking.gone must be below data.masking.clear, not {self.gone} and "
                f"{self.clear}"
            )
        if not self.fill:
            raise RecipeError("data.masking.fill must name one fill or more, as [grey, inpaint]")

    def __bool__(self) -> bool:
        return self.black_out + self.alone + self.random + self.empty > 0

    def record(self) -> dict[str, dict[str, Any]]:
        """What records and cards say of it, as plain values; nothing of none."""
        if not self:
            return {}
        said = asdict(self) | {"fill": list(self.fills)}
        del said["where_possible"]
        return {"masking": said}

    def whole(self, defect: bool) -> float:
        """Share of the defect crops, or of the normal ones, that are to be shown unmasked."""
        shares = self.random + self.empty + defect * (self.black_out + self.alone)
        return round(1 - shares, 9)

    @property
    def fills(self) -> tuple[MaskingFill, ...]:
        """`fill` as a list."""
        return (self.fill,) if isinstance(self.fill, str) else self.fill

    @property
    def needs_masks(self) -> bool:
        """Whether the true masks of defect crops are needed."""
        return self.black_out + self.alone + self.random > 0


def normal_class(classes: Sequence[str]) -> int:
    """The id of the class called normal. Raises RecipeError if there is none."""
    if NORMAL_NAME not in classes:
        raise RecipeError(
            f"data.masking needs a class called {NORMAL_NAME!r} for crops that lost their defect; "
            f"the dataset has {', '.join(classes)}"
        )
    return classes.index(NORMAL_NAME)


class CropMasker:
    """Masks crops as a Masking says; equal seeds give equal crops, in any process.

    Args:
        settings: the shares and fills.
        mean: what is 0 in the normalised input, per channel, of images scaled to [0, 1].
        normal: id of the normal class.
    """

    def __init__(
        self, settings: Masking, mean: tuple[float, float, float], normal: int = 0
    ) -> None:
        self._settings = settings
        self._grey = 255 * torch.tensor(mean).view(3, 1, 1)
        self._normal = normal

    def kind(self, label: int, seed: int) -> Kind | None:
        """How a crop of class `label` is to be masked; None: not at all."""
        return self._kind(label, _generator(seed))

    def __call__(
        self, crop: Image, defect: npt.NDArray[np.bool_] | None, label: int, seed: int
    ) -> tuple[Image, int]:
        """Mask a crop (H, W, 3) uint8; return it and its class.

        `defect` (H, W) bool is its true mask; None for a normal crop and where the crop's `kind`
        is "empty" or None. A defect crop without a defect pixel is masked as "empty" only.
        """
        generator = _generator(seed)
        kind = self._kind(label, generator)
        if kind is None:
            return crop, label
        fill = self._fill(kind, generator)
        kept = self._kept(kind, crop.shape[:2], defect, generator)
        rest = None if kept is None else self.class_of_rest(kind, kept, defect, label)
        if kept is None or rest is None:
            return crop, label
        return self._filled(crop, kept, fill), rest

    def class_of_rest(
        self, kind: Kind, kept: Weights, defect: npt.NDArray[np.bool_] | None, label: int
    ) -> int | None:
        """The class of a crop of which `kept` (H, W) in [0, 1] is left; None if that is unclear."""
        if kind in ("empty", "black_out"):
            return self._normal
        if kind == "alone" or label == self._normal:
            return label
        if defect is None or not defect.any():
            return None
        left = float(kept[defect].mean())
        if left >= self._settings.clear:
            return label
        return self._normal if left <= self._settings.gone else None

    def _kind(self, label: int, generator: np.random.Generator) -> Kind | None:
        settings = self._settings
        shares: list[tuple[Kind, float]] = [("empty", settings.empty), ("random", settings.random)]
        if label != self._normal:
            shares += [("black_out", settings.black_out), ("alone", settings.alone)]
        point = generator.random()
        for kind, share in shares:
            if point < share:
                return kind
            point -= share
        return None

    def _fill(self, kind: Kind, generator: np.random.Generator) -> Fill:
        fills = self._settings.fills
        name = fills[generator.integers(len(fills))]
        if name == "level":
            return generator.uniform(0, 255) - self._grey.flatten()
        return "mean" if kind == "empty" and name in ("blur", "inpaint") else name

    def _kept(
        self,
        kind: Kind,
        size: tuple[int, int],
        defect: npt.NDArray[np.bool_] | None,
        generator: np.random.Generator,
    ) -> Weights | None:
        if kind == "empty":
            return np.zeros(size, np.float32)
        if kind == "random":
            return random_mask(size, generator)
        if defect is None or not defect.any():
            return None
        growth, feather = (generator.uniform(*limits) * min(size) for limits in (GROWTH, FEATHER))
        near = surroundings(defect, growth, feather)
        return near if kind == "alone" else 1 - near

    def _filled(self, crop: Image, kept: Weights, fill: Fill) -> Image:
        # Fills commute with scaling and shifting of grey values: only grey must be at 0.
        image = torch.from_numpy(crop).permute(2, 0, 1).contiguous().float().sub_(self._grey)
        filled = masked(image[None], torch.from_numpy(kept)[None], fill)[0] + self._grey
        levels = filled.round_().clamp_(0, 255).to(torch.uint8)
        return np.ascontiguousarray(levels.permute(1, 2, 0).numpy())


def surroundings(defect: npt.NDArray[np.bool_], growth: float, feather: float) -> Weights:
    """A true mask (H, W), grown and feathered: (H, W) float32 in [0, 1].

    1 up to `growth` px from a defect pixel, 0 from `growth` + `feather` px, linear between.
    `defect` has a pixel, `feather` is above 0.
    """
    away = cv2.distanceTransform((~defect).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(np.clip(1 + (growth - away) / feather, 0, 1), np.float32)


def random_mask(size: tuple[int, int], generator: np.random.Generator) -> Weights:
    """A smooth random mask of `size` (H, W): float32 in [0, 1].

    Coarse noise, upsampled as that of RISE (Petsiuk et al., BMVC 2018), but cut at a level, softly,
    so that few pixels are half kept: of grid, covered share and softness drawn at random.
    """
    cells = int(generator.integers(*CELLS, endpoint=True))
    noise = generator.random((cells, cells), np.float32)
    field = cv2.resize(noise, size[::-1], interpolation=cv2.INTER_CUBIC)
    level = np.quantile(field[::4, ::4], 1 - generator.uniform(*COVERAGE))
    soft = (field - level) / generator.uniform(*SOFTNESS) + 0.5
    return np.asarray(np.clip(soft, 0, 1), np.float32)


def _generator(seed: int) -> np.random.Generator:
    # Not the Augmenter's stream: flips and masks must not depend on each other.
    return np.random.default_rng((seed, 1))
