"""Rows of what scores masks: SISE's scoring alone, the registry's methods, SISE under budgets."""

import math
from collections.abc import Iterator, Sequence
from functools import partial

import torch

from sise.bench.machine import baseline_of
from sise.bench.method_rows import row_of_method
from sise.bench.parts import PartialEngine
from sise.bench.pieces import pieces
from sise.bench.plan import Row, Setting, Skipped, scores_masks, settings
from sise.bench.rows import Bare, Bench, bare_of, bare_row, row_of
from sise.bench.timing import Work
from sise.capture import capture, in_eval_mode
from sise.engine import Engine
from sise.engine import Settings as EngineSettings
from sise.errors import SiseError
from sise.explainer import SISE, select
from sise.explanation import Explainer
from sise.methods.rise import RISE
from sise.methods.scorecam import ScoreCAM
from sise.registry import MethodSpec, make_explainer, parse_spec
from sise.sampling import MaskScorer, MaskSet

_CELLS = 8


def rows_of_scoring(bench: Bench) -> Iterator[Row | Skipped]:
    """Bare forward and the plan's methods that score masks, for each of the plan's settings.

    A setting that this machine or model cannot run is passed over.
    """
    plan = bench.plan
    specs = [spec for spec in plan.specs() if scores_masks(spec.method)]
    if "budgets" in plan.methods:
        specs += [parse_spec(f"sise:budget={budget}") for budget in plan.budgets]
    if not specs and "scoring" not in plan.methods:
        return
    for setting in settings(plan, bench.subject.images.device):
        try:
            yield from _rows(bench, setting, specs)
        except SiseError as error:
            yield Skipped(str(setting), str(error), failed=True)


def _rows(bench: Bench, setting: Setting, specs: Sequence[MethodSpec]) -> Iterator[Row | Skipped]:
    images, plan = bench.subject.images, bench.plan
    baseline = baseline_of(images.device)
    bench.say(f"{setting}: making the network")
    engine = PartialEngine(
        bench.subject.model,
        EngineSettings(
            precision=setting.precision,
            batch_size=plan.batch_size,
            backend=setting.backend,
            compile=setting.compiled,
        ),
    )
    scorer = warmed(engine, images)
    network, batch = scorer.network, scorer.batch_size.value
    inputs = torch.randn(batch, *images.shape[1:], device=images.device).to(
        network.dtype, memory_format=torch.channels_last
    )
    bare = bare_of(bench, setting, lambda: network.forward(inputs), batch, baseline)
    yield bare_row(bench, bare)
    if "scoring" in plan.methods:
        yield _of_scoring(bench, bare, engine)
    for spec in specs:
        yield row_of_method(bench, bare, spec, partial(_sharing, engine, spec))


def _sharing(engine: PartialEngine, spec: MethodSpec) -> Explainer:
    """The explainer of `engine`'s model, run as `engine` is; by `engine` itself unless its options
    forbid it: one network, made once, for all rows."""
    run = engine.settings
    shared = {
        "precision": run.precision,
        "backend": run.backend,
        "compile": run.compile,
        "batch_size": run.batch_size,
    }
    explainer = make_explainer(spec, engine.model, shared)
    if isinstance(explainer, SISE | RISE | ScoreCAM) and explainer.engine.settings == run:
        explainer.engine = engine
    return explainer


def warmed(engine: Engine, images: torch.Tensor) -> MaskScorer:
    """A scorer of the first image that has scored a full batch of masks: what must be compiled
    is, and a batch that is too large has been halved."""
    with in_eval_mode(engine.model), torch.no_grad():
        first = images[:1].to(engine.exact_dtype(images.device))
        target = torch.zeros(1, dtype=torch.int64, device=images.device)
        scorer = engine.scorer(first, target)
        count = scorer.batch_size.value
        masks = torch.rand(count, _CELLS, _CELLS).to(first)
        scorer([MaskSet(masks, target.expand(count))])
        return scorer


def _of_scoring(bench: Bench, bare: Bare, engine: Engine) -> Row:
    mask_sets, scorer, explained = masks_of(engine, bench.subject.images)
    masks = sum(len(part) for part in mask_sets)
    if not masks:
        raise SiseError("no feature map has a positive gradient: there is nothing to score")
    works = list(_scoring(mask_sets, scorer, bare.batch_size * bare.batches))
    rounds = math.ceil(bench.plan.repeats / len(works))
    return row_of(
        bench,
        bare,
        "SISE, scoring alone",
        works * rounds,
        lambda _: masks / explained,
        limit=math.inf,
    )


def masks_of(engine: Engine, images: torch.Tensor) -> tuple[list[MaskSet], MaskScorer, int]:
    """The masks that SISE would score, what scores them, and of how many images they are.

    They are those of the first images, as many as are captured at once.
    """
    with in_eval_mode(engine.model):
        ours = images.to(engine.exact_dtype(images.device))
        ours = ours[: engine.captured_at_once(ours)]
        layers = engine.layers(ours)
        seen = capture(engine.exact_forward(ours.device), layers, ours, None, "log-odds")
        size = (ours.shape[2], ours.shape[3])
        selections = [
            select(features, gradients, mu=0.0, size=size)
            for features, gradients in zip(seen.features, seen.gradients, strict=True)
        ]
        mask_sets = [MaskSet(one.masks.values, one.owners) for one in selections]
        return mask_sets, engine.scorer(ours, seen.targets), len(ours)


def _scoring(mask_sets: Sequence[MaskSet], scorer: MaskScorer, count: int) -> Iterator[Work]:
    for piece in pieces(mask_sets, count):

        def score(piece: list[MaskSet] = piece) -> int:
            with torch.no_grad():
                return sum(len(scores) for scores in scorer(piece))

        yield score
