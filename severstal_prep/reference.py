"""What a dataset's class counts are compared with: the paper's, or those of another dataset."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, sqrt
from pathlib import Path

from severstal_prep.checked import checked, read_json
from severstal_prep.checks import Check, Example
from severstal_prep.dataset import CARD_NAME, CLASS_NAMES, Number
from severstal_prep.errors import OptionError

PAPER = "paper"
PAPER_CROPS = (23744, 1336, 210, 11666, 1388)
"""Table 3 of the SISE paper: crops of classes 0 to 4, train and test together."""
TOLERANCE = 0.1
"""By how much a class's share may differ, in proportion to the reference's."""
CHANCE = 3.0
"""Standard errors up to which a difference may be chance: 1 in 370 is larger."""

Counts = Mapping[str, int]


@dataclass(frozen=True)
class Reference:
    """Crops by class name, and where they are from."""

    name: str
    counts: Counts


@dataclass(frozen=True)
class Compared:
    """A class here and in the reference: crops, and shares of all crops in [0, 1]."""

    class_name: str
    crops: int
    share: float
    reference_crops: int
    reference_share: float
    differs: bool

    @property
    def ratio(self) -> float:
        """The share here over that of the reference, infinite for a class that is new."""
        return self.share / self.reference_share if self.reference_share else inf


def read_reference(name: str) -> Reference:
    """The counts that --reference names: "paper", a recast dataset or its card, a file of counts.

    Such a file is what `severstal-prep stats --json` prints, or an object of class names and
    numbers. Raises OptionError for anything else.
    """
    if name == PAPER:
        return Reference("table 3 of the paper", dict(zip(CLASS_NAMES, PAPER_CROPS, strict=True)))
    path = Path(name) / CARD_NAME if Path(name).is_dir() else Path(name)
    if not path.is_file():
        raise OptionError(
            f"--reference {name}: neither {PAPER!r}, a recast dataset, nor a file of class counts"
        )
    try:
        return Reference(str(path), _counts(read_json(path)))
    except ValueError as error:
        raise OptionError(f"--reference {path}: {error}") from error


@dataclass(frozen=True)
class _CardCounts:
    classes: list[str]
    counts: dict[str, dict[str, Number]]


def _counts(content: object) -> Counts:
    if isinstance(content, dict) and "classes" in content:
        card = checked(_CardCounts, content)
        totals = card.counts.get("total", {})
        counts = {name: totals.get(str(i), 0) for i, name in enumerate(card.classes)}
    elif isinstance(content, dict) and "crops" in content:
        crops = checked(dict[str, Number], content["crops"])
        counts = {name: crops.get(str(i), 0) for i, name in enumerate(CLASS_NAMES)}
    else:
        counts = checked(dict[str, Number], content)
    if not sum(counts.values()):
        raise ValueError("it counts no crop")
    return counts


def compare(classes: Sequence[str], crops: Sequence[int], reference: Reference) -> list[Compared]:
    """Compare class counts with a reference, classes that only it has last.

    A class differs if its share does by more than TOLERANCE, and by more than chance.
    """
    here = dict(zip(classes, crops, strict=True))
    total, reference_total = sum(here.values()), sum(reference.counts.values())
    compared = []
    for name in dict.fromkeys([*classes, *reference.counts]):
        count, other = here.get(name, 0), reference.counts.get(name, 0)
        share, wanted = count / total, other / reference_total
        differs = abs(share - wanted) > TOLERANCE * wanted and not _chance(
            count, total, other, reference_total
        )
        differs |= (name in here) != (name in reference.counts)
        compared.append(Compared(name, count, share, other, wanted, differs))
    return compared


def _chance(hits: int, trials: int, other_hits: int, other_trials: int) -> bool:
    """Whether two shares differ by CHANCE standard errors of the pooled share at most."""
    pooled = (hits + other_hits) / (trials + other_trials)
    error = sqrt(pooled * (1 - pooled) * (1 / trials + 1 / other_trials))
    return abs(hits / trials - other_hits / other_trials) <= CHANCE * error


def reference_check(compared: Sequence[Compared], reference: Reference) -> Check:
    """The check that no class's share differs from the reference's."""
    return Check(
        "class counts of the reference",
        "error",
        tuple(
            Example(
                "",
                None,
                f"{one.class_name}: {100 * one.share:.2f} % of the crops, "
                f"{100 * one.reference_share:.2f} % in {reference.name}",
            )
            for one in compared
            if one.differs
        ),
        "other data, rules or labels than the reference's; see the table of classes",
    )
