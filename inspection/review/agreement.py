"""How far people and the model agree, in numbers with intervals. Pure functions."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scipy.stats import binomtest

from inspection.pipeline.policy import NORMAL
from inspection.review.reviewed import Reviewed
from sise.statistics import LEVEL, Rate


@dataclass(frozen=True)
class Agreement:
    """People against the model on decided patches.

    `confirmed`, `rejected`, `reclassed` count flagged patches; `overkill` is the share of
    rejected ones among them. `escapes` is the share of accepted (not flagged) patches looked
    at in which people found a defect: an estimate for all accepted patches only if those
    looked at were drawn at random (see `audit`). `kappa` is Cohen's, of people's class and
    the model's; None where it is not defined (no patch, or one class only).
    """

    decided: int
    confirmed: int
    rejected: int
    reclassed: int
    overkill: Rate
    escapes: Rate
    kappa: float | None


@dataclass(frozen=True)
class Comparison:
    """Agreement over all batches given, per class and per month (UTC, "2026-11").

    Of a class: flagged patches that the model calls so, escapes that people call so, and
    kappa of this class against all others. `disputed` and `reopened` (all decisions
    withdrawn) patches are in no other number.
    """

    overall: Agreement
    by_class: dict[str, Agreement]
    by_month: dict[str, Agreement]
    disputed: int
    reopened: int


def upper_bound(count: int, total: int) -> float:
    """One-sided upper 95 % bound on a rate, `count` seen in `total` (at least 1).

    Clopper–Pearson (Biometrika 26, 1934); with none seen it is 1 − 0.05^(1/total).
    """
    test = binomtest(count, total, alternative="less")
    return float(test.proportion_ci(LEVEL, method="exact").high)


def cohens_kappa(pairs: Iterable[tuple[str, str]]) -> float | None:
    """Cohen's kappa (J. Cohen, Educ. Psychol. Meas. 20, 1960) of two judges' labels.

    None if there is no pair, or chance alone would make them agree always.
    """
    judged = list(pairs)
    if not judged:
        return None
    first, second = (Counter(labels) for labels in zip(*judged, strict=True))
    observed = sum(one == other for one, other in judged) / len(judged)
    chance = sum(first[label] * second[label] for label in first) / len(judged) ** 2
    return None if chance == 1 else (observed - chance) / (1 - chance)


def compare(patches: Sequence[Reviewed], classes: Sequence[str]) -> Comparison:
    """Compare people and model on reviewed patches; `classes` are the defect classes to list."""
    decided = [patch for patch in patches if patch.human is not None]
    by_month = dict[str, list[Reviewed]]()
    for patch in decided:
        by_month.setdefault(f"{patch.decided:%Y-%m}" if patch.decided else "", []).append(patch)
    return Comparison(
        overall=_agreement(decided),
        by_class={name: _agreement(decided, name) for name in classes},
        by_month={month: _agreement(by_month[month]) for month in sorted(by_month)},
        disputed=sum(patch.status == "disputed" for patch in patches),
        reopened=sum(patch.status == "open" for patch in patches),
    )


def _agreement(decided: Sequence[Reviewed], name: str | None = None) -> Agreement:
    """Over all of these patches, or over what concerns the class `name`."""
    flagged = [patch for patch in decided if patch.flagged and name in (None, patch.verdict)]
    accepted = [patch for patch in decided if not patch.flagged]
    rejected = sum(patch.human == NORMAL for patch in flagged)
    confirmed = sum(patch.human == patch.verdict for patch in flagged)
    escaped = [p for p in accepted if p.human != NORMAL and name in (None, p.human)]
    pairs = [(patch.verdict, str(patch.human)) for patch in decided]
    if name is not None:
        pairs = [(str(one == name), str(other == name)) for one, other in pairs]
    return Agreement(
        decided=len(flagged) + len(accepted),
        confirmed=confirmed,
        rejected=rejected,
        reclassed=len(flagged) - rejected - confirmed,
        overkill=Rate(rejected, len(flagged)),
        escapes=Rate(len(escaped), len(accepted)),
        kappa=cohens_kappa(pairs),
    )
