"""Class counts of strips and of crops, from the labels alone as far as these suffice."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from severstal_prep import console, workers
from severstal_prep.annotations import Annotations, Rejection, read_annotations, stop
from severstal_prep.dataset import CLASS_NAMES
from severstal_prep.recast import NORMAL, Rules, recast
from severstal_prep.rle import Runs
from severstal_prep.sources import choose_sources
from severstal_prep.split import paper_counts
from severstal_prep.strips import measure_black


@dataclass(frozen=True)
class Stats:
    """What a label file gives under a recipe.

    `strips` counts the strips with a label, `strips_by_class` those that show a class (a
    strip of two classes counts for both), `crops` the kept crops per class 0 to 4, `dropped`
    the crops left out by reason. Unless `black_known`, black crops are among the normal ones.
    """

    recipe: str
    strips: int
    multi_class_strips: int
    strips_by_class: Mapping[int, int]
    crops: Mapping[int, int]
    dropped: Mapping[str, int]
    black_known: bool


def count(csv: Path, images: Path | None, rules: Rules) -> Stats:
    """Count strips and crops; with `images`, black crops are found and left out.

    Raises AnnotationError for the first row or image that cannot be used.
    """
    annotations = read_annotations(csv)
    console.notes(csv, annotations.notes)
    labelled = [a.labels for a in annotations.strips.values() if a.labels]
    crops = Counter[int]()
    dropped = Counter[str]()
    measured = (
        ((labels, None) for labels in labelled)
        if images is None
        else _measured(csv, annotations, images, rules)
    )
    for labels, black in measured:
        for crop in recast(labels, rules, black):
            if crop.class_id is None:
                dropped[str(crop.drop)] += 1
            else:
                crops[crop.class_id] += 1
    return Stats(
        recipe=rules.recipe,
        strips=len(labelled),
        multi_class_strips=sum(len(labels) > 1 for labels in labelled),
        strips_by_class=Counter(class_id for labels in labelled for class_id in labels),
        crops=crops,
        dropped=dropped,
        black_known=images is not None,
    )


def _measured(
    csv: Path, annotations: Annotations, images: Path, rules: Rules
) -> Iterator[tuple[Mapping[int, Runs], tuple[float, ...]]]:
    chosen = choose_sources(annotations, images, rules)
    console.notes(csv, chosen.notes)
    stop(csv, chosen.missing)
    sources = chosen.sources
    tasks = [(source.path, rules.offset) for source in sources]
    with closing(workers.run(measure_black, tasks, os.cpu_count() or 1)) as results:
        tracked = console.track(results, len(tasks), "reading strips")
        for source, black in zip(sources, tracked, strict=True):
            if isinstance(black, str):
                stop(csv, [Rejection(source.row, source.path.name, "", black)])
            else:
                yield source.labels, black


def as_json(stats: Stats) -> dict[str, object]:
    """The counts for machines: `crops`, `train` and `test` map "0" to "4" to a number."""
    return {
        "recipe": stats.recipe,
        "strips": stats.strips,
        "multi_class_strips": stats.multi_class_strips,
        "strips_by_class": _by_class(stats.strips_by_class, range(1, len(CLASS_NAMES))),
        "crops": _by_class(stats.crops, range(len(CLASS_NAMES))),
        "train": _by_class(_paper_part(stats, 0), range(len(CLASS_NAMES))),
        "test": _by_class(_paper_part(stats, 1), range(len(CLASS_NAMES))),
        "dropped": dict(sorted(stats.dropped.items())),
        "black_known": stats.black_known,
    }


def as_text(stats: Stats) -> str:
    """The counts for people: a table, and what it does not say."""
    train, test = _paper_part(stats, 0), _paper_part(stats, 1)
    lines = [f"{'':8} {'strips':>8} {'crops':>8} {'train':>8} {'test':>8}"]
    for class_id, name in enumerate(CLASS_NAMES):
        strips = "" if class_id == NORMAL else f"{stats.strips_by_class.get(class_id, 0):,}"
        numbers = (stats.crops.get(class_id, 0), train[class_id], test[class_id])
        lines.append(f"{name:8} {strips:>8} " + " ".join(f"{n:8,}" for n in numbers))
    totals = (sum(stats.crops.values()), sum(train.values()), sum(test.values()))
    lines.append(f"{'total':8} {stats.strips:8,} " + " ".join(f"{n:8,}" for n in totals))
    lines.append("")
    lines.append(
        f"recipe {stats.recipe}, {stats.multi_class_strips:,} strips of several classes, "
        "train with validation as in the paper's split"
    )
    lines += [f"left out: {crops:,} crops: {why}" for why, crops in sorted(stats.dropped.items())]
    if not stats.black_known:
        lines.append("normal crops are an upper bound: black ones cannot be told without --images")
    return "\n".join(lines)


def _paper_part(stats: Stats, part: int) -> dict[int, int]:
    return {c: paper_counts(stats.crops.get(c, 0))[part] for c in range(len(CLASS_NAMES))}


def _by_class(counts: Mapping[int, int], classes: range) -> dict[str, int]:
    return {str(class_id): counts.get(class_id, 0) for class_id in classes}
