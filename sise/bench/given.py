"""Rows of the model as it was given, in float32: methods of gradients, and other libraries'."""

from collections.abc import Iterator
from functools import partial

import torch

from sise.batches import auto_batch_size
from sise.bench.machine import baseline_of
from sise.bench.method_rows import row_of_method
from sise.bench.plan import Row, Setting, Skipped, scores_masks
from sise.bench.rivals import RIVALS, Rival, counting_passes
from sise.bench.rows import Bare, Bench, bare_of, bare_row, row_of
from sise.blocks import Layer, find_blocks
from sise.registry import make_explainer


def rows_as_given(bench: Bench) -> Iterator[Row | Skipped]:
    """Bare forward, and those of the plan's methods that score no masks of ours."""
    model, images, plan = bench.subject.model, bench.subject.images, bench.plan
    specs = [spec for spec in plan.specs() if not scores_masks(spec.method)]
    rivals = [rival for name, rival in RIVALS.items() if name in plan.methods]
    if not specs and not rivals:
        return
    size = (images.shape[2], images.shape[3])
    batch = auto_batch_size(size, images.device) if plan.batch_size == "auto" else plan.batch_size
    baseline = baseline_of(images.device)
    inputs = torch.randn(batch, *images.shape[1:], device=images.device)
    setting = Setting("fp32", as_given=True)
    bare = bare_of(bench, setting, lambda: model(inputs), batch, baseline)
    yield bare_row(bench, bare)
    shared = {"precision": "fp32", "batch_size": plan.batch_size}
    for spec in specs:
        yield row_of_method(bench, bare, spec, partial(make_explainer, spec, model, shared))
    if rivals:
        layer = find_blocks(model, size)[-1]
        for rival in rivals:
            yield _of_rival(bench, bare, rival, layer)


def _of_rival(bench: Bench, bare: Bare, rival: Rival, layer: Layer) -> Row | Skipped:
    library = rival.load()
    if library is None:
        return Skipped(rival.title, f"not installed; {rival.install}", failed=False)
    model, image = bench.subject.model, bench.subject.images[:1]

    def explain() -> int:
        with counting_passes(model) as sizes:
            rival.explain(library, model, layer, image, bare.batch_size)
        return sum(sizes)

    try:
        return row_of(bench, bare, rival.title, [explain] * bench.plan.repeats, float)
    except Exception as error:  # another library's failure must not cost the other rows
        return Skipped(rival.title, f"{type(error).__name__}: {error}", failed=False)
