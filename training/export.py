"""`defect-train export`: a model bundle from a checkpoint."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sise.bundle import ModelBundle
from sise.devices import choose_device
from sise.precision import Precision
from training.checkpoint import read_checkpoint
from training.crops import read_recast
from training.finish import complete_thresholds, validate, write_bundle
from training.resources import memory_explained


@dataclass(frozen=True)
class Export:
    """Which checkpoint becomes a bundle where; `root` is a recast dataset to calibrate on."""

    checkpoint: Path
    out: Path
    root: Path | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)
    precision: Precision = "auto"
    batch_size: int = 64
    num_workers: int | None = None


def export(request: Export) -> ModelBundle:
    """Write the bundle; with a `root` it is calibrated and evaluated on its validation crops.

    Raises CheckpointError, DatasetError, DataError and RecipeError (thresholds).
    """
    complete_thresholds(request.thresholds)
    checkpoint = read_checkpoint(request.checkpoint)
    validation = None
    if request.root is not None:
        with memory_explained("--batch-size", "--num-workers"):
            validation = validate(
                checkpoint,
                read_recast(request.root).crops("val"),
                choose_device("auto"),
                request.precision,
                request.batch_size,
                request.num_workers,
            )
    return write_bundle(request.out, checkpoint, validation, request.thresholds)
