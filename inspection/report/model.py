"""What the page shows, typed and ready: no figure is worked out while rendering."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inspection.charts.drawing import Drawing
from inspection.quality.figures import TruthFigures
from severstal_prep.training_crops import STRIP_HEIGHT

GLYPHS = 6


@dataclass(frozen=True)
class ClassMark:
    """How a class is drawn: by name, by `symbol` (one or two characters) and by shape and
    colour, both numbered from 1 to `GLYPHS`; 0 is normal. `index` is the class's place among
    the model's outputs, `threshold` its flagging threshold, None for normal."""

    name: str
    symbol: str
    style: int
    index: int
    threshold: float | None


@dataclass(frozen=True)
class ClassCount:
    """A bar of the Pareto: patches that indicate a class, and strips with at least one."""

    mark: ClassMark
    patches: int
    strips: int
    share: float
    cumulative: float


@dataclass(frozen=True)
class Trust:
    """How far a map can be trusted.

    `whole`, `kept` and `removed`: the target's probability on the whole patch, on the map's top
    15 % alone, and without them; `drop` is the paper's, `removed_share` is removed / whole.
    `agreement` is the correlation with the second method's map, None where that has none. Each
    percentile, in (0, 100), is the share of the batch's maps that do worse.
    """

    whole: float
    kept: float
    removed: float
    drop: float
    removed_share: float
    agreement: float | None
    drop_percentile: float
    removed_percentile: float
    agreement_percentile: float | None


@dataclass(frozen=True)
class Region:
    """Where the map exceeds its Otsu threshold: px inside the patch. `contour` is SVG path data."""

    area: int
    left: int
    top: int
    width: int
    height: int
    contour: str


@dataclass(frozen=True)
class RunnerUp:
    """The second most probable class and its map (`image` is "" without one). `similarity` is the
    correlation of its map with the target's, None where one of them is missing."""

    mark: ClassMark
    score: float
    image: str
    similarity: float | None


@dataclass(frozen=True)
class Truth:
    """What the labels say of a patch: its true class ("" where it shows several or none is known),
    the outcome of the decision, the true mask's contour as SVG path data, and how well the map
    hits it."""

    true_class: str
    outcome: str
    contour: str
    ebpg: float | None
    bbox: float | None


@dataclass(frozen=True)
class IndicationCard:
    """A patch with its evidence. `mark` is the class its map explains, `strip` the place of its
    strip in the report. Places are px on the strip; images are paths relative to the page, ""
    where there is none."""

    number: int
    strip: int
    left: int
    size: int
    mark: ClassMark
    score: float
    flagged: bool
    probabilities: tuple[float, ...]
    raw: str
    overlay: str
    heat: str
    no_map: str
    trust: Trust | None
    weak: bool
    weak_because: str
    region: Region | None
    runner_up: RunnerUp | None
    truth: Truth | None
    patch_key: str
    top: int = 0

    @property
    def right(self) -> int:
        """Right edge on the strip, px."""
        return self.left + self.size


@dataclass(frozen=True)
class Strip:
    """A strip found. `status` is "inspected", "unreadable" or "not judged", `reason` why;
    `flagged` counts its indications."""

    strip_id: str
    coil: str
    sha256: str
    status: str
    reason: str
    width: int
    patches: int
    flagged: int
    disposition: str
    rule: str
    thumb: str
    raw: str
    overlay: str
    height: int = STRIP_HEIGHT

    @property
    def inspected(self) -> bool:
        """Whether it was read and judged."""
        return self.status == "inspected"


@dataclass(frozen=True)
class Escape:
    """A defective patch that was not flagged: places in px, `normal` the probability of normal."""

    strip_id: str
    left: int
    right: int
    true_class: str
    steel: bool
    normal: float


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
    """Everything on the page. `proposals` come most severe first; `widest` is the widest strip in
    px; `mm_per_px` is None where the size of a pixel is not known; `escapes` are patches, none
    without truth; `left_out` are earlier reports that the chart does not count, with reasons."""

    batch: str
    fingerprint: str
    started: str
    ended: str
    policy: str
    rules: tuple[tuple[str, str], ...]
    otherwise: str
    not_inspected: str
    weak_rule: str
    counts: Mapping[str, Any]
    coils: int
    proposals: tuple[Proposal, ...]
    skipped: tuple[tuple[str, str], ...]
    marks: tuple[ClassMark, ...]
    pareto: tuple[ClassCount, ...]
    drawings: tuple[Drawing, ...]
    left_out: tuple[tuple[str, str], ...]
    strips: tuple[Strip, ...]
    cards: tuple[IndicationCard, ...]
    widest: int
    mm_per_px: float | None
    kept_share: float
    fill: str
    second_method: str
    truth: TruthFigures | None
    escapes: tuple[Escape, ...]
    identity: tuple[Fact, ...]
    inputs: tuple[tuple[str, str], ...]

    @property
    def indications(self) -> tuple[IndicationCard, ...]:
        """The cards of flagged patches."""
        return tuple(card for card in self.cards if card.flagged)

    @property
    def not_inspected_strips(self) -> tuple[Strip, ...]:
        """Strips that could not be read or judged."""
        return tuple(strip for strip in self.strips if not strip.inspected)
