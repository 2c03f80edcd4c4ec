"""What the page says of coils: whose they are, how much of each is flagged, what repeats."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from inspection.words import decimal, number, percent, say, word

SIDES = {"top": word("top"), "bottom": word("bottom"), "": ""}


@dataclass(frozen=True)
class CoilSide:
    """A side of a coil: `told` are its facts in words; `length`, m, None where it is not known;
    `patches` and `flagged` are counted where there is steel, `by_class` those flagged."""

    coil: str
    side: str
    told: str
    length: float | None
    strips: int
    patches: int
    flagged: int
    by_class: Mapping[str, int]


@dataclass(frozen=True)
class ToldMark:
    """A roll mark in words, and how often chance does as much."""

    words: str
    chance: str


def coil_sides(
    coils: Sequence[Mapping[str, Any]],
    strips: pd.DataFrame,
    patches: pd.DataFrame,
    classes: Sequence[str],
) -> tuple[CoilSide, ...]:
    """A line per coil and side that a file tells of (batch.json's `coils`)."""
    judged = patches[patches["steel"]]
    made = dict[tuple[str, str], CoilSide]()
    sides = Counter(one["coil"] for one in coils)
    for one in sorted(coils, key=lambda one: (one["coil"], list(SIDES).index(one["side"]))):
        key = (one["coil"], one["side"])
        own = strips[(strips["coil"] == key[0]) & (strips["side"] == key[1])]
        rows = judged[(judged["coil"] == key[0]) & (judged["side"] == key[1])]
        length = own["length_m"].sum(min_count=1)
        indicated = rows.loc[rows["flagged"], "indicated"]
        made[key] = CoilSide(
            coil=key[0],
            side=SIDES[key[1]],
            told=_facts(one, alone=sides[one["coil"]] == 1),
            length=None if pd.isna(length) else float(length),
            strips=len(own),
            patches=len(rows),
            flagged=len(indicated),
            by_class={name: int((indicated == name).sum()) for name in classes},
        )
    return tuple(made.values())


def _facts(coil: Mapping[str, Any], alone: bool) -> str:
    """A coil in a line: its name, heat, grade, customer and width; its side, if it is `alone`."""
    width = coil["width_mm"]
    parts = [
        say("Coil {name}", name=coil["coil"]),
        coil["heat"] and say("heat {name}", name=coil["heat"]),
        coil["grade"],
        coil["customer"],
        width and say("{width} mm wide", width=number(round(width))),
        alone and {"top": say("top side"), "bottom": say("bottom side"), "": ""}[coil["side"]],
        coil["shift"] and say("shift {name}", name=coil["shift"]),
    ]
    return " · ".join(part for part in parts if part)


def told_marks(
    marks: Sequence[Mapping[str, Any]], shown: Mapping[str, str]
) -> tuple[ToldMark, ...]:
    """The roll marks of a record (batch.json's `roll_marks`) in words; `shown` names classes."""
    return tuple(ToldMark(_told(mark, shown), _chance(mark["p"])) for mark in marks)


def _told(mark: Mapping[str, Any], shown: Mapping[str, str]) -> str:
    where = say("Coil {name}", name=mark["coil"])
    if mark["side"]:
        where += f", {say(SIDES[mark['side']])}"
    return say(
        "{where}: {name} repeats every {period} m, {hits} of {turns} times: "
        "roll diameter {diameter} m.",
        where=where,
        name=shown.get(mark["class"], mark["class"]),
        period=decimal(mark["period"], 2),
        hits=mark["hits"],
        turns=mark["turns"],
        diameter=decimal(mark["diameter"], 2),
    )


def _chance(p: float) -> str:
    least = 1e-4
    return f"< {percent(least, 2)}" if p < least else percent(p, 2)
