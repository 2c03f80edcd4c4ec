"""Maps of methods on disk: made once, found again by what made them."""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sise.bundle import ModelBundle, library_versions
from sise.catalogue import Choice
from sise.evaluation.subject import Subject
from sise.explanation import Explainer
from sise.images import write_whole


@dataclass(frozen=True, eq=False)
class Made:
    """The map (H, W) float32 of an item by a method, and what came with it.

    `score` is the model's probability of the class explained; `forwards` passes and `seconds`
    were spent.
    """

    map: torch.Tensor
    status: str
    score: float
    forwards: int
    seconds: float


@dataclass(frozen=True)
class MapStore:
    """Maps in folder `root`, one file an item and method: root/METHOD/ITEM.npz.

    A file is what was asked for if its `key` is: the hash of all that decides a map.
    """

    root: Path

    def made(
        self, choice: Choice, explainer: Explainer, subject: Subject, identity: Mapping[str, Any]
    ) -> Made:
        """The map from disk or, made and written now, from `explainer`.

        `identity` is what decides it besides the method and the subject: see `identity`.
        """
        key = _digest({**identity, "method": choice.text, "item": subject.sha256,
                       "target": subject.target})  # fmt: skip
        path = self.root / choice.slug / f"{file_name(subject.item.id)}.npz"
        found = _read(path, key)
        if found is not None:
            return found
        made = _make(explainer, subject)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, lambda temporary: _write(temporary, made, key))
        return made


def identity(
    bundle: ModelBundle, shared: Mapping[str, Any], device: torch.device
) -> dict[str, Any]:
    """What decides every map of a run."""
    return {
        "bundle": bundle.sha256,
        "options": dict(shared),
        "device": device.type,
        "versions": library_versions(),
    }


def file_name(item_id: str) -> str:
    """A name that no file system objects to and no other item has."""
    plain = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in item_id)
    if plain == item_id and not plain.startswith("."):
        return plain
    return f"{plain.lstrip('.')}-{hashlib.sha256(item_id.encode()).hexdigest()[:8]}"


def _make(explainer: Explainer, subject: Subject) -> Made:
    started = time.perf_counter()
    explanation = explainer(subject.image[None], target=subject.target)
    found = explanation.maps[0].cpu()
    return Made(
        found,
        explanation.status[0],
        float(explanation.scores[0]),
        int(explanation.forwards[0]),
        time.perf_counter() - started,
    )


def _read(path: Path, key: str) -> Made | None:
    try:
        with np.load(path, allow_pickle=False) as stored:
            if str(stored["key"]) != key:
                return None
            return Made(
                torch.from_numpy(stored["map"]),
                str(stored["status"]),
                float(stored["score"]),
                int(stored["forwards"]),
                float(stored["seconds"]),
            )
    except (OSError, ValueError, KeyError):
        return None


def _write(path: Path, made: Made, key: str) -> None:
    with path.open("wb") as stream:
        np.savez(
            stream,
            map=made.map.numpy(),
            status=made.status,
            score=made.score,
            forwards=made.forwards,
            seconds=made.seconds,
            key=key,
        )


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
