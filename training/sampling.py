"""Which crops an epoch shows, in which order, each with the seed of its own augmentation."""

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from torch.utils.data import Sampler

Balance = Literal["none", "balanced"]


class Draw(NamedTuple):
    """One crop to be shown: its place in the split, and the seed of its augmentation."""

    crop: int
    seed: int


Item = TypeVar("Item", covariant=True)


class Order(Iterable[Item], Protocol[Item]):
    """A sampler of crops, or a range of them."""

    def __len__(self) -> int: ...


class EpochSampler(Sampler[Draw]):
    """Draws for one epoch, a function of the seed and the epoch's number alone.

    Hence an interrupted training continues with the crops it would have seen, whatever the
    number of worker processes. An epoch has `length` draws, as many as there are crops if
    None. With `balance="none"` crops come in turn, shuffled anew each time round; with
    "balanced" every class that occurs is drawn equally often (to one), and the crops of a
    class come in turn.
    """

    def __init__(
        self,
        labels: npt.NDArray[np.int64],
        balance: Balance,
        seed: int,
        length: int | None = None,
    ) -> None:
        self._labels = labels
        self._balance = balance
        self._seed = seed
        self._length = len(labels) if length is None else length
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, from 0; Lightning calls this."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Draw]:
        generator = np.random.default_rng((self._seed, self._epoch))
        # Without balance, all crops are one class.
        classes = self._labels if self._balance == "balanced" else np.zeros_like(self._labels)
        order = balanced_order(classes, self._length, generator)
        seeds = generator.integers(2**32, size=len(order))
        return (Draw(int(i), int(seed)) for i, seed in zip(order, seeds, strict=True))


class SharedBatches(Sampler[list[Item]]):
    """The batches of one of several processes: its share of each batch of them all.

    All processes together see the batches that a single one would, each item once: process
    `rank` of `processes` takes every so many-th of a batch, so that shares differ by one item at
    most. A last batch that is too small for a share each goes to the batch before it. So there
    are as many batches for each process, and none is empty, where `order` and `batch_size` are
    no fewer than `processes`.
    """

    def __init__(
        self, order: Order[Item], batch_size: int, rank: int = 0, processes: int = 1
    ) -> None:
        self.sampler = order  # by this name Lightning finds whose epoch to set
        self._batch_size = batch_size
        self._rank = rank
        self._processes = processes

    def __len__(self) -> int:
        return len(self._ends())

    def __iter__(self) -> Iterator[list[Item]]:
        items = list(self.sampler)
        start = 0
        for end in self._ends():
            yield items[start:end][self._rank :: self._processes]
            start = end

    def _ends(self) -> list[int]:
        length = len(self.sampler)
        ends = list(range(self._batch_size, length, self._batch_size))
        if ends and length - ends[-1] < self._processes:
            ends.pop()
        return [*ends, length]


def balanced_order(
    labels: npt.NDArray[np.int64], length: int, generator: np.random.Generator
) -> npt.NDArray[np.int64]:
    """`length` indices into `labels` (N,) in which every class occurs equally often, to one."""
    classes = generator.permutation(np.unique(labels))
    quota = np.full(len(classes), length // len(classes))
    quota[: length % len(classes)] += 1
    drawn = []
    for class_id, wanted in zip(classes, quota, strict=True):
        members = np.flatnonzero(labels == class_id)
        rounds = [generator.permutation(members) for _ in range(-(-wanted // len(members)))]
        drawn.append(np.concatenate([members[:0], *rounds])[:wanted])
    return generator.permutation(np.concatenate(drawn))
