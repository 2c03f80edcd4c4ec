"""The recast dataset as Lightning's data module: batches of uint8 crops and class ids."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader, Dataset

from severstal_prep.dataset import read_card
from severstal_prep.images import read_image
from sise.architectures import imagenet_colours
from sise.progress import note
from training.augment import Augmentation, Augmenter
from training.crop_map import CropFiles, CropReader, MapRequest, open_crops
from training.crops import (
    CheckedDataset,
    Crops,
    SplitCard,
    channel_statistics,
    check_mask_size,
    check_masks,
    check_quickly,
    read_recast,
)
from training.errors import DataError, RecipeError
from training.masking import CropMasker, Masking, normal_class
from training.sampling import Balance, Draw, EpochSampler, Order, SharedBatches

Triple = tuple[float, float, float]
Batch = tuple[torch.Tensor, torch.Tensor]
Normalization = Literal["imagenet", "dataset"] | tuple[Triple, Triple]

CACHE_NAME = "cache"
"""Folder in a dataset's, of what training makes of it."""


class CropDataset(Dataset[tuple[torch.Tensor, int]]):
    """Crops (H, W, 3) uint8 with class ids; a Draw varies and masks the crop by its seed.

    They are decoded each time unless `reader` has them. Masking comes last: brightness would
    change the fill.
    """

    def __init__(
        self,
        crops: Crops,
        augmenter: Augmenter | None = None,
        reader: CropReader | None = None,
        masker: CropMasker | None = None,
    ) -> None:
        self.crops = crops
        self._augmenter = augmenter
        self._reader = CropFiles(crops) if reader is None else reader
        self._masker = masker

    def __len__(self) -> int:
        return len(self.crops)

    def __getitem__(self, item: Draw | int) -> tuple[torch.Tensor, int]:
        index = item.crop if isinstance(item, Draw) else item
        crop, label = self._reader.crop(index), int(self.crops.labels[index])
        if isinstance(item, Draw):
            crop, label = self._shown(index, item.seed, crop, label)
        return torch.from_numpy(np.ascontiguousarray(crop)), label

    def _shown(
        self, index: int, seed: int, crop: npt.NDArray[np.uint8], label: int
    ) -> tuple[npt.NDArray[np.uint8], int]:
        masker = self._masker
        kind = None if masker is None else masker.kind(label, seed)
        mask = None if kind in (None, "empty") else self._mask(index, crop)
        if self._augmenter is not None:
            if mask is None:
                crop = self._augmenter(crop, seed)
            else:
                crop, mask = self._augmenter.with_mask(crop, mask, seed)
        if masker is None or kind is None:
            return crop, label
        return masker(crop, None if mask is None else mask.astype(bool), label, seed)

    def _mask(self, index: int, crop: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8] | None:
        mask = self._reader.mask(index)
        file = self.crops.masks[index]
        if mask is not None and file is not None:
            check_mask_size(file, mask, crop.shape[:2])
        return mask


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
        batch_size: crops per training batch, of all devices together.
        num_workers: processes that decode crops; null: one per processor, at most 8.
        sampler: "none": every crop once per epoch; "balanced": every class equally often.
        epoch_crops: training crops shown per epoch; null: as many as there are.
        augment: how training crops are varied.
        masking: which training crops are masked after that, so that they may become normal.
        normalization: of images in [0, 1]; "imagenet": the mean and deviation that the network's
            ImageNet weights expect; "dataset": those of the training split; or [mean, deviation],
            three numbers each, as weights from elsewhere expect.
        cache: decode crops once, into a file that is mapped into memory (65 kB for each grey crop
            of 256×256 px); false: decode them each time.
        cache_dir: folder of that file; null: DATASET/cache.
        architecture: the network, which "imagenet" depends on; fit sets it.
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
        cache: bool = True,
        cache_dir: Path | None = None,
        architecture: str = "",
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
        self.cache_dir = self.root / CACHE_NAME if cache_dir is None else cache_dir
        self.seed = seed
        self._recast: CheckedDataset | None = None
        self.mean, self.std = (
            imagenet_colours(architecture)
            if isinstance(normalization, str)
            else checked_colours(*normalization)
        )
        self.input_size: tuple[int, int] = (0, 0)
        self.class_counts: tuple[int, ...] = ()
        self.class_frequencies: tuple[float, ...] = ()
        self._sets: dict[str, CropDataset] = {}
        self.first_epoch = 0

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
            "train": CropDataset(
                train, Augmenter(self.augment), self._reader(recast, "train"), masker
            ),
            "val": CropDataset(val, None, self._reader(recast, "val")),
        }
        self._recast = recast

    def _reader(self, recast: CheckedDataset, split: str) -> CropReader | None:
        if not self.cache:
            return None
        return open_crops(
            MapRequest(
                recast.crops(split),
                split,
                recast.sha256,
                split == "train" and self.masking.needs_masks,
                self.cache_dir,
                workers_for(self.num_workers) or 1,
            )
        )

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
        # Worker processes begin at once, before Lightning sets the epoch of a run that goes on.
        sampler.set_epoch(self.first_epoch)
        return self._loader(crops, sampler)

    def val_dataloader(self) -> DataLoader[tuple[torch.Tensor, int]]:
        """Batches in the manifest's order, unvaried."""
        return self._loader(self._sets["val"], range(len(self._sets["val"])))

    def _loader(
        self, crops: CropDataset, order: Order[Draw | int]
    ) -> DataLoader[tuple[torch.Tensor, int]]:
        """This process's share of the batches; all of them without a trainer."""
        trainer = self.trainer
        rank, processes = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        batches = SharedBatches(order, self.batch_size, rank, processes)
        return crop_loader(crops, self.batch_size, self.num_workers, batches)


def workers_for(num_workers: int | None) -> int:
    """How many processes decode crops: None means one per processor, at most 8."""
    return min(os.cpu_count() or 1, 8) if num_workers is None else num_workers


def crop_loader(
    crops: CropDataset,
    batch_size: int,
    num_workers: int | None,
    batches: SharedBatches[Draw | int] | None = None,
) -> DataLoader[tuple[torch.Tensor, int]]:
    """The `batches` of crops; all of them in their own order if None."""
    workers = workers_for(num_workers)
    return DataLoader(
        crops,
        batch_sampler=batches or SharedBatches(range(len(crops)), batch_size),
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
    )


def checked_colours(mean: Triple, std: Triple) -> tuple[Triple, Triple]:
    """The two, if images in [0, 1] can have such a mean and deviation; else RecipeError."""
    if not (all(0 <= value <= 1 for value in mean) and all(1e-3 <= value <= 10 for value in std)):
        raise RecipeError(
            "data.normalization is [mean, deviation] of images in [0, 1]: means are 0 to 1, "
            f"deviations 0.001 to 10, not [{list(mean)}, {list(std)}]; of 0 to 255, divide them"
        )
    return mean, std


def normalise(crops: torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """Crops (B, H, W, C) uint8 as normalised images (B, C, H, W) float32, channels last.

    `mean` and `std` are (C,). The same bits as `sise.bundle.ModelBundle.preprocess`.
    """
    scaled = crops.permute(0, 3, 1, 2).float() / 255
    shift = torch.tensor(mean, device=crops.device).view(1, -1, 1, 1)
    scale = torch.tensor(std, device=crops.device).view(1, -1, 1, 1)
    return (scaled - shift) / scale
