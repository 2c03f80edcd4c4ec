"""How a row is measured: in turn with bare forward passes of its setting."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from sise.bench.machine import (
    PeakMemory,
    clock_of,
    flops_per_image,
    free_unused_memory,
    matrix_rate,
)
from sise.bench.plan import Plan, Row, Setting, Subject, word_of
from sise.bench.timing import Clock, Parts, Work, batches_lasting, in_turn
from sise.precision import Precision, resolve

Say = Callable[[str], None]

BARE = "bare forward"
BARE_SECONDS = 1.0
"""Each run of bare forward passes lasts about so long."""
ROW_SECONDS = 120.0
"""A row that has taken so long is not repeated: it has averaged over the machine's noise."""


@dataclass(frozen=True)
class Bench:
    """A subject on its machine: `flops` per image, and the matrix rate (FLOP/s) by precision."""

    subject: Subject
    plan: Plan
    clock: Clock
    say: Say
    flops: int
    matrix_rates: dict[Precision, float]


@dataclass(frozen=True)
class Bare:
    """Bare forward passes of one setting: `work` runs `batches` of `batch_size` images.

    `baseline` is the memory that was resident before the setting's network was made.
    """

    setting: Setting
    work: Work
    batch_size: int
    batches: int
    baseline: int | None


def prepare(subject: Subject, plan: Plan, say: Say) -> Bench:
    """Measure what all rows need. Raises SiseError for a precision that does not exist."""
    device = subject.images.device
    clock = clock_of(device)
    words: list[Precision] = ["fp32", *(word_of(one, device) for one in plan.precisions)]
    say("matrix rate of the device")
    rates = {
        word: matrix_rate(device, resolve(word, device), clock) for word in dict.fromkeys(words)
    }
    flops = flops_per_image(subject.model, subject.images[:1])
    return Bench(subject, plan, clock, say, flops, rates)


def bare_of(
    bench: Bench,
    setting: Setting,
    forward: Callable[[], object],
    batch_size: int,
    baseline: int | None,
) -> Bare:
    """`forward` runs one batch; it is warmed up here."""

    def once() -> None:
        with torch.no_grad():
            forward()

    batches = batches_lasting(BARE_SECONDS, once, bench.clock)

    def work() -> int:
        for _ in range(batches):
            once()
        return batch_size * batches

    return Bare(setting, work, batch_size, batches, baseline)


def row_of(
    bench: Bench,
    bare: Bare,
    method: str,
    works: Sequence[Work],
    passes: Callable[[int], float],
    limit: float = ROW_SECONDS,
    parts: Parts | None = None,
    in_paper: float | None = None,
) -> Row:
    """Time `works`; `passes` makes passes per image of those that the first work took.

    With `parts`, works are by turns a short and a long part of the whole.
    """
    bench.say(f"{bare.setting}: {method}")
    free_unused_memory()
    memory = PeakMemory(bench.subject.images.device, bare.baseline)
    together = 1 if parts is None else 2
    timing = in_turn(works, bare.work, bench.clock, memory.watch, limit, together)
    run = passes(timing.pairs[together - 1].passes)
    if parts is not None:
        timing = parts.extrapolate(timing)
    each = passes(timing.pairs[0].passes)
    return Row(
        method,
        bare.setting,
        bare.batch_size,
        passes=each,
        run=run,
        seconds=each / timing.rate,
        rate=timing.rate,
        ratio=timing.ratio,
        ratio_range=timing.ratio_range,
        pairs=len(timing.pairs),
        peak_memory=memory.peak,
        share=timing.rate * bench.flops / bench.matrix_rates[bare.setting.precision],
        in_paper=in_paper,
    )


def bare_row(bench: Bench, bare: Bare) -> Row:
    """Bare forward passes beside bare forward passes: how far the ratio strays is noise."""
    return row_of(bench, bare, BARE, [bare.work] * bench.plan.repeats, lambda _: 1.0)
