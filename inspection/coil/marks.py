"""The roll marks of a batch: indications of a class that repeat along one side of a coil."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

import pandas as pd

from inspection.coil.periods import RollMark, Search, find_marks
from inspection.coil.positions import centre

LANES_PER_PATCH = 2


@dataclass(frozen=True)
class BatchMark:
    """A roll mark: on which side of which coil, of which class, as the model names it."""

    number: int
    coil: str
    side: str
    indicated: str
    mark: RollMark

    def as_json(self) -> dict[str, object]:
        """What batch.json says of it."""
        told = asdict(self.mark)
        told["hits"] = len(told.pop("members"))
        return {
            "number": self.number, "coil": self.coil, "side": self.side, "class": self.indicated,
            "diameter": self.mark.diameter, **told,
        }  # fmt: skip


def roll_marks(
    patches: pd.DataFrame, strips: pd.DataFrame, search: Search
) -> tuple[pd.DataFrame, tuple[BatchMark, ...]]:
    """Find what repeats among the flagged patches, and add `roll_mark`, the number of the mark that
    each is of, 0 for none."""
    number_of = dict[object, int]()
    found: list[BatchMark] = []
    flagged = patches[patches["flagged"] & patches["coil_m"].notna()]
    ends = strips.assign(end=strips["start_m"] + strips["length_m"])
    for (coil, side), own in flagged.groupby(["coil", "side"], sort=True):
        here = ends[(ends["coil"] == coil) & (ends["side"] == side)]
        groups = dict(_groups(own))
        names, positions = list(groups), [rows["coil_m"].to_numpy() for rows in groups.values()]
        for place, mark in find_marks(positions, float(here["end"].max()), search):
            rows = groups[names[place]].index[list(mark.members)]
            if sum(row in number_of for row in rows) * 2 >= len(rows):
                continue  # the same, found in the lane and over the whole width
            found.append(BatchMark(len(found) + 1, str(coil), str(side), names[place][0], mark))
            number_of |= {row: found[-1].number for row in rows if row not in number_of}
    return patches.assign(roll_mark=[number_of.get(row, 0) for row in patches.index]), tuple(found)


def _groups(patches: pd.DataFrame) -> Iterator[tuple[tuple[str, int], pd.DataFrame]]:
    """Per class: its indications, and those of each lane, half a patch wide, where there are
    several; a mark is printed in one lane, but may lie where two meet."""
    for name, own in patches.groupby("indicated", sort=True):
        lane = (centre(own, "top", "height") * LANES_PER_PATCH // own["size"]).astype(int)
        yield (str(name), -1), own
        if lane.nunique() > 1:
            for number, rows in own.groupby(lane, sort=True):
                yield (str(name), int(number)), rows


def strips_with(patches: pd.DataFrame) -> Mapping[str, int]:
    """The first roll mark on each strip that has one."""
    marked = patches[patches["roll_mark"] > 0]
    first = marked.groupby("strip_id", sort=False)["roll_mark"].min()
    return {str(strip_id): int(number) for strip_id, number in first.items()}
