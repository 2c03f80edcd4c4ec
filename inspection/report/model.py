"""What the page shows, typed and ready: no figure is worked out while rendering."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

GLYPHS = 6


@dataclass(frozen=True)
class ClassMark:
    """How a class is drawn: by name, by `symbol` (one or two characters) and by shape and
    colour, both numbered from 1 to `GLYPHS`; 0 is normal."""

    name: str
    symbol: str
    style: int


@dataclass(frozen=True)
class ClassCount:
    """A bar of the Pareto: patches that indicate a class, and strips with at least one."""

    mark: ClassMark
    patches: int
    strips: int
    share: float
    cumulative: float


@dataclass(frozen=True)
class Probability:
    """One class's probability on a patch; `threshold` is None for normal."""

    mark: ClassMark
    value: float
    threshold: float | None


@dataclass(frozen=True)
class Faithfulness:
    """The target's probability on the whole patch, on the map's top 15 % alone, and without
    them; `drop` is the paper's. All in [0, 1]."""

    whole: float
    kept: float
    removed: float
    drop: float


@dataclass(frozen=True)
class Region:
    """Where the map exceeds its Otsu threshold: px inside the patch, `share` of its area."""

    area: int
    share: float
    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class Card:
    """A patch with its evidence. `mark` is the class its map explains. Places are px on the
    strip; images are paths relative to the page, "" where there is none."""

    anchor: str
    number: int
    strip_id: str
    coil: str
    strip_anchor: str
    strip_width: int
    thumb: str
    left: int
    size: int
    mark: ClassMark
    score: float
    flagged: bool
    probabilities: tuple[Probability, ...]
    raw: str
    overlay: str
    heat: str
    no_map: str
    faithfulness: Faithfulness | None
    region: Region | None
    patch_key: str

    @property
    def right(self) -> int:
        """Right edge on the strip, px."""
        return self.left + self.size


@dataclass(frozen=True)
class Strip:
    """A strip found, inspected or not. `indications` are its flagged patches, from left to
    right; `others` patches that were explained though not flagged."""

    anchor: str
    strip_id: str
    coil: str
    sha256: str
    inspected: bool
    reason: str
    width: int
    patches: int
    disposition: str
    rule: str
    thumb: str
    raw: str
    overlay: str
    indications: tuple[Card, ...]
    others: tuple[Card, ...]

    @property
    def name(self) -> str:
        """The file's name, for where its coil stands above it."""
        return self.strip_id.rpartition("/")[2]


@dataclass(frozen=True)
class Fact:
    """A line of the identity block; `code` for hashes and paths."""

    label: str
    value: str
    code: bool = False


@dataclass(frozen=True)
class BatchReport:
    """Everything on the page. `dispositions` counts strips, most severe first; `scale` is the
    image of the colour scale; `widest` the widest strip in px."""

    batch: str
    started: str
    ended: str
    policy: str
    rules: tuple[tuple[str, str], ...]
    otherwise: str
    not_inspected: str
    counts: Mapping[str, Any]
    dispositions: tuple[tuple[str, int], ...]
    skipped: tuple[tuple[str, str], ...]
    marks: tuple[ClassMark, ...]
    pareto: tuple[ClassCount, ...]
    strips: tuple[Strip, ...]
    widest: int
    scale: str
    kept_share: float
    fill: str
    identity: tuple[Fact, ...]
    inputs: tuple[tuple[str, str], ...]

    @property
    def cards(self) -> tuple[Card, ...]:
        """All indications, strip by strip."""
        return tuple(card for strip in self.strips for card in strip.indications)

    @property
    def unreadable(self) -> tuple[Strip, ...]:
        """Strips that could not be inspected."""
        return tuple(strip for strip in self.strips if not strip.inspected)
