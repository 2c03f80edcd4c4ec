"""From the tables, the figures and the record of a run to the report."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from inspection.pipeline.policy import DISPOSITIONS, NORMAL, WeakRule, probability_column
from inspection.quality.figures import Figures
from inspection.quality.gradcam_agreement import SECOND_METHOD
from inspection.report.drawings import draw
from inspection.report.identity import identity
from inspection.report.indication_cards import make_card
from inspection.report.model import (
    GLYPHS,
    BatchReport,
    ClassCount,
    ClassMark,
    Escape,
    IndicationCard,
    Proposal,
    Strip,
)
from inspection.store.frames import records, rows
from severstal_prep.training_crops import STRIP_HEIGHT

SEVERITY = tuple(reversed(DISPOSITIONS))


def build(
    record: Mapping[str, Any], strips: pd.DataFrame, patches: pd.DataFrame, figures: Figures
) -> BatchReport:
    """The report of a run from its record (batch.json), its rows of strips and patches, and its
    figures."""
    marks = class_marks(record["bundle"]["classes"], record["config"]["thresholds"])
    shown = tuple(_strip(strip) for strip in rows(strips))
    cards = _cards(patches, shown, marks)
    pareto = _pareto(cards, [mark for mark in marks if mark.name != NORMAL])
    policy, config = record["policy"], record["config"]
    return BatchReport(
        batch=record["batch"],
        fingerprint=record["fingerprint"],
        started=record["started"],
        ended=record["ended"],
        policy=f"{policy['name']}, version {policy['version']}",
        rules=rules_of(policy),
        otherwise=policy["otherwise"],
        not_inspected=policy["not_inspected"],
        weak_rule=str(WeakRule(**policy["weak"])),
        counts=record["counts"],
        coils=len({strip.coil for strip in shown if strip.coil}),
        proposals=_proposals(shown),
        skipped=tuple((entry["name"], entry["reason"]) for entry in record["skipped"]),
        marks=marks,
        pareto=pareto,
        drawings=draw(figures, pareto, shown, config["by"]),
        left_out=figures.left_out,
        strips=shown,
        cards=cards,
        widest=max((strip.width for strip in shown), default=0),
        mm_per_px=config["mm_per_px"],
        kept_share=config["sise"]["kept_share"],
        fill=config["sise"]["fill_in_words"],
        second_method=SECOND_METHOD,
        truth=figures.truth,
        escapes=_escapes(patches),
        identity=identity(record),
        inputs=tuple((entry["strip_id"], entry["sha256"]) for entry in record["inputs"]),
    )


def rules_of(policy: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Dispositions with their rules; a record of an earlier version knows no rule *unsure*."""
    rules = [(rule["disposition"], rule["in_words"]) for rule in policy["rules"]]
    unsure = policy.get("unsure")
    if unsure is not None:
        rules.append(("hold", f"{unsure['in_words']}, where accept would be proposed"))
    return tuple(rules)


def class_marks(classes: Sequence[str], thresholds: Mapping[str, float]) -> tuple[ClassMark, ...]:
    """A mark per class: its number if the name ends in one, else its place among the classes."""
    marks = []
    for index, name in enumerate(classes):
        last = name.split()[-1] if name.split() else ""
        symbol = last if last.isdigit() and len(last) <= 2 else str(index)
        normal = name == NORMAL
        marks.append(
            ClassMark(
                name=name,
                symbol="–" if normal else symbol,
                style=0 if normal else 1 + (index - 1) % GLYPHS,
                index=index,
                threshold=thresholds.get(name),
            )
        )
    return tuple(marks)


def _strip(strip: Any) -> Strip:
    inspected = strip.status == "inspected"
    return Strip(
        strip_id=strip.strip_id,
        coil=strip.coil,
        sha256=strip.strip_sha256,
        status=strip.status,
        reason=strip.reason,
        width=int(strip.width) if inspected else 0,
        patches=strip.patches,
        flagged=strip.flagged,
        disposition=strip.disposition,
        rule=strip.rule,
        thumb=strip.thumb_path,
        raw=strip.raw_path,
        overlay=strip.overlay_path,
        height=int(getattr(strip, "height", STRIP_HEIGHT)) if inspected else 0,
    )


def _cards(
    patches: pd.DataFrame, strips: Sequence[Strip], marks: Sequence[ClassMark]
) -> tuple[IndicationCard, ...]:
    """The cards, numbered from 1: indications by strip and place, then what else is explained."""
    place = {strip.strip_id: index for index, strip in enumerate(strips)}
    explained = records(patches[patches["explained"]])
    explained.sort(key=lambda patch: not patch["flagged"])
    return tuple(
        make_card(patch, number, place[patch["strip_id"]], marks)
        for number, patch in enumerate(explained, 1)
    )


def _pareto(cards: Sequence[IndicationCard], marks: Sequence[ClassMark]) -> tuple[ClassCount, ...]:
    indications = [card for card in cards if card.flagged]
    patches = Counter(card.mark for card in indications)
    strips = Counter(mark for mark, _ in {(card.mark, card.strip) for card in indications})
    counts, running = [], 0
    for mark in sorted(marks, key=lambda mark: -patches[mark]):
        running += patches[mark]
        total = len(indications) or 1
        counts.append(
            ClassCount(mark, patches[mark], strips[mark], patches[mark] / total, running / total)
        )
    return tuple(counts)


def _proposals(strips: Sequence[Strip]) -> tuple[Proposal, ...]:
    proposals = []
    for name in SEVERITY:
        rules = Counter(strip.rule for strip in strips if strip.disposition == name)
        proposals.append(Proposal(name, rules.total(), tuple(rules.most_common())))
    return tuple(proposals)


def _escapes(patches: pd.DataFrame) -> tuple[Escape, ...]:
    return tuple(
        Escape(
            strip_id=patch.strip_id,
            left=patch.left,
            right=patch.left + patch.size,
            true_class=patch.true_class,
            steel=patch.steel,
            normal=getattr(patch, probability_column(NORMAL)),
        )
        for patch in rows(patches[patches["outcome"] == "escape"])
    )
