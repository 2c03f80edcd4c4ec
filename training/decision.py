"""Thresholds that cost least on the validation crops, and whether to believe what they save."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sise.statistics import LEVEL, Interval, Rate
from training.answers import Answers
from training.calibration import Floats
from training.costs import Costs
from training.resampling import resamples
from training.thresholds import NEVER, Priced, choose, cost_per_crop, flagged, sweep, sweep_together

DEFAULT_THRESHOLD = 0.5
PER = 1000
"""Patches that a cost is told for."""

CURVE = 1 / (1 + np.exp(-np.linspace(-7, 7, 57)))
"""Thresholds at which the card tells the cost: from 0.001 to 0.999, close at the ends."""

_DRAWS = 200
_STARTS_OF_A_DRAW = (NEVER,)


@dataclass(frozen=True)
class Saved:
    """What thresholds save against 0.5, per `PER` patches: mean, and its 95 % interval."""

    mean: float
    interval: Interval


@dataclass(frozen=True)
class Wrong:
    """Wrong decisions at some thresholds: escapes of each defect class, and overkill."""

    escapes: Mapping[str, Rate]
    overkill: Rate


@dataclass(frozen=True)
class Decision:
    """Thresholds by class, that of all defect classes together (`any_defect`), and what they cost
    per `PER` patches on the crops at hand.

    `default` is the cost at 0.5 for each class and for all together, `nothing` and `everything`
    that of flagging none or all. `saved` is what thresholds so chosen save on crops that they were
    not chosen on; None where too few groups of crops say so. `wrong` and `wrong_default` count.
    `curves` gives for each class the cost at the thresholds `CURVE`, the others as chosen.
    """

    costs: Costs
    prevalence: float
    thresholds: Mapping[str, float]
    any_defect: float
    cost: float
    default: float
    nothing: float
    everything: float
    saved: Saved | None
    wrong: Wrong
    wrong_default: Wrong
    curves: Mapping[str, tuple[float, ...]]

    def as_dict(self) -> dict[str, Any]:
        """As JSON values, for the card."""
        return {
            "costs": asdict(self.costs),
            "prevalence": self.prevalence,
            "thresholds": dict(self.thresholds),
            "any_defect_threshold": self.any_defect,
            "per_patches": PER,
            "cost": self.cost,
            "cost_at_0.5": self.default,
            "cost_of_flagging_nothing": self.nothing,
            "cost_of_flagging_everything": self.everything,
            "saved_on_other_crops": None if self.saved is None else asdict(self.saved),
            "wrong": _counts(self.wrong),
            "wrong_at_0.5": _counts(self.wrong_default),
            "curve": {
                "thresholds": [round(float(value), 6) for value in CURVE],
                "cost": {name: [round(v, 6) for v in row] for name, row in self.curves.items()},
            },
        }


def _counts(wrong: Wrong) -> dict[str, Any]:
    return {
        "escapes": {name: [rate.hits, rate.trials] for name, rate in wrong.escapes.items()},
        "overkill": [wrong.overkill.hits, wrong.overkill.trials],
    }


@dataclass(frozen=True)
class Mix:
    """Crops with their costs, each counted once, of which a line's mix is made.

    `defect` (N,) says which show a defect; `prevalence` is their share on the line.
    """

    priced: Priced
    defect: npt.NDArray[np.bool_]
    prevalence: float

    def weights(self, often: Floats) -> Floats | None:
        """Each crop's patches of `PER` (N,), were it drawn so `often` (N,); None where no crop
        with a defect, or none without, is drawn."""
        weights = np.zeros(len(often))
        for which, share in ((self.defect, self.prevalence), (~self.defect, 1 - self.prevalence)):
            drawn = often[which].sum()
            if not drawn:
                return None
            weights[which] = PER * share * often[which] / drawn
        return weights

    def counted(self) -> Priced:
        """The costs of `PER` patches of the mix."""
        weights = self.weights(np.ones(len(self.defect)))
        if weights is None:
            raise ValueError("no crop with a defect, or none without")
        return self.priced.times(weights)


def mix(answers: Answers, costs: Costs) -> Mix | None:
    """Price crops; None without any that show a defect, or without any that do not."""
    names = [answers.classes[index] for index in answers.defects]
    escape = np.array([costs.escape.get(name, 0.0) for name in answers.classes])
    overkill = np.array([costs.overkill[name] for name in names])
    defect = np.isin(answers.labels, answers.defects)
    if defect.all() or not defect.any():
        return None
    priced = Priced(
        answers.probabilities[:, answers.defects],
        escape[answers.labels],
        np.where(defect[:, None], 0.0, overkill),
    )
    share = float(defect.mean()) if costs.prevalence is None else costs.prevalence
    return Mix(priced, defect, share)


def decide(answers: Answers, costs: Costs, fixed: Mapping[str, float]) -> Decision | None:
    """Choose the threshold of each defect class that is not `fixed` and occurs, 0.5 for others;
    then that of all defect classes together.

    None without a defect crop, or without a normal one: then nothing can be chosen.
    """
    crops = mix(answers, costs)
    if crops is None:
        return None
    names = [answers.classes[index] for index in answers.defects]
    start = np.array([fixed.get(name, DEFAULT_THRESHOLD) for name in names])
    free = np.array([name not in fixed and answers.counts[name] > 0 for name in names])
    chosen = choose(crops.counted(), start, free)
    together = sweep_together(crops.counted(), chosen).best()
    saved = _saved_elsewhere(crops, answers.groups, start, free)
    return replace(_at(crops, answers, costs, chosen, together), saved=saved)


def price(
    answers: Answers, costs: Costs, thresholds: Mapping[str, float], any_defect: float
) -> Decision | None:
    """What thresholds cost on crops that they were not chosen on; None as `decide`."""
    crops = mix(answers, costs)
    if crops is None:
        return None
    chosen = np.array([thresholds[answers.classes[index]] for index in answers.defects])
    saved = _saved_here(crops, answers.groups, chosen, any_defect)
    return replace(_at(crops, answers, costs, chosen, any_defect), saved=saved)


def _at(crops: Mix, answers: Answers, costs: Costs, chosen: Floats, together: float) -> Decision:
    names = [answers.classes[index] for index in answers.defects]
    priced = crops.counted()
    default = np.full(len(names), DEFAULT_THRESHOLD)
    never, always = np.full(len(names), NEVER), np.zeros(len(names))
    cost, at_default, nothing, everything = (
        float(cost_per_crop(priced, thresholds, all_classes).sum())
        for thresholds, all_classes in (
            (chosen, together),
            (default, DEFAULT_THRESHOLD),
            (never, NEVER),
            (always, NEVER),
        )
    )
    return Decision(
        costs=costs,
        prevalence=crops.prevalence,
        thresholds=dict(zip(names, chosen.tolist(), strict=True)),
        any_defect=together,
        cost=cost,
        default=at_default,
        nothing=nothing,
        everything=everything,
        saved=None,
        wrong=_wrong(crops, answers, chosen, together),
        wrong_default=_wrong(crops, answers, default, DEFAULT_THRESHOLD),
        curves={
            name: tuple(sweep(priced, chosen, of, together).at(CURVE).tolist())
            for of, name in enumerate(names)
        },
    )


def _wrong(crops: Mix, answers: Answers, thresholds: Floats, together: float) -> Wrong:
    flags, _ = flagged(crops.priced.probabilities, thresholds, together)
    escapes = {
        answers.classes[index]: _rate(~flags, answers.labels == index) for index in answers.defects
    }
    return Wrong(escapes, _rate(flags, ~crops.defect))


def _rate(hits: npt.NDArray[np.bool_], among: npt.NDArray[np.bool_]) -> Rate:
    return Rate(int((hits & among).sum()), int(among.sum()))


def _saved_elsewhere(
    crops: Mix, groups: Sequence[str], start: Floats, free: npt.NDArray[np.bool_]
) -> Saved | None:
    """Thresholds chosen on a resample of the groups, priced on the groups that it left out."""
    saved = []
    for often in resamples(groups, _DRAWS):
        inside, outside = crops.weights(often), crops.weights(np.equal(often, 0).astype(float))
        if inside is not None and outside is not None:
            drawn = crops.priced.times(inside)
            chosen = choose(drawn, start, free, _STARTS_OF_A_DRAW)
            together = sweep_together(drawn, chosen).best()
            saved.append(float(outside @ _saving(crops, chosen, together)))
    return _summed_up(saved)


def _saved_here(crops: Mix, groups: Sequence[str], chosen: Floats, together: float) -> Saved | None:
    saving = _saving(crops, chosen, together)
    weights = [crops.weights(often) for often in resamples(groups, _DRAWS)]
    return _summed_up([float(drawn @ saving) for drawn in weights if drawn is not None])


def _saving(crops: Mix, chosen: Floats, together: float) -> Floats:
    default = np.full(len(chosen), DEFAULT_THRESHOLD)
    at_default = cost_per_crop(crops.priced, default, DEFAULT_THRESHOLD)
    saving: Floats = at_default - cost_per_crop(crops.priced, chosen, together)
    return saving


def _summed_up(saved: Sequence[float]) -> Saved | None:
    if len(saved) < _DRAWS // 2:
        return None
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(saved, [tail, 1 - tail])
    return Saved(float(np.mean(saved)), (float(low), float(high)))
