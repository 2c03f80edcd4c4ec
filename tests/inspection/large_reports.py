"""A report of any size, made of the strips of a small one: for lists that must not end."""

import json
import os
from collections import Counter
from hashlib import sha256
from itertools import count, cycle
from pathlib import Path
from typing import Any

import pandas as pd

from inspection.quality.figures import Request, figures
from inspection.report.build import build
from inspection.report.render import write_report
from inspection.store.fields import patch_schema, similar_schema, strip_schema
from inspection.store.frames import records
from inspection.store.reading import OpenedReport, open_report
from inspection.store.tables import write_json, write_table

STRIPS_PER_COIL = 40
_PICTURES = ("raw_path", "overlay_path", "map_path", "runner_up_map_path")


def enlarge(report: Path, out: Path, cards: int) -> Path:
    """Write a report with `cards` flagged patches into `out`; return its page.

    The flagged strips of `report` are repeated under new names, in coils of 40, each patch with
    pictures of its own (hard links), until there are enough.
    """
    small = open_report(report)
    (out / "img").mkdir(parents=True)
    strips, patches = _repeat(small, cards)
    _link_pictures(strips, patches, report, out)
    card = _card(small.record, strips, patches)
    strips = write_table(out / "strips.parquet", strips, strip_schema(small.classes))
    patches = write_table(out / "results.parquet", patches, patch_schema(small.classes))
    write_json(out / "batch.json", card)
    large = OpenedReport(out, card, patches, strips)
    alike = pd.DataFrame(columns=similar_schema().names)
    write_report(build(card, strips, patches, figures(large, Request()), alike), out)
    return out / "index.html"


def _repeat(small: OpenedReport, cards: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    by_strip = {strip: records(own) for strip, own in small.patches.groupby("strip_id")}
    flagged = small.strips[small.strips["flagged"] > 0]
    strips: list[dict[str, Any]] = []
    patches: list[dict[str, Any]] = []
    have = 0
    for number, strip in zip(count(), cycle(records(flagged))):
        if have >= cards:
            break
        coil = f"coil-{1 + number // STRIPS_PER_COIL:03d}"
        name = f"{coil}/{number:05d}.jpg"
        own = [dict(patch) for patch in by_strip[strip["strip_id"]]]
        for patch in own:
            if patch["flagged"] and have >= cards:
                patch |= {"flagged": False, "explained": False, "indicated": ""}
            have += patch["flagged"]
            key = sha256(f"{name} {patch['left']}".encode()).hexdigest()
            patches.append(patch | {"strip_id": name, "coil": coil, "patch_key": key})
        found = sum(patch["flagged"] for patch in own)
        strips.append(strip | {"strip_id": name, "coil": coil, "flagged": found})
    return pd.DataFrame(strips), pd.DataFrame(patches)


def _link_pictures(strips: pd.DataFrame, patches: pd.DataFrame, report: Path, out: Path) -> None:
    for name in ("thumb_path", "raw_path", "overlay_path"):
        for path in {path for path in strips[name] if path}:
            os.link(report / path, out / path)
    for name in _PICTURES:
        own = []
        for path, key, explained in zip(
            patches[name], patches["patch_key"], patches["explained"], strict=True
        ):
            if not explained or not path:
                own.append("")
                continue
            own.append(f"img/{key[:16]}_{path.rpartition('_')[2]}")
            os.link(report / path, out / own[-1])
        patches[name] = own


def _card(card: Any, strips: pd.DataFrame, patches: pd.DataFrame) -> dict[str, Any]:
    flagged = int(patches["flagged"].sum())
    dispositions = dict(Counter(strips["disposition"]))
    counts = card["counts"] | {
        "entries": len(strips),
        "strips": len(strips),
        "inspected": len(strips),
        "unreadable": 0,
        "skipped": 0,
        "patches": len(patches),
        "flagged": flagged,
        "explained": flagged,
        "dispositions": dispositions,
    }
    ids = [{"strip_id": name, "sha256": "ab" * 32, "bytes": 1} for name in strips["strip_id"]]
    content = {"batch": "large", "counts": counts, "inputs": ids, "skipped": []}
    large: dict[str, Any] = json.loads(json.dumps(card)) | content
    large["fingerprint"] = sha256(json.dumps(content).encode()).hexdigest()
    return large
