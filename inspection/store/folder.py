"""The output folder: whose it is, what is finished in it, and its log."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from inspection.errors import ReportFolderError
from inspection.pipeline.strips import Batch
from inspection.store import pictures
from inspection.store.checksums import CHECKSUMS, write_checksums
from inspection.store.tables import Shards, write_json
from severstal_prep.alone import alone, unused
from severstal_prep.checked import checked, read_json
from severstal_prep.files import write_whole
from severstal_prep.images import is_whole_jpeg
from severstal_prep.remote import named

FORMAT = "steel-sise inspection 1"
INDEX = "index.html"
RECORD = "batch.json"
FIGURES = "figures.json"
WORK = "work"
SIMILAR = "similar.parquet"
_LARGEST_PICTURE = 2**24


def utc_now() -> str:
    """The time in UTC, ISO 8601 to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class ReportFolder:
    """A report folder that belongs to one batch.

    `batch.json` is written last and removed first, so that where it is, the report is whole.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.predictions = Shards(root / WORK / "predictions")
        self.explanations = Shards(root / WORK / "explanations")

    @property
    def index(self) -> Path:
        """The page to open."""
        return self.root / INDEX

    @property
    def sealed(self) -> bool:
        """Whether a finished report is here, of whatever settings."""
        return (self.root / CHECKSUMS).is_file()

    @contextmanager
    def open_for(self, batch: Batch) -> Iterator[None]:
        """Make the folder, or go on in the one that an earlier run on this batch made; keep other
        processes out of it until the block ends.

        Raises ReportFolderError if it holds anything else, so that nothing is mixed or lost, and
        InUseError while another process writes there.
        """
        if self.root.exists() and not self.root.is_dir():
            raise ReportFolderError(f"{self.root}: a file; --out takes a folder")
        if self.root.resolve().is_relative_to(batch.root):
            raise ReportFolderError(
                f"{self.root}: inside the batch folder, where its images would be taken for "
                "strips; choose an --out elsewhere"
            )
        marker = self.root / WORK / "source.json"
        batch_folder = named(str(batch.root))
        source = {"format": FORMAT, "batch": batch_folder, "inputs": batch.digest()}
        if marker.is_file():
            self._check_source(marker, source)
        elif self.root.exists() and not all(map(self._is_begun, self.root.iterdir())):
            raise ReportFolderError(
                f"{self.root}: not empty and no inspection report; choose another --out"
            )
        with alone(self.root, self.root / WORK):
            (self.root / pictures.FOLDER).mkdir(exist_ok=True)
            write_json(marker, source)
            yield

    def _is_begun(self, path: Path) -> bool:
        return path.name in (WORK, pictures.FOLDER) and path.is_dir() and unused(path)

    def _check_source(self, marker: Path, ours: dict[str, str]) -> None:
        try:
            theirs = checked(dict[str, str], read_json(marker))
            same = ours["batch"] == theirs["batch"] or ours["inputs"] == theirs["inputs"]
        except (ValueError, KeyError) as error:
            raise ReportFolderError(f"{marker}: damaged; choose another --out") from error
        if not same:
            raise ReportFolderError(
                f"{self.root}: holds the report of another batch, {theirs['batch']}; "
                "choose another --out"
            )

    def keep(self, shards: Shards, rows: pd.DataFrame, images: Mapping[str, bytes]) -> None:
        """Keep what came of a unit of work: first its images, by path inside the report, then its
        rows. So what has rows has its images."""
        for name, content in images.items():
            # To replace a file takes the disk as long as to draw it.
            if not _holds(self.root / name, content):
                write_whole(self.root / name, content)
        shards.put(rows)

    def copy_picture(self, root: Path, name: str) -> str:
        """Copy a picture, a JPEG, of the report in `root`; return its name here, "" if it is not
        to be had: missing, too large or outside that report."""
        source = root / name
        try:
            if not source.resolve().is_relative_to(root.resolve()):
                return ""
            if source.stat().st_size > _LARGEST_PICTURE or not is_whole_jpeg(source):
                return ""
            content = source.read_bytes()
        except (OSError, ValueError):
            return ""
        ours = pictures.earlier_path(content)
        if not _holds(self.root / ours, content):
            write_whole(self.root / ours, content)
        return ours

    def finished(self, fingerprint: str) -> dict[str, Any] | None:
        """The record of a whole report made of exactly these inputs and settings, if it is here."""
        try:
            record = checked(dict[str, Any], read_json(self.root / RECORD))
        except (OSError, ValueError):
            return None
        whole = self.index.is_file() and self.sealed
        return record if whole and record.get("fingerprint") == fingerprint else None

    def reopen(self) -> None:
        """Declare the report unfinished: its page must not outlive the images it shows.

        Removes files that a killed run had begun: they would be listed as the report's.
        """
        (self.root / CHECKSUMS).unlink(missing_ok=True)
        (self.root / RECORD).unlink(missing_ok=True)
        self.index.unlink(missing_ok=True)
        for begun in [*self.root.glob(".*.partial"), *self.root.glob("*/.*.partial")]:
            begun.unlink()

    def finish(self, record: dict[str, Any], images: Iterable[str]) -> str:
        """Write the record, remove images of earlier runs that the report does not show, and list
        the hashes of all files; return the report's seal."""
        write_json(self.root / RECORD, record)
        shown = {self.root / image for image in images}
        for path in (self.root / pictures.FOLDER).iterdir():
            if path not in shown:
                path.unlink()
        return write_checksums(self.root)

    def log(self, event: str, **details: Any) -> None:
        """Append a line of JSON to log.jsonl."""
        entry = {"time": utc_now(), "event": event, **details}
        line = json.dumps(entry, ensure_ascii=False, allow_nan=False)
        with (self.root / "log.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")


def _holds(path: Path, content: bytes) -> bool:
    """Whether a file holds this already."""
    try:
        return path.stat().st_size == len(content) and path.read_bytes() == content
    except OSError:
        return False
