"""The settings of an ablation: one SISE with every μ and every budget asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sise.errors import SiseError
from sise.registry import MethodSpec, parse_spec
from sise.selection import Mu

Sweep = Literal["exact", "mu", "budget"]


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
