"""One training as several processes: which of them this one is, and how they end together.

Lightning starts the others by the same command, or torchrun or srun starts all. The first writes
the run folder and speaks; the others follow it silently, unless they fail alone.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from training.errors import DivergedError, ProcessError

_LOST = ("gloo", "nccl", "connection reset", "connection closed", "connection refused", "tcpstore")


def started() -> int:
    """How many processes torchrun or srun started; 1 where neither did."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return int(os.environ["WORLD_SIZE"])
    return int(os.environ.get("SLURM_STEP_NUM_TASKS", 1))


def is_first() -> bool:
    """Whether this process leads the training; a training of one process does."""
    ranks: tuple[str, ...] = ("SLURM_PROCID",) if started() > 1 else ()
    if "LOCAL_RANK" in os.environ:  # of torchrun and Lightning
        ranks = ("RANK", "NODE_RANK", "LOCAL_RANK")
    return all(os.environ.get(rank, "0") == "0" for rank in ranks)


@contextmanager
def following() -> Iterator[None]:
    """Follow the first process: silent, and ended with the process that started this one.

    Ctrl-C is the first's to handle. An error that all processes meet together, or that comes of
    another's end, is not said again: it becomes a SystemExit.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=[os.getppid()], daemon=True).start()
    with Path(os.devnull).open("w") as nothing, redirect_stdout(nothing), redirect_stderr(nothing):
        try:
            yield
        except DivergedError as error:  # agreed upon, and the first says it
            raise SystemExit(0) from error
        except KeyboardInterrupt as error:
            raise SystemExit(1) from error
        except RuntimeError as error:
            if lost_another(error):
                raise SystemExit(1) from error
            raise


def _end_with(parent: int) -> None:
    """A process that waits for one that was killed would wait long, and hold its GPU."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


@contextmanager
def leading(trainer: Trainer) -> Iterator[None]:
    """Lead the other processes: whatever ends this one's training early ends them too.

    Raises ProcessError if another was the first to end.
    """
    try:
        yield
    except BaseException as error:
        _end_others(trainer)
        if trainer.world_size > 1 and isinstance(error, RuntimeError) and lost_another(error):
            raise ProcessError(
                "another process of this training ended, so all did; what it said of it stands "
                "above, or in its host's log. The same command resumes the training"
            ) from error
        raise
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _end_others(trainer: Trainer) -> None:
    """Lightning watches the processes in `procs`, and kills this one if one of them was killed."""
    others: list[Any] = getattr(trainer.strategy.launcher, "procs", [])
    ended, others[:] = list(others), []
    for process in ended:
        process.kill()
    for process in ended:
        process.wait()


def lost_another(error: RuntimeError) -> bool:
    """Whether an error says that another process is no longer there."""
    said = str(error).lower()
    return isinstance(error, torch.distributed.DistError) or any(word in said for word in _LOST)


def of_all(values: torch.Tensor) -> torch.Tensor:
    """The `values` (N,) of every process: (processes, N)."""
    if not torch.distributed.is_initialized():
        return values[None]
    gathered = [torch.empty_like(values) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(gathered, values)
    return torch.stack(gathered)


class OwnSignals(Callback):
    """Gives SIGTERM back to whoever had it when this was made.

    Lightning would answer it by a broadcast, in the middle of whatever the processes exchange.
    """

    def __init__(self) -> None:
        self._handler = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.world_size > 1 and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._handler)
