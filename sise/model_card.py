"""The model card for people: what `model.json` says, as Markdown.

A pure function of the card. It may come from anywhere: what is missing or of another shape is left
out, and names and texts are escaped.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

MARKDOWN_NAME = "MODEL_CARD.md"
NORMAL = "normal"

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&$!^@]|:(?=/)|(?<=www)\.|^[-+=])", re.I)
_NUMBERED = re.compile(r"^(\d+)([.)])")
_PLAIN = re.compile(r"[\w.:/+-]+", re.ASCII)
_LONGEST = 300
_MOST_ROWS = 100

USE = """\
## Intended use

To propose *indications* on images like those it was trained on: the same product, cameras, light
and size of a pixel. People decide what is a defect, and what becomes of the product.

## Not to be used

- for other steel, other cameras, light, sizes of a pixel or treatment of images, before it was
  tested on labelled images of them;
- for defects other than the classes below: it knows no others, and may call them normal;
- to accept or scrap by itself, without a policy, and without samples at which people look, so that
  it is known how often it is wrong;
- to measure a defect's size or depth, or as proof that there is none.
"""


class Card(Protocol):
    """What is told of a `sise.bundle.ModelCard`."""

    @property
    def architecture(self) -> str: ...
    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def input_size(self) -> tuple[int, int]: ...
    @property
    def temperature(self) -> float: ...
    @property
    def thresholds(self) -> Mapping[str, float]: ...
    @property
    def dataset(self) -> Mapping[str, Any]: ...
    @property
    def metrics(self) -> Mapping[str, Any]: ...
    @property
    def versions(self) -> Mapping[str, str]: ...
    @property
    def created(self) -> str: ...
    @property
    def weights_sha256(self) -> str: ...


def markdown(card: Card) -> str:
    """The text of `MODEL_CARD.md`, with a line break at its end."""
    parts = [
        f"# Model card: {code(card.architecture)}, {len(card.classes)} classes\n",
        _list(_identity(card)),
        USE,
        "## Data\n",
        _list(_data(card)),
        _counts(card),
        *_training(card),
        *_results(card),
        "## Calibration\n",
        _list(_calibration(card)),
        "## Decisions\n",
        _list(_decisions(card)),
        "## Limits\n",
        _list(_limits(card)),
    ]
    return "\n".join(part for part in parts if part)


def escaped(text: object) -> str:
    """A text on one line in which nothing is Markdown or HTML, shortened if it is long."""
    plain = "".join(c if c.isprintable() else "�" for c in " ".join(str(text).split()))
    return _NUMBERED.sub(r"\1\\\2", _SPECIAL.sub(r"\\\1", shortened(plain)))


def shortened(text: str) -> str:
    """A text of at most some 300 characters."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def code(text: object) -> str:
    """An identifier as code, anything else escaped."""
    plain = str(text)
    known = _PLAIN.fullmatch(plain) and len(plain) <= _LONGEST
    return f"`{plain}`" if known else escaped(text)


def _list(items: Iterable[str]) -> str:
    return "".join(f"- {item}\n" for item in items)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [list(head), ["---"] * len(head), *map(list, rows)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _identity(card: Card) -> Iterator[str]:
    height, width = card.input_size
    yield f"Classes: {', '.join(escaped(name) for name in card.classes)}"
    yield f"Input: {width} × {height} px"
    yield f"Weights: SHA-256 {code(card.weights_sha256)}"
    if card.created:
        yield f"Made: {escaped(card.created)}"
    if card.versions:
        named = (f"{escaped(name)} {escaped(number)}" for name, number in card.versions.items())
        yield f"Versions: {', '.join(named)}"


def _data(card: Card) -> Iterator[str]:
    data = card.dataset
    if not data:
        yield "Not recorded."
    if "card_sha256" in data:
        yield f"Recast dataset: SHA-256 of its card {code(data['card_sha256'])}"
    if "split" in data:
        seed = f", seed {escaped(data['seed'])}" if "seed" in data else ""
        yield f"Split: {code(data['split'])}{seed}"
    differs = data.get("differs_from_recipe")
    if isinstance(differs, Mapping) and differs:
        yield f"Differs from the paper's recipe: {_pairs(differs)}"
    for name in ("masking", "black_out"):
        if isinstance(data.get(name), Mapping):
            yield f"Crops were masked in training: {_pairs(data[name])}"


def _pairs(entries: Mapping[str, Any]) -> str:
    return ", ".join(f"{code(name)} {escaped(value)}" for name, value in entries.items())


def _counts(card: Card) -> str:
    counts = card.dataset.get("counts")
    if not isinstance(counts, Mapping):
        return ""
    splits = [name for name, row in counts.items() if _numbers(row, len(card.classes))]
    rows = [
        [escaped(name), *(str(counts[split][index]) for split in splits)]
        for index, name in enumerate(card.classes)
    ]
    return _table(["crops", *map(escaped, splits)], rows) if splits else ""


def _numbers(row: Any, length: int) -> bool:
    return isinstance(row, list | tuple) and len(row) == length and all(map(_number, row))


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _training(card: Card) -> Iterator[str]:
    figures = card.metrics
    recipe = figures.get("recipe")
    rows = list(_flat(recipe)) if isinstance(recipe, Mapping) else []
    yield "## Training\n"
    said = []
    if "epoch" in figures:
        said.append(f"Weights of epoch {escaped(figures['epoch'])}")
    if "ended_early" in figures:
        said.append(f"Ended early: {escaped(figures['ended_early'])}")
    if not rows:
        said.append("The recipe is not recorded.")
    yield _list(said)
    if rows:
        yield _table(("recipe", ""), ((code(n), code(value)) for n, value in rows[:_MOST_ROWS]))


def _flat(entries: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The recipe's entries, without those that are off."""
    for name, value in entries.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name}.")
        elif not (value is False or (value == 0 and isinstance(value, float))):
            yield f"{prefix}{name}", value


def _results(card: Card) -> Iterator[str]:
    figures = card.metrics
    yield "## Results\n"
    if not _number(figures.get("top1")):
        yield "Not evaluated.\n"
        return
    yield (
        f"On {escaped(figures.get('crops', 'the'))} crops of the split "
        f"{code(figures.get('split', 'val'))}, on which the epoch, the temperature and the "
        "thresholds were chosen, too, which flatters. `defect-train test` has the numbers that "
        "count. Intervals are of 95 %.\n"
    )
    rows = [("top-1", "top1"), ("top-3", "top3"), ("macro recall", "macro_recall"),
            ("top-1 of always naming the most frequent class", "majority")]  # fmt: skip
    yield _table(
        ("", "", "95 %"),
        [
            (words, _share(figures.get(name)), _interval(figures.get(f"{name}_interval")))
            for words, name in rows
        ],
    )
    yield _by_class(card)


def _by_class(card: Card) -> str:
    figures = card.metrics
    per_class = _get(figures, "calibration", "per_class")
    rows = []
    for name in card.classes:
        error = _get(per_class, name)
        threshold = card.thresholds.get(name)
        rows.append(
            (
                escaped(name),
                _whole(_get(figures, "class_crops", name)),
                _share(_get(figures, "recall", name)),
                _interval(_get(figures, "recall_interval", name)),
                _share(_get(error, "ece")),
                _interval(_get(error, "interval")),
                "–" if threshold is None else f"{threshold:.4g}",
            )
        )
    head = ("class", "crops", "recall", "95 %", "classwise ECE", "95 %", "threshold")
    return _table(head, rows)


def _get(entries: Any, *names: str) -> Any:
    for name in names:
        entries = entries.get(name) if isinstance(entries, Mapping) else None
    return entries


def _share(value: Any, digits: int = 3) -> str:
    return f"{value:.{digits}f}" if _number(value) else "–"


def _whole(value: Any) -> str:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else "–"


def _interval(value: Any) -> str:
    return f"{value[0]:.3f}–{value[1]:.3f}" if _numbers(value, 2) else "–"


def _calibration(card: Card) -> Iterator[str]:
    figures = card.metrics
    yield f"Temperature: {card.temperature:.4g}"
    if not _number(figures.get("ece")):
        yield "Not measured: probabilities may mean anything."
        return
    error = _get(figures, "calibration", "confidence")
    yield (
        f"Expected calibration error: {_share(figures['ece'])} (95 %: "
        f"{_interval(_get(error, 'interval'))}; calibrated probabilities would reach up to "
        f"{_share(_get(error, 'by_chance'))} by chance; before the temperature "
        f"{_share(figures.get('ece_before_temperature'))})"
    )
    classwise = _get(figures, "calibration", "classwise_ece")
    if _number(classwise):
        yield f"Classwise ECE, the mean over the classes: {_share(classwise)}"


def _decisions(card: Card) -> Iterator[str]:
    decision = card.metrics.get("decision")
    if isinstance(decision, Mapping):
        yield from _costs(decision)
    elif card.thresholds:
        yield "Thresholds are given, 0.5 unless somebody chose others; no costs were asked for."
    target = _get(card.metrics, "risk_coverage", "target_risk")
    alone = _get(card.metrics, "risk_coverage", "alone")
    if isinstance(alone, Mapping):
        yield (
            f"Alone it may decide from a confidence of {_share(alone.get('min_confidence'), 4)} "
            f"on, which {_share(alone.get('coverage'))} of the crops have: "
            f"{_share(alone.get('risk'), 4)} of these are wrong, at most "
            f"{_share(alone.get('risk_at_most'), 4)} (95 %), for a target of {_share(target, 4)}"
        )
    elif _number(target):
        yield f"No confidence is known above which its error is sure to be below {target:g}"
    aurc = _get(card.metrics, "risk_coverage", "aurc")
    if _number(aurc):
        yield f"Area under the risk–coverage curve (AURC): {_share(aurc, 4)}"


def _costs(decision: Mapping[str, Any]) -> Iterator[str]:
    for kind, words in (("escape", "an escape"), ("overkill", "an overkill")):
        costs = _get(decision, "costs", kind)
        if isinstance(costs, Mapping):
            each = (f"{escaped(n)} {value:g}" for n, value in costs.items() if _number(value))
            yield f"Cost of {words}: {', '.join(each)}"
    together = decision.get("any_defect_threshold")
    if _number(together):
        yield f"Threshold of all defect classes together, 1 − P(normal): {together:.4g}"
    yield (
        f"Thresholds cost {_cost(decision, 'cost')} per {_whole(decision.get('per_patches'))} "
        f"patches, of which {_share(decision.get('prevalence'), 4)} show a defect; "
        f"0.5 for each class costs {_cost(decision, 'cost_at_0.5')}, flagging nothing "
        f"{_cost(decision, 'cost_of_flagging_nothing')}, flagging everything "
        f"{_cost(decision, 'cost_of_flagging_everything')}"
    )
    saved = decision.get("saved_on_other_crops")
    if isinstance(saved, Mapping) and _numbers(saved.get("interval"), 2):
        low, high = saved["interval"]
        yield (
            f"On crops that they were not chosen on, such thresholds save "
            f"{_cost(saved, 'mean')} against 0.5 (95 %: {low:.4g} to {high:.4g})"
        )


def _cost(entries: Mapping[str, Any], name: str) -> str:
    value = entries.get(name)
    return f"{value:.4g}" if _number(value) else "–"


def _limits(card: Card) -> Iterator[str]:
    if card.dataset.get("split") == "paper":
        yield (
            "The split leaks: crops of one strip are in training and in validation and test, so "
            "that all results flatter. Train on a grouped split to know"
        )
    if card.classes and NORMAL not in card.classes:
        yield "There is no class *normal*: it names a defect wherever it looks"
    notes = card.metrics.get("notes")
    if isinstance(notes, list | tuple):
        yield from (escaped(note) for note in notes[:_MOST_ROWS])
    yield (
        "Intervals of recalls and of the error when deciding alone take crops to be independent; "
        "crops of one strip are not, and true intervals are wider"
    )
    yield (
        "Results hold for the mix of classes of these crops. Where defects are rarer, fewer of the "
        "flags are right"
    )
