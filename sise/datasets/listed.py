"""Only some of a dataset's items: those that a text file names, or those of some classes."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sise.datasets.dataset import Dataset, Item
from sise.errors import DatasetError


@dataclass(frozen=True)
class _Part:
    dataset: Dataset

    @property
    def classes(self) -> tuple[str, ...]:
        return self.dataset.classes

    def pixels(self, item: Item) -> npt.NDArray[np.uint8]:
        return self.dataset.pixels(item)

    def truth(self, item: Item) -> npt.NDArray[np.bool_]:
        return self.dataset.truth(item)


@dataclass(frozen=True)
class OfClasses(_Part):
    """The items of `dataset` whose class is one of `names`."""

    names: Collection[str]

    @property
    def name(self) -> str:
        found = [name for name in self.classes if name in self.names]
        return f"{self.dataset.name}, {len(found)} of {len(self.classes)} classes"

    @cached_property
    def items(self) -> tuple[Item, ...]:
        wanted = {label for label, name in enumerate(self.classes) if name in self.names}
        return tuple(item for item in self.dataset.items if item.label in wanted)


@dataclass(frozen=True)
class Listed(_Part):
    """The items of `dataset` that `file` names, in the dataset's order.

    The file has the id of an item or an image, which stands for all its items, on each line.
    Blank lines and lines that begin with # are skipped.
    """

    file: Path

    @property
    def name(self) -> str:
        return f"{self.dataset.name}, {len(self.items)} items of {self.file.name}"

    @cached_property
    def items(self) -> tuple[Item, ...]:
        """Raises DatasetError for a file that cannot be read, and for ids that do not exist."""
        known = {name for item in self.dataset.items for name in (item.id, item.image)}
        wanted = set()
        for number, line in enumerate(self._lines(), 1):
            name = line.strip()
            if not name or name.startswith("#"):
                continue
            if name not in known:
                raise DatasetError(
                    f"{self.file}, line {number}: {self.dataset.name} has no item or image {name!r}"
                )
            wanted.add(name)
        return tuple(item for item in self.dataset.items if wanted & {item.id, item.image})

    def _lines(self) -> list[str]:
        try:
            return self.file.read_text("utf-8-sig").split("\n")
        except FileNotFoundError as error:
            raise DatasetError(f"{self.file}: no such file") from error
        except (OSError, UnicodeDecodeError) as error:
            raise DatasetError(f"{self.file}: not a readable text file ({error})") from error
