"""How far a classifier's answers on a split can be acted on: calibration, costs, confidence."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field

from severstal_prep.checked import checked
from severstal_prep.recast import NORMAL_NAME
from sise.bundle import ModelCard
from training import risk_coverage
from training.answers import Answers
from training.classwise import Calibration, calibration
from training.costs import Costs
from training.decision import DEFAULT_THRESHOLD, Decision, decide, price
from training.errors import TrainingError
from training.risk_coverage import DEFAULT_RISK, Alone, RiskCoverage

FEW = 30
"""Crops of a class below which little can be said: 30 of 30 right leave one in ten open."""

WIDE = 0.1
"""An ECE whose interval is wider says little."""


@dataclass(frozen=True)
class DecisionOptions:
    """What a bundle is to decide by: thresholds that are given, by class; the costs that choose
    the others, None for 0.5; and the error allowed to the machine where it decides alone."""

    thresholds: Mapping[str, float] = field(default_factory=dict)
    costs: Costs | None = None
    risk: float = DEFAULT_RISK


@dataclass(frozen=True)
class Judgement:
    """What a split says.

    `decision` is None without costs, or without crops to pay them for. `alone` is None where there
    is no such confidence, `risk` where none was asked for. `notes` say what the split is too small
    for.
    """

    calibration: Calibration
    curve: RiskCoverage
    risk: float | None
    alone: Alone | None
    decision: Decision | None
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """As JSON values, for the card and the results of a test."""
        found = None if self.alone is None else self.alone.as_dict()
        return {
            "calibration": self.calibration.as_dict(),
            "risk_coverage": self.curve.as_dict() | {"target_risk": self.risk, "alone": found},
            "decision": None if self.decision is None else self.decision.as_dict(),
            "notes": list(self.notes),
        }


def judge_validation(answers: Answers, options: DecisionOptions) -> Judgement:
    """Choose thresholds and the confidence to decide alone on the crops of a split."""
    measured = calibration(answers)
    curve = risk_coverage.curve(answers.confidence, answers.wrong)
    found = risk_coverage.choose(answers.confidence, answers.wrong, options.risk)
    decision = None
    if options.costs is not None:
        decision = decide(answers, options.costs, options.thresholds)
    notes = (*_too_few(answers, measured), *_not_chosen(answers, options, found, decision))
    return Judgement(measured, curve, options.risk, found, decision, notes)


def judge_test(answers: Answers, card: ModelCard) -> Judgement:
    """Judge what a bundle's card chose, on crops that it was not chosen on.

    Raises TrainingError, naming the entry, for a card whose choices cannot be read.
    """
    chosen = _chosen(card)
    measured = calibration(answers)
    found = None
    target = chosen.risk_coverage
    if target is not None and target.alone is not None:
        least = target.alone.min_confidence
        found = risk_coverage.alone(answers.confidence, answers.wrong, least)
    decision = None
    if chosen.decision is not None:
        default = dict.fromkeys(answers.classes, DEFAULT_THRESHOLD)
        decision = price(
            answers,
            chosen.decision.costs,
            default | dict(card.thresholds),
            chosen.decision.any_defect_threshold,
        )
    return Judgement(
        calibration=measured,
        curve=risk_coverage.curve(answers.confidence, answers.wrong),
        risk=None if target is None else target.target_risk,
        alone=found,
        decision=decision,
        notes=tuple(_too_few(answers, measured)),
    )


@dataclass(frozen=True)
class _ChosenConfidence:
    min_confidence: float


@dataclass(frozen=True)
class _ChosenAlone:
    target_risk: float
    alone: _ChosenConfidence | None = None


@dataclass(frozen=True)
class _ChosenCosts:
    costs: Costs
    any_defect_threshold: Annotated[float, Field(ge=0, le=1)] = DEFAULT_THRESHOLD


@dataclass(frozen=True)
class _Chosen:
    risk_coverage: _ChosenAlone | None = None
    decision: _ChosenCosts | None = None


def _chosen(card: ModelCard) -> _Chosen:
    try:
        chosen = checked(_Chosen, dict(card.metrics))
        if chosen.decision is not None:
            for name in card.classes:
                costs = chosen.decision.costs
                if name != NORMAL_NAME and not (name in costs.escape and name in costs.overkill):
                    raise ValueError(f"decision, costs: {name} is missing")
    except ValueError as error:
        raise TrainingError(f"the bundle's card: metrics, {error}") from error
    return chosen


def _too_few(answers: Answers, measured: Calibration) -> Iterator[str]:
    few = [f"{name} ({crops})" for name, crops in answers.counts.items() if crops < FEW]
    if few:
        yield (
            f"fewer than {FEW} crops say little of how well a class is recognised and calibrated, "
            f"and of its threshold: {', '.join(few)}"
        )
    for name, error in (("confidence", measured.confidence), *measured.classes.items()):
        if error.interval is None or error.interval[1] - error.interval[0] > WIDE:
            yield f"{name}: there are too few crops to say how well it is calibrated"


def _not_chosen(
    answers: Answers, options: DecisionOptions, found: Alone | None, decision: Decision | None
) -> Iterator[str]:
    if options.costs is not None and decision is None:
        yield (
            f"no threshold was chosen by costs: the split needs crops of {NORMAL_NAME!r} and of "
            "defects"
        )
    if decision is not None:
        for name, crops in answers.counts.items():
            if name in decision.thresholds and not crops:
                yield f"{name}: its threshold was not chosen by costs, as it has no crop"
        if decision.saved is None or decision.saved.interval[0] <= 0:
            yield "the crops do not show that these thresholds cost less than 0.5"
    if found is None:
        needed = risk_coverage.crops_needed(options.risk)
        yield (
            f"there is no confidence above which an error below {options.risk:g} is sure: that "
            f"takes {needed} crops accepted and all of them right, or more with some wrong; the "
            f"split has {len(answers.labels)}"
        )
