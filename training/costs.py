"""What wrong decisions cost: the option `--costs`, by class where they differ.

`escape` is paid for a crop with a defect that is not flagged, `overkill` for a normal crop that
is. `CLASS.escape` is for crops of that class, `CLASS.overkill` for normal crops that then indicate
it. `prevalence` is the share of the line's patches that show a defect.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from severstal_prep.checked import parse_yaml, plain
from severstal_prep.recast import NORMAL_NAME
from training.errors import RecipeError

ESCAPE, OVERKILL, PREVALENCE = "escape", "overkill", "prevalence"
EXAMPLE = "give them as escape=100,overkill=1"
COSTS_HELP = (
    "what wrong decisions cost, as escape=100,overkill=1,prevalence=0.02,'class 3.escape'=500: "
    "chooses the thresholds that cost least on the validation crops (default: none, 0.5 each)"
)
RISK_HELP = (
    "share of wrong decisions allowed where the machine decides alone: chooses the confidence from "
    "which it may (default: 0.02)"
)

Cost = Annotated[float, Field(gt=0)]


@dataclass(frozen=True)
class Costs:
    """Costs in any one unit, above 0: `escape` of each defect class, `overkill` by the class that a
    normal crop indicates. `prevalence` in (0, 1); None: as in the validation crops."""

    escape: Mapping[str, Cost]
    overkill: Mapping[str, Cost]
    prevalence: Annotated[float, Field(gt=0, lt=1)] | None = None


def cost_table(given: str | Mapping[str, Any]) -> dict[str, float]:
    """The option's value, "escape=100,class 3.escape=50" or YAML's or JSON's entries, as a table.

    An entry of entries, as `class 3: {escape: 50}`, is one of the name "class 3.escape". Raises
    RecipeError for what is neither.
    """
    entries = _read(given) if isinstance(given, str) else given
    if not isinstance(entries, Mapping) or not entries:
        raise RecipeError(f"costs: {given!r} names no costs; {EXAMPLE}")
    table: dict[str, float] = {}
    for name, value in _flat(entries):
        if name in table:
            raise RecipeError(f"costs: {plain(name)} stands twice")
        table[name] = _number(name, value)
    return table


def _read(text: str) -> Any:
    if text.lstrip().startswith("{"):
        try:
            return parse_yaml(text.encode())
        except ValueError as error:
            raise RecipeError(f"costs: {error}") from error
    pairs = [part.rpartition("=") for part in text.split(",")]
    names = [name.strip() for name, _, _ in pairs]
    if "" in names or len(set(names)) < len(names):
        return None
    return {name: value for name, (_, _, value) in zip(names, pairs, strict=True)}


def _flat(entries: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in entries.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _number(name: str, value: Any) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise RecipeError(f"costs: {plain(name)} must be a number above 0, not {plain(str(value))}")
    return number


def resolve_costs(table: Mapping[str, float], classes: Sequence[str]) -> Costs:
    """The costs of each of the defect `classes`.

    Raises RecipeError for a class that is none of them, for a table without `escape` and
    `overkill`, and for classes without "normal", where nothing could be overkill.
    """
    defects = [name for name in classes if name != NORMAL_NAME]
    if NORMAL_NAME not in classes:
        raise RecipeError(f"costs: there is no class {NORMAL_NAME!r}, so that nothing is overkill")
    kinds = (ESCAPE, OVERKILL)
    known = [*kinds, PREVALENCE, *(f"{name}.{kind}" for name in defects for kind in kinds)]
    for name in table:
        if name not in known:
            raise RecipeError(
                f"costs: {name!r} is none; there are escape, overkill, prevalence, and the first "
                f"two by class, as '{defects[0]}.escape', of {', '.join(defects)}"
            )
    missing = [kind for kind in kinds if kind not in table]
    if missing:
        raise RecipeError(f"costs: {missing[0]} is missing; {EXAMPLE}")
    prevalence = table.get(PREVALENCE)
    if prevalence is not None and prevalence >= 1:
        raise RecipeError(f"costs: prevalence is a share, above 0 and below 1, not {prevalence:g}")
    return Costs(
        escape={name: table.get(f"{name}.{ESCAPE}", table[ESCAPE]) for name in defects},
        overkill={name: table.get(f"{name}.{OVERKILL}", table[OVERKILL]) for name in defects},
        prevalence=prevalence,
    )
