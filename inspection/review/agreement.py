"""How far people and the model agree, in numbers with intervals. Pure functions."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from scipy.stats import binomtest

from inspection.policy import NORMAL
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
    counts = Counter(pairs)
    total = counts.total()
    if total == 0:
        return None
    first, second = Counter[str](), Counter[str]()
    for (one, other), number in counts.items():
        first[one] += number
        second[other] += number
    observed = sum(number for (one, other), number in counts.items() if one == other) / total
    chance = sum(first[label] * second[label] for label in first) / total**2
    return None if chance == 1 else (observed - chance) / (1 - chance)


def compare(patches: Sequence[Reviewed], classes: Sequence[str]) -> Comparison:
    """Compare people and model on reviewed patches; `classes` are the defect classes to list."""
    decided = [patch for patch in patches if patch.human is not None]
    months = sorted({_month(patch) for patch in decided})
    return Comparison(
        overall=_agreement(decided, decided, lambda name: name),
        by_class={name: _of_class(decided, name) for name in classes},
        by_month={
            month: _agreement(own, own, lambda name: name)
            for month in months
            for own in [[patch for patch in decided if _month(patch) == month]]
        },
        disputed=sum(patch.status == "disputed" for patch in patches),
        reopened=sum(patch.status == "open" for patch in patches),
    )


def _month(patch: Reviewed) -> str:
    return "" if patch.decided is None else f"{patch.decided:%Y-%m}"


def _of_class(decided: Sequence[Reviewed], name: str) -> Agreement:
    own = [patch for patch in decided if not patch.flagged or patch.verdict == name]
    return _agreement(own, decided, lambda label: label if label == name else "other", name)


def _agreement(
    patches: Sequence[Reviewed],
    judged: Sequence[Reviewed],
    label: Callable[[str], str],
    escape: str | None = None,
) -> Agreement:
    """Counts over `patches`, kappa over `judged` with relabelled classes; escapes are those
    that people gave the class `escape`, any defect class if None."""
    flagged = [patch for patch in patches if patch.flagged]
    accepted = [patch for patch in patches if not patch.flagged]
    rejected = sum(patch.human == NORMAL for patch in flagged)
    confirmed = sum(patch.human == patch.verdict for patch in flagged)
    escaped = [p for p in accepted if p.human != NORMAL and escape in (None, p.human)]
    return Agreement(
        decided=len(patches),
        confirmed=confirmed,
        rejected=rejected,
        reclassed=len(flagged) - rejected - confirmed,
        overkill=Rate(rejected, len(flagged)),
        escapes=Rate(len(escaped), len(accepted)),
        kappa=cohens_kappa((label(p.verdict), label(str(p.human))) for p in judged),
    )
