"""A judgement for people, in lines of plain text."""

from collections.abc import Iterator

from training.decision import DEFAULT_THRESHOLD, PER, Decision, Wrong
from training.judgement import Judgement


def in_words(judgement: Judgement) -> Iterator[str]:
    """What was chosen, what it costs, what the split is too small for."""
    yield from alone_lines(judgement)
    if judgement.decision is not None:
        yield from decision_lines(judgement.decision)
    for note in judgement.notes:
        yield f"note: {note}"


def alone_lines(judgement: Judgement) -> Iterator[str]:
    """Risk and coverage."""
    yield f"{'AURC':<14}{judgement.curve.aurc:.4f}  mean error over all coverages"
    found = judgement.alone
    if found is not None:
        share = found.wrong.share
        risk = "none" if share is None else f"{share:.2%} wrong, at most {found.bound:.2%}"
        yield (
            f"{'alone':<14}from a confidence of {found.min_confidence:.4f} on: "
            f"{found.coverage:.1%} of the crops, {risk}"
        )


def decision_lines(decision: Decision) -> Iterator[str]:
    """Thresholds, what goes wrong with them, and what that costs."""
    chosen = ", ".join(f"{name} {value:.3g}" for name, value in decision.thresholds.items())
    yield f"{'thresholds':<14}{chosen}, all defects together {decision.any_defect:.3g}"
    yield f"{'wrong':<14}{_wrong(decision.wrong)}"
    yield f"{f'at {DEFAULT_THRESHOLD}':<14}{_wrong(decision.wrong_default)}"
    yield (
        f"{'cost':<14}{decision.cost:.4g} per {PER} patches, {decision.prevalence:.2%} of them "
        f"with a defect; {decision.default:.4g} at {DEFAULT_THRESHOLD}"
    )
    if decision.saved is not None:
        low, high = decision.saved.interval
        yield (
            f"{'saved':<14}{decision.saved.mean:.4g} on crops that they were not chosen on "
            f"(95 %: {low:.4g} to {high:.4g})"
        )


def _wrong(wrong: Wrong) -> str:
    escapes = ", ".join(f"{name} {r.hits} of {r.trials}" for name, r in wrong.escapes.items())
    return f"escapes: {escapes}; overkill: {wrong.overkill.hits} of {wrong.overkill.trials}"
