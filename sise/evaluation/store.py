"""What an evaluation keeps on disk: maps and what was measured on them.

Made once, found again by the hash of all that made them.
"""

import hashlib
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sise import strict_json
from sise.bundle import ModelBundle, library_versions
from sise.errors import SiseError
from sise.evaluation.subject import Subject
from sise.explanation import REVISION, Explainer
from sise.images import write_whole
from sise.registry import MethodSpec


@dataclass(frozen=True, eq=False)
class Made:
    """The map (H, W) float32 of an item by a method, and what came with it.

    `score` is the model's probability of the class explained; `forwards` passes and `seconds`
    were spent. `key` is the hash of all that decided it.
    """

    key: str
    map: torch.Tensor
    status: str
    score: float
    forwards: int
    seconds: float


@dataclass(frozen=True)
class MapStore:
    """Maps in folder `root`, one file an item and method: root/METHOD/ITEM.npz.

    A file is what was asked for if its key is.
    """

    root: Path

    def made(
        self, spec: MethodSpec, explainer: Explainer, subject: Subject, identity: Mapping[str, Any]
    ) -> Made:
        """The map from disk or, made and written now, from `explainer`.

        `identity` is what decides it besides the method and the subject: see `identity`.
        """
        key = _digest({**identity, "method": spec.text, "item": subject.pixels_sha256,
                       "target": subject.target})  # fmt: skip
        path = self._path(spec, subject.item.id)
        kept = _read(path)
        if kept is not None and kept.key == key:
            return kept
        made = _make(explainer, subject, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, lambda temporary: _write(temporary, made))
        return made

    def kept(self, spec: MethodSpec, item_id: str) -> npt.NDArray[np.float32]:
        """The map (H, W) that is there, whatever it was made from. Raises SiseError if none is."""
        path = self._path(spec, item_id)
        kept = _read(path)
        if kept is None:
            raise SiseError(f"{path}: no map here; run the same command again")
        return kept.map.numpy()

    def _path(self, spec: MethodSpec, item_id: str) -> Path:
        return self.root / spec.slug / f"{file_name(item_id)}.npz"


def identity(
    bundle: ModelBundle, shared: Mapping[str, Any], device: torch.device
) -> dict[str, Any]:
    """What decides every map of a run."""
    return {
        "bundle": bundle.sha256,
        "options": dict(shared),
        "device": device.type,
        "revision": REVISION,
        "versions": library_versions(),
    }


def file_name(item_id: str) -> str:
    """A name that no file system objects to and no other item has."""
    plain = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in item_id)
    if plain == item_id and not plain.startswith("."):
        return plain
    return f"{plain.lstrip('.')}-{hashlib.sha256(item_id.encode()).hexdigest()[:8]}"


def _make(explainer: Explainer, subject: Subject, key: str) -> Made:
    started = time.perf_counter()
    explanation = explainer(subject.image[None], target=subject.target)
    return Made(
        key,
        explanation.maps[0].cpu(),
        explanation.status[0],
        float(explanation.scores[0]),
        int(explanation.forwards[0]),
        time.perf_counter() - started,
    )


def _read(path: Path) -> Made | None:
    """What a file holds; None if it is missing or damaged."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            return Made(
                str(stored["key"]),
                torch.from_numpy(stored["map"].astype(np.float32, casting="same_kind")),
                str(stored["status"]),
                float(stored["score"]),
                int(stored["forwards"]),
                float(stored["seconds"]),
            )
    except Exception:  # of a damaged file NumPy and zipfile raise anything
        return None


def _write(path: Path, made: Made) -> None:
    with path.open("wb") as stream:
        np.savez(stream, **{**vars(made), "map": made.map.numpy()})


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()


class RowStore:
    """Rows in the file `path`, by key. A line that an interruption cut off is as good as absent.

    A number that is not defined is null there (earlier versions: NaN), and NaN here.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __contains__(self, key: str) -> bool:
        return key in self._rows

    def __getitem__(self, key: str) -> dict[str, Any]:
        return self._rows[key]

    def add(self, rows: Mapping[str, dict[str, Any]]) -> None:
        """Keep `rows`, here and on disk."""
        self._rows.update({key: _defined(row) for key, row in rows.items()})
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lines = "".join(strict_json.dumps({"key": key, **row}) + "\n" for key, row in rows.items())
        with self.path.open("a+b") as stream:
            stream.seek(0, 2)
            if stream.tell() and not _ends_a_line(stream):
                lines = "\n" + lines
            stream.write(lines.encode())

    @cached_property
    def _rows(self) -> dict[str, dict[str, Any]]:
        try:
            lines = self.path.read_text("utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return {}
        return dict(filter(None, map(_parsed, lines)))


def _ends_a_line(stream: Any) -> bool:
    stream.seek(-1, 2)
    return bool(stream.read(1) == b"\n")


def _parsed(line: str) -> tuple[str, dict[str, Any]] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or not isinstance(row.get("key"), str):
        return None
    return row.pop("key"), _defined(row)


def _defined(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with NaN for what is not defined: null, and what is infinite."""
    return {
        name: math.nan if value is None or _is_infinite(value) else value
        for name, value in row.items()
    }


def _is_infinite(value: Any) -> bool:
    return isinstance(value, float) and math.isinf(value)
