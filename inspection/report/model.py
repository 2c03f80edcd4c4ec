"""What the page shows, typed and ready: no figure is worked out while rendering."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from inspection.charts.drawing import Drawing
from inspection.pipeline.policy import WeakRule
from inspection.quality.figures import TruthFigures
from inspection.report.coils import CoilSide, ToldMark

GLYPHS = 6


@dataclass(frozen=True)
class ClassMark:
    """How a class is drawn: by name, by `symbol` (one or two characters) and by shape and
    colour, both numbered from 1 to `GLYPHS`; 0 is normal. `index` is the class's place among
    the model's outputs, `threshold` its flagging threshold, None for normal. `shown` is what the
    page calls it, `colour` "#rrggbb" or "" for ours, `pictures` of it lie in the report."""

    name: str
    symbol: str
    style: int
    index: int
    threshold: float | None
    shown: str = ""
    colour: str = ""
    pictures: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClassCount:
    """A bar of the Pareto: patches that indicate a class, and strips with at least one."""

    mark: ClassMark
    patches: int
    strips: int
    share: float
    cumulative: float


@dataclass(frozen=True)
class Fact:
    """A line of the identity block; `code` for hashes and paths."""

    label: str
    value: str
    code: bool = False


@dataclass(frozen=True)
class Proposal:
    """A disposition, how many strips it is proposed for, and by which rules, each with the number
    of strips that it decided; a strip that could not be inspected counts under its reason."""

    disposition: str
    strips: int
    rules: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class BatchReport:
    """Everything on the page. `strips` are rows of strips.parquet; `cards`, with what
    `build.cards_of` adds, `near`, with what `build.near_of` adds, and `escapes` are rows of
    results.parquet, the last none without truth; `patches` is the whole of it, `similar` the rows
    of similar.parquet. `any_defect`, `list_unsure` and `unsure` are the policy's, the last None
    without a rule *unsure*. `proposals` come most severe first; `widest` is the widest strip in px;
    `mm_per_px` is None where the size of a pixel is not known; `black` is the share of black above
    which a patch shows no steel; `left_out` are earlier reports that the chart does not count, with
    reasons; `alarms` are sentences about the batch as a whole, which the head says;
    `coil_sides` what is known of coils, `roll_marks` what repeats along them, `found_marks` the
    same as batch.json has it."""

    batch: str
    fingerprint: str
    started: str
    ended: str
    policy: str
    rules: tuple[tuple[str, str], ...]
    otherwise: str
    not_inspected: str
    weak_rule: WeakRule
    counts: Mapping[str, Any]
    coils: int
    proposals: tuple[Proposal, ...]
    skipped: tuple[tuple[str, str], ...]
    marks: tuple[ClassMark, ...]
    pareto: tuple[ClassCount, ...]
    drawings: tuple[Drawing, ...]
    left_out: tuple[tuple[str, str], ...]
    alarms: tuple[str, ...]
    coil_sides: tuple[CoilSide, ...]
    roll_marks: tuple[ToldMark, ...]
    found_marks: tuple[Mapping[str, Any], ...]
    strips: tuple[Any, ...]
    cards: tuple[Any, ...]
    near: tuple[Any, ...]
    patches: pd.DataFrame
    similar: pd.DataFrame
    any_defect: float
    list_unsure: float
    unsure: float | None
    widest: int
    mm_per_px: float | None
    black: float
    kept_share: float
    fill: str
    second_method: str
    truth: TruthFigures | None
    escapes: tuple[Any, ...]
    identity: tuple[Fact, ...]
    inputs: tuple[tuple[str, str], ...]

    @property
    def indications(self) -> tuple[Any, ...]:
        """The cards of flagged patches."""
        return tuple(card for card in self.cards if card.flagged)

    @property
    def near_accepted(self) -> int:
        """How many of the patches that are near lie on strips that are proposed for accept."""
        return sum(self.strips[patch.strip].disposition == "accept" for patch in self.near)

    @property
    def not_inspected_strips(self) -> tuple[Any, ...]:
        """Strips that could not be read or judged."""
        return tuple(strip for strip in self.strips if strip.status != "inspected")
