"""Rows of SISE: its scoring alone, exact explanations, and explanations under budgets."""

import math
from collections.abc import Iterator, Sequence

import torch

from sise.bench.machine import baseline_of
from sise.bench.plan import Row, Setting, Skipped, settings
from sise.bench.rows import Bare, Bench, bare_of, bare_row, row_of
from sise.bench.timing import Work
from sise.budget import Budget
from sise.capture import borrowed, capture
from sise.engine import Engine
from sise.errors import SiseError
from sise.explainer import SISE, select
from sise.sampling import MaskScorer, Probes


def rows_of_sise(bench: Bench) -> Iterator[Row | Skipped]:
    """Bare forward and the plan's methods of SISE, for each of the plan's settings.

    A setting that this machine or model cannot run is passed over.
    """
    if not {"scoring", "exact", "budgets"} & set(bench.plan.methods):
        return
    for setting in settings(bench.plan, bench.subject.images.device):
        try:
            yield from _rows(bench, setting)
        except SiseError as error:
            yield Skipped(f"SISE, {setting}", str(error), failed=True)


def _rows(bench: Bench, setting: Setting) -> Iterator[Row]:
    images, plan = bench.subject.images, bench.plan
    baseline = baseline_of(images.device)
    bench.say(f"{setting}: making the network")
    engine = _explainer(bench, setting).engine
    probes, scorer, explained = masks_of(engine, images)
    if not any(len(part) for part in probes):
        raise SiseError("no feature map has a positive gradient: there is nothing to score")
    with torch.no_grad():
        # A full batch: what must be compiled is, and a batch that is too large is halved.
        scorer(next(pieces(probes, scorer.batch_size.value)))
    network, batch = scorer.network, scorer.batch_size.value
    inputs = torch.randn(batch, *images.shape[1:], device=images.device).to(
        network.dtype, memory_format=torch.channels_last
    )
    bare = bare_of(bench, setting, lambda: network.forward(inputs), batch, baseline)
    yield bare_row(bench, bare)
    if "scoring" in plan.methods:
        yield _of_scoring(bench, bare, probes, scorer, explained)
    budgets: list[Budget] = [None] if "exact" in plan.methods else []
    budgets += plan.budgets if "budgets" in plan.methods else []
    for budget in budgets:
        yield _of_explainer(bench, bare, engine, budget)


def _of_scoring(
    bench: Bench, bare: Bare, probes: Sequence[Probes], scorer: MaskScorer, explained: int
) -> Row:
    works = list(_scoring(probes, scorer, bare.batch_size * bare.batches))
    rounds = math.ceil(bench.plan.repeats / len(works))
    masks = sum(len(part) for part in probes)
    return row_of(
        bench,
        bare,
        "SISE, scoring alone",
        works * rounds,
        lambda _: masks / explained,
        limit=math.inf,
    )


def _of_explainer(bench: Bench, bare: Bare, engine: Engine, budget: Budget) -> Row:
    images = bench.subject.images
    explainer = _explainer(bench, bare.setting, budget)
    explainer.engine = engine  # one network, made once, for all rows

    def explain() -> int:
        return int(explainer(images).forwards.sum())

    name = "SISE, exact" if budget is None else f"SISE, budget {budget}"
    works = [explain] * bench.plan.repeats
    return row_of(bench, bare, name, works, lambda passes: passes / len(images))


def _explainer(bench: Bench, setting: Setting, budget: Budget = None) -> SISE:
    return SISE(
        bench.subject.model,
        budget=budget,
        precision=setting.precision,
        batch_size=bench.plan.batch_size,
        backend=setting.backend,
        compile=setting.compiled,
    )


def masks_of(engine: Engine, images: torch.Tensor) -> tuple[list[Probes], MaskScorer, int]:
    """The masks that SISE would score, what scores them, and of how many images they are.

    They are those of the first images, as many as are captured at once.
    """
    with borrowed(engine.model):
        ours = images.to(engine.exact_dtype(images.device))
        ours = ours[: engine.captured_at_once(ours)]
        layers = engine.layers(ours)
        seen = capture(engine.exact_forward(ours.device), layers, ours, None, "log-odds")
        size = (ours.shape[2], ours.shape[3])
        selections = [
            select(features, gradients, mu=0.0, size=size)
            for features, gradients in zip(seen.features, seen.gradients, strict=True)
        ]
        probes = [Probes(one.masks.values, one.owners) for one in selections]
        return probes, engine.scorer(ours, seen.targets), len(ours)


def pieces(probes: Sequence[Probes], count: int) -> Iterator[list[Probes]]:
    """All masks in order, `count` at a time; a piece may hold masks of several layers."""
    left, piece = count, []
    for part in probes:
        start = 0
        while start < len(part):
            stop = min(start + left, len(part))
            piece.append(Probes(part.masks[start:stop], part.owners[start:stop]))
            left -= stop - start
            start = stop
            if left == 0:
                yield piece
                left, piece = count, []
    if piece:
        yield piece


def _scoring(probes: Sequence[Probes], scorer: MaskScorer, count: int) -> Iterator[Work]:
    for piece in pieces(probes, count):

        def score(piece: list[Probes] = piece) -> int:
            with torch.no_grad():
                return sum(len(scores) for scores in scorer(piece))

        yield score
