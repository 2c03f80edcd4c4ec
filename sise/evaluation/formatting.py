"""How numbers and tables are written, the same in Markdown and on the page."""

import math
from collections.abc import Iterable, Sequence

from sise.evaluation import paper
from sise.evaluation.statistics import FEWEST
from sise.evaluation.summary_types import Column, Estimate, Summary

ARROWS = {"higher": "↑", "lower": "↓", "none": ""}
MARKS = {"better": "▲", "worse": "▼", "undecided": ""}
NOTHING = "–"


def number(value: float, column: Column, signed: bool = False) -> str:
    """A share as per cent with one decimal, anything else with two; "–" for NaN."""
    if math.isnan(value):
        return NOTHING
    digits = 1 if column.percent else 2
    text = f"{value * column.scale:{'+' if signed else ''}.{digits}f}"
    return text.replace("-", "−")


def interval(estimate: Estimate, column: Column, signed: bool = False) -> str:
    """ "[51.2, 54.8]", or nothing where there is none."""
    if not estimate.has_interval:
        return ""
    low, high = (number(edge, column, signed) for edge in (estimate.low, estimate.high))
    return f"[{low}, {high}]"


def bounded(mean: float, low: float, high: float, digits: int = 2) -> str:
    """ "0.45 (0.40 to 0.50)", without bounds if they are NaN; "–" for NaN."""
    if math.isnan(mean):
        return NOTHING
    text = f"{mean:.{digits}f}"
    return text if math.isnan(low) else f"{text} ({low:.{digits}f} to {high:.{digits}f})"


def markdown_table(
    header: Sequence[str], lines: Iterable[Sequence[str]], numbers: bool = False
) -> str:
    """A table; all but the first column are set to the right if they hold `numbers`."""
    rule = ["---", *["---:" if numbers else "---"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (header, rule, *lines))


def escaped(text: str) -> str:
    """Text as itself in a Markdown cell."""
    for letter in "\\|*_<`[":
        text = text.replace(letter, f"\\{letter}")
    return " ".join(text.split())


def heading(column: Column) -> str:
    return f"{column.title}\u00a0{ARROWS[column.better]}".strip()


def cost(value: float) -> str:
    """Seconds or passes, to three significant digits."""
    if math.isnan(value):
        return NOTHING
    if value >= 100:
        return f"{value:,.0f}".replace(",", "\u202f")
    return f"{value:.3g}"


def chance(p: float) -> str:
    """A p-value."""
    if math.isnan(p):
        return NOTHING
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def the_papers(summary: Summary) -> list[Column]:
    """Those of the paper's five metrics that were measured."""
    return [one for one in summary.columns if one.name in paper.METRICS]


def further(summary: Summary) -> list[Column]:
    return [one for one in summary.columns if one.name not in paper.METRICS]


def per_class(summary: Summary) -> list[Column]:
    """Those that are told class by class: the paper's, and Drop's counterpart."""
    return [one for one in summary.columns if one.name in (*paper.METRICS, "left")]


def directed(summary: Summary) -> list[Column]:
    """Metrics by which one method is better than another."""
    return [one for one in summary.columns if one.better != "none"]


def amount(summary: Summary) -> str:
    """ "300 images", with the items where they are more, and the groups where they are fewer."""
    whole = summary.whole
    images = f"{whole.images} image{'' if whole.images == 1 else 's'}"
    if whole.groups < whole.images:
        images += f" in {whole.groups} groups"
    if whole.items == whole.images:
        return images
    return f"{whole.items} items (a class of an image each) of {images}"


def legend(summary: Summary) -> list[str]:
    """How to read the tables: a sentence or two a point."""
    grouped = (
        ", and so do images of one group" if summary.whole.groups < summary.whole.images else ""
    )
    said = [
        "Shares and probabilities are in per cent. ↑ higher is better, ↓ lower is better; a metric "
        "without an arrow describes a map and has no better. Where Drop, Increase, left, insertion "
        f"and deletion take pixels away they put the fill {summary.fill!r} there, or the one in "
        "brackets; it moves the numbers, so that only like fills compare.",
        "Best in bold, second best underlined, among methods that use the model; equal means "
        "share a place. Trivial baselines, which know nothing that the model has learnt, come "
        "after them.",
        f"[low, high]: 95 % interval of the mean, by drawing images with replacement "
        f"{summary.resamples:,} times (percentile bootstrap, seed {summary.seed}). Items of one "
        f"image stay together{grouped}. Fewer than {FEWEST} images: none.",
        "An item for which a metric is undefined (no map, empty ground truth) is left out of its "
        "mean; n says how many remain where some are missing.",
    ]
    if any(row.is_truth for row in summary.whole.rows):
        said.append(
            "Ground truth is no method: it is the truth itself as a map, the deepest pixels first "
            "and, after all of its own, the nearest. Nothing surpasses it by EBPG and Bbox. By "
            "Drop, Increase and left, a map that does has found what the model uses and the truth "
            "does not hold."
        )
    if len(summary.whole.truths) > 1:
        said.append(
            "The truth of some classes is their pixels, of others boxes: a metric against the one "
            "does not compare with the other, and their mean over all classes says little."
        )
    if summary.reference is not None:
        said.append(
            f"▲ better, ▼ worse than {summary.title(summary.reference)}, at p < 0.05 after Holm's "
            f"correction. Test: sign flips of each image's difference from "
            f"{summary.title(summary.reference)}, {summary.flips:,} at random or all where these "
            f"are fewer, two-sided. Family: every other method × every metric with an arrow, "
            f"{summary.family} tests. No mark means that no difference was shown, not that there "
            f"is none. Classes are not tested one by one."
        )
    if summary.whole.pairs:
        said.append(
            f"Pairs: the first method less the second, image by image, with the test and marks as "
            f"above (▲ the first is better) and a Holm correction of their own, over "
            f"{summary.family_of_pairs} tests."
        )
    if any(row.trivial for row in summary.whole.rows):
        said.append(
            "Margin: how far a method is better than the best trivial baseline of that metric, "
            "image by image; above 0 is better, whatever the metric's direction. The baseline is "
            "chosen on the same images, which makes the margin a little too strict."
        )
    return said


def findings(summary: Summary) -> list[str]:
    """What was compared, and what the tables say of the reference, in sentences."""
    said = [f"{len(summary.whole.rows)} methods on {amount(summary)}."]
    if summary.reference is None:
        return said
    row = summary.whole.row(summary.reference)
    columns = [one for one in the_papers(summary) if row.cells[one.name].estimate.defined]
    if not columns:
        return said
    others = [one for one in summary.whole.rows if one.uses_model and one is not row]
    verdicts = [
        comparison.verdict
        for other in others
        for one in columns
        if (comparison := other.cells[one.name].comparison) is not None
    ]
    best = [one.title for one in columns if row.cells[one.name].rank == 1]
    said.append(
        f"{row.title} has the best mean by {len(best)} of the paper's {len(columns)} "
        f"metrics{_listed(best)}."
    )
    if verdicts:
        said.append(
            f"Of {len(verdicts)} comparisons with other methods by these metrics, "
            f"{verdicts.count('worse')} show {row.title} ahead and {verdicts.count('better')} "
            f"behind; {verdicts.count('undecided')} are undecided."
        )
    margins = [(one, row.cells[one.name].margin) for one in columns]
    clear = [one.title for one, margin in margins if margin and margin.difference.low > 0]
    behind = [one.title for one, margin in margins if margin and margin.difference.high < 0]
    if any(margin for _, margin in margins):
        said.append(
            f"It is clearly above the best trivial baseline by {len(clear)}{_listed(clear)} and "
            f"clearly below it by {len(behind)}{_listed(behind)}."
        )
    return said


def _listed(titles: list[str]) -> str:
    return f" ({', '.join(titles)})" if titles else ""
