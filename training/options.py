"""What is wrong with a run's options, before anything is trained."""

import math
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import torch
from pytorch_lightning import Callback
from pytorch_lightning.callbacks import Timer
from torch.nn import Parameter
from torch.optim import Optimizer

from training.errors import RecipeError
from training.processes import started

STRATEGIES = (
    "auto",
    "ddp",
    "ddp_find_unused_parameters_true",
    "ddp_find_unused_parameters_false",
    "pytorch_lightning.strategies.DDPStrategy",
)
"""Where every device has the whole network, and every process begins at the command."""
LOGGED = ("train/loss", "val/loss", "val/top1", "val/macro_recall", "learning_rate")
LOWER_IS_BETTER = ("train/loss", "val/loss")


def check_trainer_options(options: Any) -> None:
    """Raise RecipeError for options of the trainer that train nothing or leave no best epoch."""
    epochs = options.max_epochs
    if not epochs or epochs < 1:
        raise RecipeError("trainer.max_epochs must be 1 or more: the schedule spans the epochs")
    if options.max_steps != -1:
        raise RecipeError(
            "trainer.max_steps cannot be used: the schedule spans whole epochs, each validated at "
            "its end; give --trainer.max_epochs, and for short epochs --data.epoch_crops"
        )
    _check_devices(options)
    for name in ("fast_dev_run", "barebones"):
        if getattr(options, name):
            raise RecipeError(
                f"trainer.{name} writes no checkpoint; for a quick look use "
                "--trainer.max_epochs 1 --trainer.limit_train_batches 2"
            )
    if options.enable_checkpointing is False:
        raise RecipeError("trainer.enable_checkpointing cannot be false: a bundle needs one")
    for name in ("limit_train_batches", "limit_val_batches"):
        if getattr(options, name) == 0:
            raise RecipeError(f"trainer.{name} cannot be 0: the best epoch could not be told")
    every = options.check_val_every_n_epoch
    if every is None or not 1 <= every <= epochs:
        raise RecipeError(
            f"trainer.check_val_every_n_epoch must be 1 to {epochs} (max_epochs): the best epoch "
            "is one that was validated"
        )
    part = options.val_check_interval
    if part is not None and not (isinstance(part, float) and 0 < part <= 1):
        raise RecipeError("trainer.val_check_interval must be a share of an epoch, as 0.5")


def _check_devices(options: Any) -> None:
    several, processes = on_several_devices(options), started()
    if processes > 1 and not several:
        raise RecipeError(
            f"{processes} processes were started to train on one device; give --trainer.devices "
            "(processes on each host) and --trainer.num_nodes (hosts), or start one process"
        )
    if several and "LOCAL_RANK" not in os.environ and sys.argv[1:2] != ["fit"]:
        raise RecipeError("trainer.devices: only the command defect-train fit trains on several")
    strategy = getattr(options.strategy, "class_path", options.strategy)
    if several and strategy not in STRATEGIES:
        raise RecipeError(f"trainer.strategy must be one of {', '.join(STRATEGIES)}")
    if options.use_distributed_sampler:
        raise RecipeError(
            "trainer.use_distributed_sampler cannot be true: it shows some crops twice, and "
            "data.sampler shares them out already"
        )


def on_several_devices(options: Any) -> bool:
    """Whether the trainer's options may mean more than one device."""
    devices = options.devices
    one = devices in (1, "1") or (isinstance(devices, list) and len(devices) == 1)
    return not one or options.num_nodes != 1


def check_shares(processes: int, batch_size: int, train: int, val: int) -> None:
    """Raise RecipeError if a process would have no crop of a batch, of an epoch's `train` crops,
    or of the `val` validation crops."""
    shared = {"data.batch_size": batch_size, "the epoch": train, "the validation split": val}
    for name, crops in shared.items():
        if crops < processes:
            raise RecipeError(
                f"{name} has {crops} crops for {processes} devices, where each needs one at least; "
                "give fewer --trainer.devices"
            )


def check_finite(options: Any, name: str = "") -> None:
    """Raise RecipeError for a number among the options that is not finite, naming it."""
    if isinstance(options, float) and not math.isfinite(options):
        raise RecipeError(f"{name} is {options}; give a finite number")
    if isinstance(options, Mapping):
        for key, value in options.items():
            check_finite(value, f"{name}.{key}" if name else str(key))
    elif isinstance(options, list | tuple):
        for value in options:
            check_finite(value, name)


def check_optimizer(build: Callable[[Iterable[Parameter]], Optimizer]) -> None:
    """Raise RecipeError for options that the optimizer does not take."""
    try:
        build([Parameter(torch.zeros(1))])
    except (TypeError, ValueError, RuntimeError) as error:
        raise RecipeError(f"model.optimizer: {' '.join(str(error).split())}") from error


def check_callbacks(callbacks: Iterable[Callback], measured: Sequence[str] = ()) -> None:
    """Raise RecipeError for a callback that waits for a value that is never logged, or would take
    the worst for the best. `measured` are logged at each validation beside `LOGGED`."""
    logged = (*LOGGED, *measured)
    for callback in callbacks:
        monitor = getattr(callback, "monitor", None)
        if not isinstance(monitor, str):
            continue
        name = type(callback).__name__
        if monitor not in logged:
            raise RecipeError(
                f"{name}: monitor {monitor!r} is never logged; logged are {', '.join(logged)}"
                f"{did_you_mean(monitor, logged)}"
            )
        best = "min" if monitor in LOWER_IS_BETTER else "max"
        if monitor != "learning_rate" and getattr(callback, "mode", best) != best:
            raise RecipeError(f"{name}: {monitor} is best at its {best}imum; set mode: {best}")


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """The end of a message about an unknown name: the closest known one, or ""."""
    close = get_close_matches(name, known, 1, 0.75)
    return f"; did you mean {close[0]}?" if close else ""


def why_ended(callbacks: Iterable[Callback]) -> str:
    """Which option or callback ended a training before its last epoch, in words."""
    for callback in callbacks:
        if isinstance(callback, Timer) and (callback.time_remaining() or 0) <= 0:
            return "trainer.max_time was reached"
        if getattr(callback, "stopped_epoch", 0):
            return f"{type(callback).__name__} on {getattr(callback, 'monitor', 'no value')}"
    return "a callback ended it"
