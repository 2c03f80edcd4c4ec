"""Memory or disk that runs out, said with the option or the folder that helps."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from severstal_prep.failures import FULL
from sise.batches import is_out_of_memory
from training.errors import MemoryShortError

_SHARED = ("shared memory", "bus error", "ancdata", "too many open files", "/torch_")
_WORKER = "dataloader worker"


@contextmanager
def memory_explained(batch_size: str, num_workers: str) -> Iterator[None]:
    """Turn what PyTorch raises when memory runs out into a MemoryShortError.

    `batch_size` and `num_workers` are the options that help, as on the command line.
    """
    try:
        yield
    except (RuntimeError, MemoryError, OSError) as error:
        words = str(error).lower()
        if any(mark in words for mark in _SHARED):
            raise MemoryShortError(
                "shared memory (/dev/shm) or open files ran out between the processes that decode "
                f"crops: give a smaller {num_workers}, 0 to do without"
            ) from error
        if isinstance(error, MemoryError) or (
            isinstance(error, RuntimeError) and is_out_of_memory(error)
        ):
            raise MemoryShortError(f"out of memory: give a smaller {batch_size}") from error
        if words.startswith(_WORKER):
            raise MemoryShortError(
                "a process that decodes crops was ended from outside, as when memory runs out: "
                f"give a smaller {num_workers}, 0 to do without"
            ) from error
        raise


@contextmanager
def writing_in(folder: Path) -> Iterator[None]:
    """Name `folder` in an OSError that names no file; and make one of PyTorch's word for a full
    disk."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            error.filename = str(folder)
        raise
    except RuntimeError as error:
        if FULL.search(str(error)):
            full = errno.ENOSPC
            raise OSError(full, os.strerror(full), str(folder)) from error
        raise
