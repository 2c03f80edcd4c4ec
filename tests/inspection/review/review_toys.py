"""A small report made by hand, and decisions on it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
from toys import CLASSES, write_strip

from inspection.review.database import Database
from inspection.review.decisions import ENTRY
from inspection.review.log import append, find_batch, read_log
from inspection.review.register import read_report, register
from inspection.review.state import State, states
from inspection.store.fields import patch_schema, strip_schema
from inspection.store.folder import FORMAT
from inspection.store.tables import content_key, patch_key, write_table
from severstal_prep.files import file_sha256

Verdicts = dict[str, Sequence[str]]
"""The class indicated per patch of 256 px, from left to right; "normal" is not flagged,
"black" shows no steel."""


def make_report(root: Path, strips: Verdicts, name: str = "batch", seed: int = 0) -> Path:
    """Strips of noise in root/name, and their report in root/name report."""
    noise = np.random.default_rng(seed)
    rows, patches, inputs = [], [], []
    for strip, verdicts in strips.items():
        path = root / name / strip
        shape = (8, 8 * len(verdicts))
        coarse = noise.integers(0, 255, shape).astype(np.uint8)
        grey = coarse.repeat(32, axis=0).repeat(32, axis=1)
        write_strip(path, np.stack([grey] * 3, axis=2))
        sha256 = file_sha256(path)
        inputs.append({"strip_id": strip, "sha256": sha256, "bytes": path.stat().st_size})
        rows.append(
            {
                "strip_id": strip, "coil": "", "strip_sha256": sha256, "bytes": 1, "width": 1,
                "status": "inspected", "reason": "", "disposition": "hold", "rule": "",
            }
        )  # fmt: skip
        for index, verdict in enumerate(verdicts):
            flagged = verdict in CLASSES[1:]
            patches.append(
                {
                    "strip_id": strip, "coil": "", "strip_sha256": sha256, "left": 256 * index,
                    "top": 0, "size": 256, "patch_key": patch_key(sha256, 256 * index, 0, 256),
                    "steel": verdict != "black", "flagged": flagged, "predicted": "normal",
                    "indicated": verdict if flagged else "", "score": 0.75, "explained": flagged,
                }
            )  # fmt: skip
    out = root / f"{name} report"
    out.mkdir(parents=True)
    write_table(out / "strips.parquet", pd.DataFrame(rows), strip_schema(CLASSES))
    write_table(out / "results.parquet", pd.DataFrame(patches), patch_schema(CLASSES))
    card = {
        "format": FORMAT,
        "fingerprint": content_key(name=name, inputs=inputs),
        "batch": name,
        "batch_folder": str(root / name),
        "ended": "2026-11-01T06:00:00+00:00",
        "bundle": {"sha256": "ab" * 32, "architecture": "toy", "classes": list(CLASSES)},
        "inputs": inputs,
    }
    (out / "batch.json").write_text(json.dumps(card), "utf-8")
    return out


def fingerprint(report: Path) -> str:
    return str(json.loads((report / "batch.json").read_text("utf-8"))["fingerprint"])


def uuid(number: int) -> str:
    return str(UUID(int=number))


def entry(number: int, kind: str, strip: str, left: int | None = None, **fields: Any) -> Any:
    """A decision as a file has it; `seen` are the numbers of those it was made in view of."""
    seen = fields.pop("seen", ())
    made = {"id": uuid(number), "kind": kind, "strip": strip, "reviewer": "Ада",
            "time": "2026-11-02T06:00:00Z", "reason": "seen it",
            "in_view_of": [uuid(other) for other in seen]}  # fmt: skip
    if left is not None:
        made["left"] = left
    return made | fields


def decide(database: Database, report: Path, *entries: Any) -> int:
    """Append decisions as the server would; return how many were new."""
    with database.writing() as connection:
        batch = find_batch(connection, fingerprint(report))
        return append(connection, batch, [ENTRY.validate_python(e) for e in entries], "server")


def states_of(database: Database, report: Path) -> list[State]:
    """The states of all subjects, in the order in which the log first speaks of them."""
    with database.reading() as connection:
        log = read_log(connection, find_batch(connection, fingerprint(report)).id)
    return list(states(log).values())


def registered_report(database: Database, root: Path, strips: Verdicts, name: str = "b") -> Path:
    report = make_report(root, strips, name)
    assert register(database, read_report(report))
    return report


def write_file(path: Path, report: Path, *entries: Any) -> Path:
    """A decision file."""
    batch = {"name": "b", "fingerprint": fingerprint(report)}
    content = {"format": "steel-sise decisions 1", "batch": batch, "decisions": entries}
    path.write_text(json.dumps(content), "utf-8")
    return path
