"""An ablation: one SISE with every μ and every budget asked for, and what each comes to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from sise.errors import SiseError
from sise.evaluation.statistics import estimates
from sise.evaluation.summary import groups_of, summarise
from sise.evaluation.summary_types import Estimate, Row
from sise.registry import MethodSpec, parse_spec
from sise.selection import Mu
from sise.statistics import pearson

Sweep = Literal["exact", "mu", "budget"]
MapOf = Callable[[str, str], npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Setting:
    """SISE with one option changed; "exact" changes none."""

    sweep: Sweep
    value: float | int | str | None
    spec: MethodSpec

    @property
    def title(self) -> str:
        if self.sweep == "exact":
            return "every mask (μ = 0)"
        if self.sweep == "mu":
            return "μ by Otsu (Ada-SISE)" if self.value == "otsu" else f"μ = {self.value}"
        return f"budget {self.value}"


def settings(base: str, mus: Sequence[Mu], budgets: Sequence[int | str]) -> tuple[Setting, ...]:
    """`base` itself, such as "sise" or "sise:context=reflect", then its sweeps.

    A μ of 0 is `base`. Raises SiseError for a base that is no SISE or has μ or a budget already.
    """
    exact = parse_spec(base)
    if exact.method != "sise" or {"mu", "budget"} & set(exact.options):
        raise SiseError(f"base {base!r}: a sise without mu and budget, which are what changes")
    joint = "," if exact.options else ":"
    return (
        Setting("exact", None, exact),
        *(Setting("mu", mu, parse_spec(f"{base}{joint}mu={mu}")) for mu in mus if mu != 0),
        *(Setting("budget", one, parse_spec(f"{base}{joint}budget={one}")) for one in budgets),
    )


@dataclass(frozen=True)
class Point:
    """A setting's means, and its comparison with exact SISE (none for exact SISE itself).

    `agreement` is the correlation r of its maps with the exact ones.
    """

    setting: Setting
    row: Row
    agreement: Estimate


def points(
    rows: pd.DataFrame, settings: Sequence[Setting], map_of: MapOf, seed: int
) -> tuple[Point, ...]:
    """Sum up an evaluation's rows; `map_of(method, item)` is the map (H, W) behind a row."""
    exact = settings[0].spec.text
    board = summarise(rows, exact, seed).whole

    def agreement(method: str) -> Estimate:
        own = rows[rows["method"] == method]
        each = [float(pearson(map_of(method, item), map_of(exact, item))) for item in own["item"]]
        return estimates(np.array(each)[:, None], pd.factorize(groups_of(own))[0], seed)[0]

    methods = [one.spec.text for one in settings]
    return tuple(
        Point(setting, board.row(method), agreement(method))
        for setting, method in zip(settings, methods, strict=True)
    )
