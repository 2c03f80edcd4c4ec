"""Maps while the classifier learns: of fixed validation crops, for TensorBoard and the monitor."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import TensorBoardLogger

from severstal_prep.images import read_image
from severstal_prep.recast import NORMAL_NAME
from sise import presets
from sise.explainer import SISE
from sise.metrics import ebpg
from sise.overlay import overlay
from sise.progress import note
from training.classifier import DefectClassifier
from training.crops import Crops, read_mask
from training.data import RecastDataModule, normalise
from training.errors import RecipeError
from training.evaluate import macro_recall

EBPG, MIXTURE = "val/ebpg", "val/mixture"


@dataclass(frozen=True)
class Explain:
    """Which validation crops are explained while the classifier learns, and when.

    Args:
        every: epochs between two times; 0 never, unless the monitor needs it.
        crops: how many validation crops, the same each time, of all defect classes in turn.
        budget: forward passes for each crop, at most.
        weight: share of EBPG in the monitor val/mixture; the rest is that of the macro recall.
    """

    every: int = 0
    crops: int = 8
    budget: int = 98
    weight: float = 0.2

    def __post_init__(self) -> None:
        if self.every < 0:
            raise RecipeError(f"explain.every must be 0 or more epochs, not {self.every}")
        if self.crops < 1:
            raise RecipeError(f"explain.crops must be 1 or more, not {self.crops}")
        if self.budget < LEAST_BUDGET:
            raise RecipeError(
                f"explain.budget must be {LEAST_BUDGET} passes or more, not {self.budget}"
            )
        if not 0 < self.weight < 1:
            raise RecipeError(f"explain.weight must be above 0 and below 1, not {self.weight}")


LEAST_BUDGET = 4
"""Two passes for feature maps in their context, one of the whole image, and one of a mask."""


@dataclass(frozen=True)
class Shown:
    """One of the explained crops: its pixels (H, W, 3) uint8, its class, and its true mask (H, W)
    bool, None where it has none."""

    name: str
    pixels: npt.NDArray[np.uint8]
    label: int
    truth: npt.NDArray[np.bool_] | None


def chosen(
    labels: npt.NDArray[np.int64], classes: Sequence[str], count: int, seed: int
) -> list[int]:
    """Up to `count` places in `labels` (N,) of defect classes, in turn, drawn by the seed."""
    generator = np.random.default_rng(seed)
    queues = [
        generator.permutation(np.flatnonzero(labels == class_id)).tolist()
        for class_id, name in enumerate(classes)
        if name != NORMAL_NAME
    ]
    places: list[int] = []
    while any(queues) and len(places) < count:
        places += [queue.pop() for queue in queues if queue]
    return places[:count]


def read_shown(crops: Crops, classes: Sequence[str], count: int, seed: int) -> list[Shown]:
    """The chosen crops; raises UnreadableImageError and DataError as the data module."""
    return [
        Shown(
            name=f"{classes[crops.labels[place]]}/{crops.paths[place].stem}",
            pixels=read_image(crops.paths[place]),
            label=int(crops.labels[place]),
            truth=_truth(crops, place),
        )
        for place in chosen(crops.labels, classes, count, seed)
    ]


def _truth(crops: Crops, place: int) -> npt.NDArray[np.bool_] | None:
    file = crops.masks[place]
    return read_mask(file).astype(bool) if file is not None and file.is_file() else None


@dataclass(eq=False)
class ExplainCrops(Callback):
    """Lays SISE's maps over some validation crops, into TensorBoard, and logs their EBPG.

    The explained class is the true one, the network that which is validated (with weight averaging
    the averaged one). EBPG is the mean over crops that have a true mask; a crop without a map
    counts 0. It is logged as `val/ebpg` where there are masks. `monitored`, it is measured at
    each validation, and `val/mixture` is logged: (1 - weight) × macro recall + weight × EBPG.
    The training is not touched: neither weights, nor statistics, nor random numbers.
    """

    options: Explain
    monitored: bool
    seed: int
    _shown: list[Shown] = field(init=False, default_factory=list)
    _ebpg: float = field(init=False, default=0.0)

    def prepare(self, data: RecastDataModule) -> None:
        """Read the crops of a data module that was set up, and say what explaining them costs.

        Raises RecipeError if the monitor needs masks that are not there, UnreadableImageError for a
        crop or mask.
        """
        if not self.monitored and not self.options.every:
            return
        crops, classes = data.recast.crops("val"), data.recast.classes
        self._shown = read_shown(crops, classes, self.options.crops, self.seed)
        if self.monitored and not self._has_truth:
            raise RecipeError(
                f"monitor {MIXTURE} needs masks of defects, and {data.root} has none of its "
                "validation crops; give --monitor val/macro_recall, or a dataset with masks"
            )
        often = "at each validation" if self.monitored else f"every {self.options.every} epochs"
        note(
            f"{len(self._shown)} validation crops are explained {often}, by up to "
            f"{len(self._shown) * self.options.budget} forward passes"
        )

    @property
    def measured(self) -> tuple[str, ...]:
        """What is logged at each validation, where there are masks."""
        if self.monitored:
            return EBPG, MIXTURE
        return (EBPG,) if self.options.every == 1 else ()

    @property
    def _has_truth(self) -> bool:
        return any(one.truth is not None for one in self._shown)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """After the last batch, while the averaged weights are still in place."""
        batches = trainer.num_val_batches[0]
        if batch_idx + 1 < batches or not self._shown or not self._due(trainer):
            return
        if trainer.is_global_zero and isinstance(pl_module, DefectClassifier):
            self._ebpg = self._explain(trainer, pl_module)
        self._ebpg = trainer.strategy.broadcast(self._ebpg)
        if self._has_truth:
            pl_module.log(EBPG, self._ebpg, batch_size=1)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.monitored and isinstance(pl_module, DefectClassifier):
            weight = self.options.weight
            recall = macro_recall(pl_module.confusion())
            pl_module.log(MIXTURE, (1 - weight) * recall + weight * self._ebpg)

    def _due(self, trainer: Trainer) -> bool:
        epoch = trainer.current_epoch + 1
        every = self.options.every
        due = every > 0 and (epoch % every == 0 or epoch == trainer.max_epochs)
        return self.monitored or due

    def _explain(self, trainer: Trainer, model: DefectClassifier) -> float:
        """Log the overlays; the mean EBPG of the crops that have masks, 0 without any."""
        started = time.monotonic()
        explainer = explainer_of(model.network, self.options.budget)
        found = []
        devices = [model.device] if model.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            for one in self._shown:
                pixels = torch.from_numpy(np.array(one.pixels)[None]).to(model.device)
                images = normalise(pixels, model.mean, model.std)
                maps = explainer(images, target=one.label).maps.float().cpu()
                self._draw(trainer, one, maps[0].numpy())
                if one.truth is not None:
                    found.append(ebpg(maps, torch.from_numpy(one.truth)[None]).nan_to_num().item())
        mean = float(np.mean(found)) if found else 0.0
        said = f", EBPG {mean:.3f}" if found else ""
        seconds = time.monotonic() - started
        note(f"explained {len(self._shown)} validation crops{said}, {seconds:.1f} s")
        return mean

    def _draw(self, trainer: Trainer, one: Shown, heat: npt.NDArray[np.float32]) -> None:
        picture = np.concatenate([one.pixels, overlay(one.pixels, heat)], axis=1)
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                tag = f"maps/{one.name}"
                logger.experiment.add_image(tag, picture, trainer.global_step, dataformats="HWC")


def explainer_of(network: torch.nn.Module, budget: int) -> SISE:
    """SISE as inspection explains flagged patches, on a network that returns logits."""
    return SISE(
        network,
        mu=presets.MU,
        budget=budget,
        fusion=presets.FUSION,
        fill=presets.FILL,
        context=presets.CONTEXT,
        evidence=presets.EVIDENCE,
    )
