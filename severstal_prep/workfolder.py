"""Where an unfinished build keeps its crops, with a journal of the strips that are done.

<dataset>/.build/settings.json     the options it was begun with
<dataset>/.build/strips.jsonl      a line per strip that was cut
<dataset>/.build/crops/, masks/    what was cut, not yet split
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, TextIO, TypeVar

import pandas as pd

from severstal_prep.alone import alone, unused
from severstal_prep.checked import checked, read_json
from severstal_prep.dataset import SPLITS
from severstal_prep.errors import DatasetError
from severstal_prep.files import replacing

WORK_NAME = ".build"
KINDS = ("crops", "masks")


class Record(Protocol):
    """A dataclass that says what was found on an image, by the image's name."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def image(self) -> str: ...


R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class Journal:
    """Takes down, line by line, the strips or images that were cut."""

    stream: TextIO

    def add(self, record: Record) -> None:
        """Append a record; the line is out of this process when the call returns."""
        print(json.dumps(asdict(record), allow_nan=False), file=self.stream, flush=True)


@dataclass(frozen=True)
class WorkFolder:
    """The work folder of the dataset at `root`."""

    root: Path

    @property
    def path(self) -> Path:
        """The folder itself."""
        return self.root / WORK_NAME

    @property
    def _journal_file(self) -> Path:
        return self.path / "strips.jsonl"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from building here.

        Raises DatasetError if the root holds anything but an unfinished build, and InUseError.
        """
        begun = (self.path / "settings.json").is_file() or (
            self.path.is_dir() and unused(self.path)
        )
        if not begun and self.root.exists() and any(self.root.iterdir()):
            raise DatasetError(f"{self.root}: holds other files; name a new or empty folder")
        with alone(self.root, self.path):
            yield

    def open(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Begin a build with `settings`, or continue one; give the settings it began with.

        Raises DatasetError if those cannot be read.
        """
        settings_file = self.path / "settings.json"
        if not settings_file.is_file():
            self.path.mkdir(parents=True, exist_ok=True)
            with replacing(settings_file) as temporary:
                temporary.write_text(json.dumps(dict(settings), allow_nan=False), "utf-8")
        for kind in KINDS:
            (self.path / kind).mkdir(exist_ok=True)
        self._take_back()
        try:
            return checked(dict[str, Any], read_json(settings_file))
        except ValueError as error:
            raise DatasetError(
                f"{settings_file}: {error}; delete the folder {self.root}"
            ) from error

    def _take_back(self) -> None:
        """Undo `move_crops`, if that was interrupted: strips, hence the split, may change."""
        for kind in KINDS:
            for moved in list((self.root / kind).rglob("*.png")):
                moved.replace(self.path / kind / moved.name)

    def read_journal(self, kind: type[R]) -> dict[str, R]:
        """Read the records of a kind, by image name; of two lines for one, the later."""
        if not self._journal_file.exists():
            return {}
        records = list[R]()
        for line in self._journal_file.read_text("utf-8", "replace").splitlines():
            try:
                records.append(checked(kind, json.loads(line)))
            except (ValueError, RecursionError):  # the line at which an interruption struck
                continue
        return {record.image: record for record in records}

    @contextmanager
    def journal(self) -> Iterator[Journal]:
        """Open the journal for more strips."""
        with self._journal_file.open("a", encoding="utf-8") as stream:
            stream.write("\n")  # ends a line that was cut off
            yield Journal(stream)

    def move_crops(self, manifest: pd.DataFrame, classes: int, normal: int | None) -> None:
        """Move all crops and masks of so many classes to where the manifest says.

        Every class gets its folder, even if empty: readers of image folders number the
        classes by the folders they find.
        """
        for split in SPLITS:
            for class_id in range(classes):
                for kind in KINDS if class_id != normal else ("crops",):
                    (self.root / kind / split / str(class_id)).mkdir(parents=True, exist_ok=True)
        for kind, places in (("crops", manifest["crop_path"]), ("masks", manifest["mask_path"])):
            for place in places:
                if place:
                    (self.path / kind / Path(place).name).replace(self.root / place)

    def remove(self) -> None:
        """Remove the work folder, if it is there."""
        shutil.rmtree(self.path, ignore_errors=True)
