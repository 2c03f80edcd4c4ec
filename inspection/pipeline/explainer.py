"""Patches to explanation maps, and maps to how far they can be trusted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from skimage.filters import threshold_otsu

from inspection.pipeline.classifier import Classifier
from inspection.pipeline.outlines import svg_path
from inspection.store.frames import arrays, rows
from sise.baselines import FillName, Masker
from sise.budget import Budget
from sise.context import Continuation
from sise.evidence import Evidence
from sise.explainer import SISE
from sise.explanation import Explainer
from sise.fusion import Fusion
from sise.metrics import KEPT_SHARE, drop, top_share
from sise.presets import BUDGET, CONTEXT, EVIDENCE, FILL, FUSION, MU

FILL_IN_WORDS: Mapping[FillName, str] = {
    "grey": "mean grey (0 in the model's normalised input)",
    "mean": "the patch's own mean",
    "blur": "the patch, blurred",
    "inpaint": "what the remaining pixels suggest (inpainting)",
}
EVIDENCE_IN_WORDS: Mapping[Evidence, str] = {
    "kept": "the probability of the class when only its part of the patch is kept",
    "removed": "what the class loses when its part of the patch is removed",
    "both": "the mean of what the class keeps by its part of the patch and loses without it",
    "none": "the same for all masks",
}


@dataclass(frozen=True)
class SiseOptions:
    """How flagged patches are explained; `sise.SISE` has what each option means.

    Unlike the library, inspection explains under a budget (docs/budget.md).
    """

    budget: Budget = BUDGET
    fill: FillName = FILL
    context: Continuation | None = CONTEXT
    evidence: Evidence = EVIDENCE
    fusion: Fusion = FUSION


def make_explainer(
    classifier: Classifier, options: SiseOptions, batch_size: int | Literal["auto"]
) -> SISE:
    """SISE on the classifier's model, scored by its network; `batch_size` counts masked images."""
    explainer = SISE(
        classifier.bundle.model,
        mu=MU,
        fusion=options.fusion,
        budget=options.budget,
        fill=options.fill,
        context=options.context,
        evidence=options.evidence,
        precision=classifier.precision,
        backend=classifier.backend,
        batch_size=batch_size,
    )
    explainer.engine.score_by(classifier.network, classifier.device)
    return explainer


def explain(patches: pd.DataFrame, classifier: Classifier, explainer: Explainer) -> pd.DataFrame:
    """Stage "explain": add map, map_status and forwards to rows with pixels and target.

    `pixels` is (H, W, 3) uint8, `target` a class name. `map` is (H, W) float32 in [0, 1],
    zeros where `map_status` is not "ok". One patch is explained at a time, so that its map
    does not depend on which others come with it.
    """
    maps, statuses, forwards = [], [], []
    for patch in rows(patches):
        image = _input(patch.pixels, classifier)
        explanation = explainer(image, target=classifier.classes.index(patch.target))
        maps.append(explanation.maps[0].cpu().numpy().astype(np.float32))
        statuses.append(explanation.status[0])
        forwards.append(int(explanation.forwards[0]))
    return patches.assign(
        map=arrays(maps, patches),
        map_status=statuses,
        forwards=forwards,
    )


def _input(pixels: npt.NDArray[np.uint8], classifier: Classifier) -> torch.Tensor:
    # Stacking copies: decoded images are read-only, which PyTorch warns of.
    return classifier.bundle.preprocess(np.stack([pixels])).to(classifier.device)


def measure(patches: pd.DataFrame, classifier: Classifier, fill: FillName) -> pd.DataFrame:
    """Stage "measure": add faithfulness and the explained region to rows of `explain`.

    `whole_score`, `kept_score`, `removed_score`: the target's probability on the whole patch,
    on the top 15 % of the map alone, and on the rest alone; the other pixels become `fill`
    (see `FILL_IN_WORDS`). `drop` is the paper's Drop of this one patch (see
    `sise.metrics.drop`). `region_area` (px) and region_left, _top, _width, _height
    (px inside the patch, the bounding box) describe where the map exceeds its Otsu threshold.
    All are NaN without a map. `region_contour` are the outlines of the same pixels, see
    `outlines.svg_path`; "" without a map.
    """
    measured = [
        _measure_patch(patch.pixels, patch.map, patch.target, classifier, fill)
        for patch in rows(patches)
    ]
    contours = [svg_path(region(heat)) if _is_map(heat) else "" for heat in patches["map"]]
    return patches.assign(
        **{name: [row[name] for row in measured] for name in MEASURES}, region_contour=contours
    )


MEASURES = (
    "whole_score",
    "kept_score",
    "removed_score",
    "drop",
    "region_area",
    "region_left",
    "region_top",
    "region_width",
    "region_height",
)


def _measure_patch(
    pixels: npt.NDArray[np.uint8],
    heat: npt.NDArray[np.float32],
    target: str,
    classifier: Classifier,
    fill: FillName,
) -> dict[str, float]:
    if not _is_map(heat):
        return dict.fromkeys(MEASURES, float("nan"))
    top = top_share(torch.tensor(heat)[None], KEPT_SHARE)[0]
    keep = torch.stack([torch.ones_like(top), top, ~top]).to(classifier.device)
    owners = torch.zeros(len(keep), dtype=torch.int64, device=classifier.device)
    inputs = Masker(_input(pixels, classifier), fill).masked(owners, keep)
    with torch.inference_mode():
        logits = classifier.network.forward(inputs).float()
    scores = logits.softmax(dim=1)[:, classifier.classes.index(target)]
    figures = [*scores.tolist(), drop(scores[0], scores[1]).item(), *explained_region(heat)]
    return dict(zip(MEASURES, figures, strict=True))


def _is_map(heat: npt.NDArray[np.float32]) -> bool:
    return bool(heat.max() > heat.min())


def region(heat: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """The pixels (H, W) where a map exceeds its Otsu threshold; it must not be constant."""
    found: npt.NDArray[np.bool_] = heat > float(threshold_otsu(heat))  # type: ignore[no-untyped-call]
    return found


def explained_region(heat: npt.NDArray[np.float32]) -> tuple[int, int, int, int, int]:
    """Area and bounding box (left, top, width, height) in px of `region`."""
    pixels = region(heat)
    across, down = np.flatnonzero(pixels.any(axis=0)), np.flatnonzero(pixels.any(axis=1))
    left, top = int(across[0]), int(down[0])
    width, height = int(across[-1]) - left + 1, int(down[-1]) - top + 1
    return int(pixels.sum()), left, top, width, height
