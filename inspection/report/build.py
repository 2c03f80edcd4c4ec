"""From the tables and the card of a run to the report."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from inspection.frames import records, rows
from inspection.policy import DISPOSITIONS, NORMAL, probability_column
from inspection.report.model import (
    GLYPHS,
    BatchReport,
    Card,
    ClassCount,
    ClassMark,
    Fact,
    Faithfulness,
    Probability,
    Region,
    Strip,
)
from sise.explanation import CONSTANT_MAP, NO_POSITIVE_GRADIENT, NOT_FINITE, OK

SEVERITY = tuple(reversed(DISPOSITIONS))

_NO_MAP = {
    NO_POSITIVE_GRADIENT: (
        "No map: no feature map of the model raises this class here, so there is nothing to show."
    ),
    CONSTANT_MAP: "No map: every pixel counts alike, so no place stands out.",
    NOT_FINITE: "No map: the calculation left the range of numbers; treat the score with care.",
}


def build(
    card: Mapping[str, Any], strips: pd.DataFrame, patches: pd.DataFrame, scale: str
) -> BatchReport:
    """The report of a run from its card (batch.json) and its rows of strips and patches."""
    classes: Sequence[str] = card["bundle"]["classes"]
    marks = class_marks(classes)
    shown = _strips(strips, patches, marks, card["config"]["thresholds"])
    policy = card["policy"]
    return BatchReport(
        batch=card["batch"],
        started=card["started"],
        ended=card["ended"],
        policy=f"{policy['name']}, version {policy['version']}",
        rules=tuple((rule["disposition"], rule["in_words"]) for rule in policy["rules"]),
        otherwise=policy["otherwise"],
        not_inspected=policy["not_inspected"],
        counts=card["counts"],
        dispositions=tuple(
            (name, card["counts"]["dispositions"].get(name, 0)) for name in SEVERITY
        ),
        skipped=tuple((entry["name"], entry["reason"]) for entry in card["skipped"]),
        marks=marks[1:],
        pareto=_pareto(shown, marks[1:]),
        strips=shown,
        widest=max((strip.width for strip in shown), default=0),
        scale=scale,
        kept_share=card["config"]["sise"]["kept_share"],
        fill=card["config"]["sise"]["fill_in_words"],
        identity=_identity(card),
        inputs=tuple((entry["strip_id"], entry["sha256"]) for entry in card["inputs"]),
    )


def class_marks(classes: Sequence[str]) -> tuple[ClassMark, ...]:
    """A mark per class: its number if the name ends in one, else its place among the classes."""
    marks = []
    for index, name in enumerate(classes):
        if name == NORMAL:
            marks.append(ClassMark(name, "–", 0))
            continue
        last = name.split()[-1] if name.split() else ""
        symbol = last if last.isdigit() and len(last) <= 2 else str(index)
        marks.append(ClassMark(name, symbol, 1 + (index - 1) % GLYPHS))
    return tuple(marks)


def _strips(
    strips: pd.DataFrame,
    patches: pd.DataFrame,
    marks: Sequence[ClassMark],
    thresholds: Mapping[str, float],
) -> tuple[Strip, ...]:
    explained: dict[str, list[dict[str, Any]]] = {}
    for patch in records(patches[patches["explained"]]):
        explained.setdefault(patch["strip_id"], []).append(patch)
    shown = []
    number = 0
    for index, strip in enumerate(rows(strips), 1):
        cards = []
        for patch in explained.get(strip.strip_id, []):
            number += 1
            cards.append(_card(patch, strip, f"strip-{index}", number, marks, thresholds))
        inspected = strip.status == "inspected"
        shown.append(
            Strip(
                anchor=f"strip-{index}",
                strip_id=strip.strip_id,
                coil=strip.coil,
                sha256=strip.strip_sha256,
                inspected=inspected,
                reason=strip.reason,
                width=int(strip.width) if inspected else 0,
                patches=strip.patches,
                disposition=strip.disposition,
                rule=strip.rule,
                thumb=strip.thumb_path,
                raw=strip.raw_path,
                overlay=strip.overlay_path,
                indications=tuple(card for card in cards if card.flagged),
                others=tuple(card for card in cards if not card.flagged),
            )
        )
    return tuple(shown)


def _card(
    patch: Mapping[str, Any],
    strip: Any,
    strip_anchor: str,
    number: int,
    marks: Sequence[ClassMark],
    thresholds: Mapping[str, float],
) -> Card:
    has_map = patch["map_status"] == OK
    return Card(
        anchor=f"patch-{number}",
        number=number,
        strip_id=patch["strip_id"],
        coil=patch["coil"],
        strip_anchor=strip_anchor,
        strip_width=patch["width"],
        thumb=strip.thumb_path,
        left=patch["left"],
        size=patch["size"],
        mark=next(mark for mark in marks if mark.name == patch["target"]),
        score=patch["score"],
        flagged=patch["flagged"],
        probabilities=tuple(
            Probability(mark, patch[probability_column(mark.name)], thresholds.get(mark.name))
            for mark in marks
        ),
        raw=patch["raw_path"],
        overlay=patch["overlay_path"],
        heat=patch["map_path"],
        no_map=""
        if has_map
        else _NO_MAP.get(patch["map_status"], f"No map: {patch['map_status']}."),
        faithfulness=_faithfulness(patch) if has_map else None,
        region=_region(patch) if has_map else None,
        patch_key=patch["patch_key"],
    )


def _faithfulness(patch: Mapping[str, Any]) -> Faithfulness:
    return Faithfulness(
        patch["whole_score"], patch["kept_score"], patch["removed_score"], patch["drop"]
    )


def _region(patch: Mapping[str, Any]) -> Region:
    area = int(patch["region_area"])
    box = (int(patch[f"region_{side}"]) for side in ("left", "top", "width", "height"))
    return Region(area, area / patch["size"] ** 2, *box)


def _pareto(strips: Sequence[Strip], marks: Sequence[ClassMark]) -> tuple[ClassCount, ...]:
    patches = dict.fromkeys(marks, 0)
    affected = dict.fromkeys(marks, 0)
    for strip in strips:
        for card in strip.indications:
            patches[card.mark] += 1
        for mark in {card.mark for card in strip.indications}:
            affected[mark] += 1
    total = sum(patches.values())
    counts, running = [], 0
    for mark in sorted(marks, key=lambda mark: -patches[mark]):
        running += patches[mark]
        share, cumulative = (patches[mark] / total, running / total) if total else (0.0, 0.0)
        counts.append(ClassCount(mark, patches[mark], affected[mark], share, cumulative))
    return tuple(counts)


def _identity(card: Mapping[str, Any]) -> tuple[Fact, ...]:
    bundle, config, policy, sise = (
        card["bundle"],
        card["config"],
        card["policy"],
        card["config"]["sise"],
    )
    thresholds = ", ".join(f"{name} {value:.3g}" for name, value in config["thresholds"].items())
    versions = ", ".join(f"{name} {number}" for name, number in card["versions"].items())
    return (
        Fact("Model", f"{bundle['architecture']}, temperature {bundle['temperature']:.4g}"),
        Fact("Bundle SHA-256", bundle["sha256"], code=True),
        Fact("Weights SHA-256", bundle["weights_sha256"], code=True),
        Fact("Thresholds", thresholds),
        Fact("Policy SHA-256", policy["sha256"], code=True),
        Fact("Configuration SHA-256", card["config_sha256"], code=True),
        Fact("Tiling", f"patches of 256 × 256 px every {config['stride']} px, full coverage"),
        Fact(
            "Not judged",
            f"patches with more than {config['black_threshold']:.0%} of their pixels black",
        ),
        Fact("Explained", "every patch" if config["explain"] == "all" else "flagged patches"),
        Fact(
            "SISE",
            f"μ = {sise['mu']:g}, {sise['fusion']} fusion, {sise['layers']}; {sise['masks']}; "
            f"{sise['budget_in_words']}; masked-out pixels: {sise['fill_in_words']}; "
            f"surroundings: {sise['context'] or 'none'}; "
            f"scored in {sise['scoring_precision']} by {sise['backend']}",
        ),
        Fact("Forward passes", f"{card['counts']['forwards']:,}".replace(",", "\u202f")),
        Fact("Device", f"{card['device']}, {config['precision']}"),
        Fact("Versions", versions),
        Fact("Batch folder", card["batch_folder"], code=True),
    )
