"""From the tables, the figures and the record of a run to the report."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from inspection.charts.confidence import DRIFT_WORDS
from inspection.pipeline.policy import (
    DISPOSITIONS,
    NORMAL,
    UNSURE,
    WeakRule,
    any_defect,
    probability_column,
)
from inspection.quality.figures import Figures
from inspection.quality.gradcam_agreement import SECOND_METHOD
from inspection.report.coils import coil_sides, told_marks
from inspection.report.drawings import draw
from inspection.report.identity import identity
from inspection.report.model import GLYPHS, BatchReport, ClassCount, ClassMark, Proposal
from inspection.report.rules import rules_of, said_rule, said_rules
from inspection.store.frames import in_card_order, rows
from inspection.words import say, word
from sise.status import CONSTANT_MAP, NO_POSITIVE_GRADIENT, NOT_FINITE, OK

SEVERITY = tuple(reversed(DISPOSITIONS))
_NO_MAP = {
    OK: "",
    NO_POSITIVE_GRADIENT: word(
        "No map: no feature map of the model raises this class here, so there is nothing to show."
    ),
    CONSTANT_MAP: word("No map: every pixel counts alike, so no place stands out."),
    NOT_FINITE: word(
        "No map: the calculation left the range of numbers; treat the probability with care."
    ),
}


def build(
    record: Mapping[str, Any],
    strips: pd.DataFrame,
    patches: pd.DataFrame,
    figures: Figures,
    similar: pd.DataFrame,
) -> BatchReport:
    """The report of a run from its record (batch.json), its rows of strips, patches and similar
    patches, and its figures."""
    marks = class_marks(
        record["bundle"]["classes"],
        record["config"]["thresholds"],
        record["policy"].get("classes", {}),
    )
    said = said_rules(record["policy"])
    spoken = strips.assign(rule=[said_rule(rule, said) for rule in strips["rule"]])
    shown, cards = tuple(rows(spoken)), cards_of(patches, strips)
    pareto = _pareto(cards, [mark for mark in marks if mark.name != NORMAL])
    policy, config = record["policy"], record["config"]
    told = told_marks(record.get("roll_marks", ()), {mark.name: mark.shown for mark in marks})
    return BatchReport(
        batch=record["batch"],
        fingerprint=record["fingerprint"],
        started=record["started"],
        ended=record["ended"],
        policy=f"{policy['name']}, version {policy['version']}",
        rules=rules_of(policy),
        otherwise=policy["otherwise"],
        not_inspected=policy["not_inspected"],
        weak_rule=WeakRule(**policy["weak"]),
        counts=record["counts"],
        coils=len({strip.coil for strip in shown if strip.coil}),
        proposals=_proposals(shown),
        skipped=tuple((entry["name"], entry["reason"]) for entry in record["skipped"]),
        marks=marks,
        pareto=pareto,
        drawings=draw(figures, pareto, shown, config["by"]),
        left_out=figures.left_out,
        alarms=(*_alarms(figures), *(mark.words for mark in told)),
        coil_sides=coil_sides(
            record.get("coils", ()), strips, patches, record["bundle"]["classes"]
        ),
        roll_marks=told,
        found_marks=tuple(record.get("roll_marks", ())),
        strips=shown,
        cards=tuple(rows(cards)),
        near=tuple(rows(near_of(patches, strips, record["bundle"]["classes"]))),
        patches=patches,
        similar=similar,
        any_defect=policy["any_defect_threshold"],
        list_unsure=policy["list_unsure"],
        unsure=policy["unsure"] and policy["unsure"]["min_confidence"],
        widest=int(strips["width"].fillna(0).max()) if len(strips) else 0,
        mm_per_px=config["mm_per_px"],
        black=config["black_threshold"],
        kept_share=config["sise"]["kept_share"],
        fill=config["sise"]["fill_in_words"],
        second_method=SECOND_METHOD,
        truth=figures.truth,
        escapes=tuple(rows(patches[patches["outcome"] == "escape"])),
        identity=identity(record),
        inputs=tuple((entry["strip_id"], entry["sha256"]) for entry in record["inputs"]),
    )


def class_marks(
    classes: Sequence[str],
    thresholds: Mapping[str, float],
    catalogue: Mapping[str, Any] | None = None,
) -> tuple[ClassMark, ...]:
    """A mark per class: its number if the name ends in one, else its place among the classes;
    `catalogue` is that of batch.json's policy."""
    marks = []
    for index, name in enumerate(classes):
        last = name.split()[-1] if name.split() else ""
        symbol = last if last.isdigit() and len(last) <= 2 else str(index)
        normal = name == NORMAL
        told = (catalogue or {}).get(name, {})
        marks.append(
            ClassMark(
                name=name,
                symbol="–" if normal else symbol,
                style=0 if normal else 1 + (index - 1) % GLYPHS,
                index=index,
                threshold=thresholds.get(name),
                shown=told.get("name") or name,
                colour=told.get("colour", ""),
                pictures=tuple(told.get("pictures", ())),
            )
        )
    return tuple(marks)


def cards_of(patches: pd.DataFrame, strips: pd.DataFrame) -> pd.DataFrame:
    """The explained patches: indications by strip and place, then what else is explained.

    Adds `number` from 1, `strip`, its place among the strips from 0, and `no_map`, why there is
    none in words.
    """
    cards = in_card_order(patches)
    places = pd.Series(range(len(strips)), index=strips["strip_id"])
    return cards.assign(
        number=range(1, len(cards) + 1),
        strip=cards["strip_id"].map(places),
        no_map=[
            say(_NO_MAP[status]) if status in _NO_MAP else say("No map: {status}.", status=status)
            for status in cards["map_status"]
        ],
    )


def near_of(patches: pd.DataFrame, strips: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """The patches that are listed, though not flagged, the most suspect first.

    Adds `strip`, its place among the strips from 0, `defect`, 1 − P(normal), `predicted_score`,
    `likely` and `likely_score`, the most probable defect class, and `holds`, whether the policy's
    rule *unsure* proposed the strip's disposition for this patch.
    """
    near = patches[patches["near"]]
    names = [name for name in classes if name != NORMAL]
    shares = near[[probability_column(name) for name in names]].to_numpy(float)
    places = pd.Series(range(len(strips)), index=strips["strip_id"])
    rules = strips.set_index("strip_id")["rule"]
    listed = near.assign(
        strip=near["strip_id"].map(places),
        defect=any_defect(near),
        predicted_score=near["score"],
        likely=[names[place] for place in shares.argmax(axis=1)],
        likely_score=shares.max(axis=1, initial=0),
        holds=near["unsure"] & near["strip_id"].map(rules).str.startswith(f"{UNSURE}: "),
    )
    return listed.sort_values("defect", ascending=False, kind="stable")


def _pareto(cards: pd.DataFrame, marks: Sequence[ClassMark]) -> tuple[ClassCount, ...]:
    indications = cards[cards["flagged"]]
    patches = Counter(indications["target"])
    strips = Counter(indications.drop_duplicates(["target", "strip"])["target"])
    counts, running = [], 0
    for mark in sorted(marks, key=lambda mark: -patches[mark.name]):
        own, total = patches[mark.name], len(indications) or 1
        running += own
        counts.append(ClassCount(mark, own, strips[mark.name], own / total, running / total))
    return tuple(counts)


def _alarms(figures: Figures) -> tuple[str, ...]:
    moved = figures.drift
    if moved is None or moved.level not in ("moderate", "large"):
        return ()
    return (say(DRIFT_WORDS[moved.level]),)


def _proposals(strips: Sequence[Any]) -> tuple[Proposal, ...]:
    proposals = []
    for name in SEVERITY:
        rules = Counter(strip.rule for strip in strips if strip.disposition == name)
        proposals.append(Proposal(name, rules.total(), tuple(rules.most_common())))
    return tuple(proposals)
