"""Rows of the registry's methods: the slow ones in part, unless all is asked for."""

from collections.abc import Callable
from functools import partial

from sise.bench.paper import seconds_in_paper
from sise.bench.parts import Divisible, divisible
from sise.bench.plan import Row, Skipped
from sise.bench.rows import Bare, Bench, row_of
from sise.bench.timing import Parts, Work
from sise.errors import SiseError
from sise.explanation import Explainer
from sise.registry import MethodSpec

PART_SECONDS = 5.0
"""What takes longer is done in part: in about so long, each time."""


def title_of(spec: MethodSpec) -> str:
    """What the table calls it; SISE has rows of several kinds."""
    if spec.method != "sise":
        return spec.title
    said = ", ".join(f"{name} {value}" for name, value in spec.options.items())
    return f"SISE, {said or 'exact'}"


def row_of_method(
    bench: Bench, bare: Bare, spec: MethodSpec, make: Callable[[], Explainer]
) -> Row | Skipped:
    """The cost of the explainer that `make` makes. A model that it cannot explain is no row."""
    try:
        return _row(bench, bare, spec, make())
    except SiseError as error:
        return Skipped(f"{title_of(spec)}, {bare.setting}", str(error), failed=True)


def _row(bench: Bench, bare: Bare, spec: MethodSpec, explainer: Explainer) -> Row:
    images, repeats = bench.subject.images, bench.plan.repeats

    def explain() -> int:
        return int(explainer(images).forwards.sum())

    found = divisible(explainer, spec, images)
    parts = None
    works: list[Work] = [explain]
    if found is None:
        explain()  # which warms up
    else:
        parts = parts_of(bench, found)
        works = [partial(found.do, parts.short), partial(found.do, parts.long)]
        if parts.long == parts.whole:
            parts, works = None, works[1:]
    return row_of(
        bench,
        bare,
        title_of(spec),
        works * repeats,
        lambda passes: passes / len(images),
        parts=parts,
        in_paper=seconds_in_paper(bench.subject.name, spec),
    )


def parts_of(bench: Bench, method: Divisible) -> Parts:
    """How much of `method` to time: a batch, and as much as takes about `PART_SECONDS`.

    The long part is the whole where that is no longer, or asked for.
    """
    short = method.least
    whole = method.whole()
    method.do(min(short, whole))
    if bench.plan.in_full or whole <= 2 * short:
        return Parts(short, whole, whole)
    start = bench.clock()
    method.do(short)
    batch_seconds = max(bench.clock() - start, PART_SECONDS / whole)
    long = max(2, int(PART_SECONDS / batch_seconds)) * short
    return Parts(short, min(long, whole), whole)
