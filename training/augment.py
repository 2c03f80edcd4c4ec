"""Random changes of training crops; the only module that knows albumentations."""

import os
import random
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # else the import asks PyPI for a newer release

import albumentations
import cv2

from training.errors import RecipeError

MIRRORED = cv2.BORDER_REFLECT_101


@dataclass(frozen=True)
class Augmentation:
    """How training crops are varied; the default leaves them as they are.

    Rotations by 90° and changes of hue are not offered: the rolling direction carries
    meaning, and the steel is grey.

    Args:
        horizontal_flip: probability, 0 to 1, of mirroring left and right.
        vertical_flip: probability, 0 to 1, of mirroring top and bottom.
        brightness: largest shift of brightness, as a share of full scale (0.1: ±25 grey levels).
        contrast: largest relative change of contrast (0.1: grey levels times 0.9 to 1.1).
        shift: largest displacement, as a share of the crop's side; the rim is mirrored.
    """

    horizontal_flip: float = 0.0
    vertical_flip: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    shift: float = 0.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value <= 1:
                raise RecipeError(f"data.augment.{name} must be 0 to 1, not {value}")


class Augmenter:
    """Applies an Augmentation; equal seeds give equal crops, in any process."""

    def __init__(self, settings: Augmentation) -> None:
        self._compose = albumentations.Compose(_transforms(settings))

    def __call__(self, crop: npt.NDArray[np.uint8], seed: int) -> npt.NDArray[np.uint8]:
        """Vary a crop (H, W, 3) uint8; the result has the same shape and type."""
        return self._varied(seed, image=crop)["image"]

    def with_mask(
        self, crop: npt.NDArray[np.uint8], mask: npt.NDArray[np.uint8], seed: int
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        """Vary a crop as alone, and move a mask (H, W) uint8 of it along."""
        varied = self._varied(seed, image=crop, mask=mask)
        return varied["image"], varied["mask"]

    def _varied(
        self, seed: int, **arrays: npt.NDArray[np.uint8]
    ) -> dict[str, npt.NDArray[np.uint8]]:
        # Compose(seed=…) would seed each transform alike, so that a crop flipped one way would
        # always be flipped the other way too: one generator has to serve them in turn.
        self._compose.set_random_state(np.random.default_rng(seed), random.Random(seed))  # noqa: S311
        varied: dict[str, npt.NDArray[np.uint8]] = self._compose(**arrays)
        return varied


def _transforms(settings: Augmentation) -> list[albumentations.BasicTransform]:
    transforms: list[albumentations.BasicTransform] = []
    if settings.horizontal_flip:
        transforms.append(albumentations.HorizontalFlip(p=settings.horizontal_flip))
    if settings.vertical_flip:
        transforms.append(albumentations.VerticalFlip(p=settings.vertical_flip))
    if settings.shift:
        transforms.append(
            albumentations.Affine(
                translate_percent=(-settings.shift, settings.shift), border_mode=MIRRORED, p=1.0
            )
        )
    if settings.brightness or settings.contrast:
        transforms.append(
            albumentations.RandomBrightnessContrast(
                brightness_limit=settings.brightness, contrast_limit=settings.contrast, p=1.0
            )
        )
    return transforms
