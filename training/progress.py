"""What is seen of a training while it runs."""

import sys
import time
from collections.abc import Mapping
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import RichProgressBar

from sise.progress import note


def progress_callback() -> Callback:
    """A bar on a terminal, a plain line per epoch elsewhere; both on stderr."""
    if sys.stderr.isatty():
        return RichProgressBar(leave=False, refresh_rate=1, console_kwargs={"stderr": True})
    return EpochLines()


class EpochLines(Callback):
    """A plain line on stderr at the end of every epoch."""

    def __init__(self) -> None:
        self._started = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._started = time.monotonic()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        seconds = time.monotonic() - self._started
        epochs = trainer.max_epochs or 0
        note(epoch_line(trainer.current_epoch + 1, epochs, trainer.callback_metrics, seconds))


def epoch_line(epoch: int, epochs: int, metrics: Mapping[str, Any], seconds: float) -> str:
    """One line on a finished epoch (counted from 1), leaving out what was not measured."""
    shown = {
        "loss": "train/loss",
        "val loss": "val/loss",
        "val top-1": "val/top1",
        "val macro recall": "val/macro_recall",
    }
    parts = [f"{label} {float(metrics[key]):.3f}" for label, key in shown.items() if key in metrics]
    return ", ".join([f"epoch {epoch}/{epochs}", *parts, f"{seconds:.1f} s"])
