"""The recast dataset as Lightning's data module: batches of uint8 crops and class ids."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader, Dataset

from severstal_prep.dataset import read_card
from severstal_prep.images import read_image
from sise.progress import note
from training.augment import Augmentation, Augmenter
from training.crops import (
    CheckedDataset,
    Crops,
    SplitCard,
    channel_statistics,
    check_masks,
    check_quickly,
    read_mask,
    read_recast,
)
from training.errors import DataError, RecipeError
from training.masking import CropMasker, Masking, normal_class
from training.sampling import Balance, Draw, EpochSampler

Triple = tuple[float, float, float]
Batch = tuple[torch.Tensor, torch.Tensor]
Normalization = Literal["imagenet", "dataset"]

IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)


class CropDataset(Dataset[tuple[torch.Tensor, int]]):
    """Decoded crops (H, W, 3) uint8 with class ids; a Draw varies and masks the crop by its seed.

    Masking comes last: brightness would change the fill.
    """

    def __init__(
        self,
        crops: Crops,
        augmenter: Augmenter | None = None,
        cache: bool = False,
        masker: CropMasker | None = None,
    ) -> None:
        self.crops = crops
        self._augmenter = augmenter
        self._masker = masker
        self._cache: dict[Path, npt.NDArray[np.uint8]] | None = {} if cache else None

    def __len__(self) -> int:
        return len(self.crops)

    def __getitem__(self, item: Draw | int) -> tuple[torch.Tensor, int]:
        index = item.crop if isinstance(item, Draw) else item
        crop, label = self._read(self.crops.paths[index]), int(self.crops.labels[index])
        if isinstance(item, Draw):
            crop, label = self._shown(index, item.seed, crop, label)
        return torch.from_numpy(np.array(crop)), label

    def _shown(
        self, index: int, seed: int, crop: npt.NDArray[np.uint8], label: int
    ) -> tuple[npt.NDArray[np.uint8], int]:
        masker = self._masker
        kind = None if masker is None else masker.kind(label, seed)
        file = None if kind in (None, "empty") else self.crops.masks[index]
        mask = None if file is None else self._mask(file, crop)
        if self._augmenter is not None:
            if mask is None:
                crop = self._augmenter(crop, seed)
            else:
                crop, mask = self._augmenter.with_mask(crop, mask, seed)
        if masker is None or kind is None:
            return crop, label
        return masker(crop, None if mask is None else mask.astype(bool), label, seed)

    def _mask(self, file: Path, crop: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        mask = self._read(file, read_mask)
        if mask.shape != crop.shape[:2]:
            raise DataError(
                f"{file}: {mask.shape[1]}×{mask.shape[0]} px, but its crop has "
                f"{crop.shape[1]}×{crop.shape[0]}; build the dataset again"
            )
        return mask

    def _read(
        self, path: Path, read: Callable[[Path], npt.NDArray[np.uint8]] = read_image
    ) -> npt.NDArray[np.uint8]:
        if self._cache is None:
            return read(path)
        if path not in self._cache:
            self._cache[path] = read(path)
        return self._cache[path]


class RecastDataModule(LightningDataModule):
    """Training and validation batches of a recast dataset.

    A batch is a pair of crops (B, H, W, 3) uint8 and class ids (B,) int64; the classifier
    normalises them itself, on its device. After `setup` the attributes `recast`, `mean`,
    `std` (per channel, of images scaled to [0, 1]), `input_size` (H, W) and `class_counts`
    (of the training split) are there. These counts and the balanced sampler go by the classes on
    disk, whatever masking makes of a crop. `class_frequencies` are proportional to how often a
    crop of each class is shown whole, as those that are to be classified are.

    Args:
        root: folder of the recast dataset (severstal-prep build).
        batch_size: crops per training batch.
        num_workers: processes that decode crops; null: one per processor, at most 8.
        sampler: "none": every crop once per epoch; "balanced": every class equally often.
        epoch_crops: training crops shown per epoch; null: as many as there are.
        augment: how training crops are varied.
        masking: which training crops are masked after that, so that they may become normal.
        normalization: "imagenet": that data's mean and deviation; "dataset": the training split's.
        cache: keep decoded crops in memory (0.2 MB each); works without num_workers only.
        seed: of the crops' order and variations; fit sets it to seed_everything.
    """

    def __init__(
        self,
        root: Path,
        batch_size: int = 64,
        num_workers: int | None = None,
        sampler: Balance = "none",
        epoch_crops: int | None = None,
        augment: Augmentation = Augmentation(),  # noqa: B008 frozen
        masking: Masking = Masking(),  # noqa: B008 frozen
        normalization: Normalization = "imagenet",
        cache: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise RecipeError(f"data.batch_size must be 1 or more, not {batch_size}")
        if num_workers is not None and num_workers < 0:
            raise RecipeError(f"data.num_workers must be 0 or more, not {num_workers}")
        if epoch_crops is not None and epoch_crops < 1:
            raise RecipeError(f"data.epoch_crops must be 1 or more, not {epoch_crops}")
        self.root = Path(root)
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.sampler = sampler
        self.epoch_crops = epoch_crops
        self.augment = augment
        self.masking = masking
        self.normalization = normalization
        self.cache = cache
        self.seed = seed
        self._recast: CheckedDataset | None = None
        self.mean: Triple = IMAGENET_MEAN
        self.std: Triple = IMAGENET_STD
        self.input_size: tuple[int, int] = (0, 0)
        self.class_counts: tuple[int, ...] = ()
        self.class_frequencies: tuple[float, ...] = ()
        self._sets: dict[str, CropDataset] = {}

    def setup(self, stage: str) -> None:
        """Read and check the dataset (once); raises DatasetError, DataError as `read_recast`.

        Notes what `severstal-prep check --quick` warns of; raises DataError for its errors, and for
        a defect crop without a mask where masking needs it, RecipeError if masking finds no normal
        class, and UnreadableImageError for a crop that was to be measured and cannot be read.
        """
        if self._recast is not None:
            return
        recast = read_recast(self.root)
        train, val = recast.crops("train"), recast.crops("val")
        self.class_counts = recast.counts("train")
        if 0 in self.class_counts:
            absent = recast.classes[self.class_counts.index(0)]
            raise DataError(
                f"{self.root}: {absent} has no training crop; build the dataset from more strips, "
                "or with another --seed"
            )
        check_quickly(recast)
        self._check_masking(train, recast.classes)
        self.class_frequencies = self._frequencies(recast.classes)
        self.input_size = read_image(train.paths[0]).shape[:2]
        if self.normalization == "dataset":
            self.mean, self.std = channel_statistics(train.paths)
        masker = self._masker(train, recast.classes)
        self._sets = {
            "train": CropDataset(train, Augmenter(self.augment), self.cache, masker),
            "val": CropDataset(val, None, self.cache),
        }
        self._recast = recast

    def _check_masking(self, train: Crops, classes: Sequence[str]) -> None:
        if not self.masking:
            return
        try:
            normal = normal_class(classes)
            if self.masking.needs_masks:
                check_masks(train, normal)
        except (DataError, RecipeError) as error:
            if not self.masking.where_possible:
                raise
            note(f"no crops are masked: {error}")
            self.masking = Masking()

    def _frequencies(self, classes: Sequence[str]) -> tuple[float, ...]:
        if not self.masking:
            return self.class_counts
        normal = normal_class(classes)
        whole = [self.masking.whole(label != normal) for label in range(len(self.class_counts))]
        if not all(whole):
            return self.class_counts
        return tuple(n * share for n, share in zip(self.class_counts, whole, strict=True))

    def _masker(self, train: Crops, classes: Sequence[str]) -> CropMasker | None:
        if not self.masking:
            return None
        return CropMasker(self.masking, self.mean, normal_class(classes))

    @property
    def num_classes(self) -> int:
        """How many classes the dataset's card names; raises DatasetError as `read_card`."""
        return len(read_card(self.root, SplitCard)["classes"])

    @property
    def recast(self) -> CheckedDataset:
        """The dataset; there after `setup`."""
        if self._recast is None:
            raise RuntimeError("the data module was not set up")
        return self._recast

    def train_dataloader(self) -> DataLoader[tuple[torch.Tensor, int]]:
        """Batches in the order that the seed and the epoch give."""
        crops = self._sets["train"]
        sampler = EpochSampler(crops.crops.labels, self.sampler, self.seed, self.epoch_crops)
        return crop_loader(crops, self.batch_size, self.num_workers, sampler)

    def val_dataloader(self) -> DataLoader[tuple[torch.Tensor, int]]:
        """Batches in the manifest's order, unvaried."""
        return crop_loader(self._sets["val"], self.batch_size, self.num_workers)


def crop_loader(
    crops: CropDataset,
    batch_size: int,
    num_workers: int | None,
    sampler: EpochSampler | None = None,
) -> DataLoader[tuple[torch.Tensor, int]]:
    """Batches of crops, in their own order without a sampler."""
    workers = min(os.cpu_count() or 1, 8) if num_workers is None else num_workers
    return DataLoader(
        crops,
        batch_size=batch_size,
        sampler=sampler,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
    )


def normalise(crops: torch.Tensor, mean: Triple, std: Triple) -> torch.Tensor:
    """Crops (B, H, W, 3) uint8 as normalised images (B, 3, H, W) float32, channels last.

    The same bits as `sise.bundle.ModelBundle.preprocess`.
    """
    scaled = crops.permute(0, 3, 1, 2).float() / 255
    shift = torch.tensor(mean, device=crops.device).view(1, 3, 1, 1)
    scale = torch.tensor(std, device=crops.device).view(1, 3, 1, 1)
    return (scaled - shift) / scale
