"""How many masked images go through the network at once."""

import logging
from collections.abc import Callable

import torch

from sise.errors import SiseError

_log = logging.getLogger("sise")

_PIXELS_PER_BATCH = {"cpu": 16 * 256 * 256, "cuda": 128 * 256 * 256}
_LARGEST = 256


class BatchSize:
    """A batch size that shrinks when memory runs out, and stays so."""

    def __init__(self, value: int) -> None:
        self.value = value

    def run(self, count: int, work: Callable[[int, int], None]) -> None:
        """Let `work` do pieces `start` to `stop` of `count`, batch by batch.

        Out of memory, a batch is halved and done again. Raises SiseError if not even one image
        fits.
        """
        start = 0
        while start < count:
            stop = min(start + self.value, count)
            try:
                work(start, stop)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                self._halve(error)
                continue
            start = stop

    def _halve(self, error: RuntimeError) -> None:
        if self.value == 1:
            raise SiseError(
                "out of memory with a batch of one masked image; use smaller images, a smaller "
                "network or another device"
            ) from error
        self.value = self.value // 2
        _log.warning("out of memory: going on with batches of %d masked images", self.value)


def auto_batch_size(size: tuple[int, int], device: torch.device) -> int:
    """A batch of images of `size` (H, W) that keeps `device` busy without filling its memory."""
    pixels = _PIXELS_PER_BATCH.get(device.type, _PIXELS_PER_BATCH["cpu"])
    return min(max(1, pixels // (size[0] * size[1])), _LARGEST)


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether an error of PyTorch's says that memory ran out, on any device."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    words = str(error).lower()
    return "can't allocate memory" in words or "not enough memory" in words
