r"""What else `sise.budget` could be: other features, shares, estimates, and centroids.

    python benchmarks/budget/variants.py --data $STEEL_DATA/neu_det --bundle_folder /tmp/neu50 \
        --scores /tmp/exact --out benchmarks/results/budget-variants --count 60

Correlation of the fused map with the exact one, at 2, 5 and 10 % of the passes.
"""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from jsonargparse import auto_cli
from rich.progress import track

sys.path.insert(0, str(Path(__file__).parents[1] / "neu_det"))

from compare import Layer, fused, read_images

from sise import SISE, bundle
from sise.budget import correlation
from sise.clusters import medoids
from sise.masks import pooled
from sise.sampling import MaskScorer, MaskSet

SHARES = (0.02, 0.05, 0.1)
Estimate = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def main(data: Path, bundle_folder: Path, scores: Path, out: Path, count: int = 60) -> None:
    """Compare the variants.

    Args:
        data: folder of NEU-DET.
        bundle_folder: the classifier that `exact.py` used.
        scores: folder that `exact.py` wrote.
        out: results, as OUT.json and OUT.md.
        count: images.
    """
    model = bundle.load(bundle_folder)
    explainer = SISE(model.model, backend="openvino", batch_size=32)
    found: dict[str, dict[float, list[float]]] = {}
    for known in track(list(read_images(data, model, scores, count))):
        exact = fused(known.layers, [layer.scores for layer in known.layers], known.size)
        scorer = explainer.engine.scorer(known.image, torch.tensor([known.target]))
        for share in SHARES:
            for name, run in VARIANTS.items():
                heat = run(known.layers, share, known.size, scorer)
                found.setdefault(name, {}).setdefault(share, []).append(
                    float(correlation(exact, heat))
                )
    lines = ["| variant | " + " | ".join(f"{share:.0%}" for share in SHARES) + " |"]
    lines.append("|---|" + "---|" * len(SHARES))
    summary = {}
    for name, per_share in found.items():
        medians = [float(torch.tensor(per_share[share]).median()) for share in SHARES]
        means = [float(torch.tensor(per_share[share]).mean()) for share in SHARES]
        summary[name] = {"median": medians, "mean": means}
        cells = [f"{a:.3f} ({b:.3f})" for a, b in zip(medians, means, strict=True)]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    out.with_suffix(".json").write_text(json.dumps({"images": count, **summary}, indent=1) + "\n")
    out.with_suffix(".md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def _medoid_variant(power: float, cells: int, estimate: Estimate):  # type: ignore[no-untyped-def]
    def run(
        layers: Sequence[Layer], share: float, size: tuple[int, int], _scorer: MaskScorer
    ) -> torch.Tensor:
        scores = []
        for layer, count in zip(layers, _shares(layers, share, power), strict=True):
            if not len(layer.masks) or not count:
                scores.append(torch.full_like(layer.scores, 0.5))
                continue
            points = pooled(layer.masks.values, size, cells)
            chosen = _medoids(points, count)
            scores.append(estimate(points, chosen, layer.scores[chosen]))
        return fused(layers, scores, size)

    return run


def _centroids(
    layers: Sequence[Layer], share: float, size: tuple[int, int], scorer: MaskScorer
) -> torch.Tensor:
    """The mean mask of each cluster is scored, and lends its score to the cluster."""
    mask_sets, clusters = [], []
    for layer, count in zip(layers, _shares(layers, share, 1.0), strict=True):
        points = pooled(layer.masks.values, size, 8)
        chosen = _medoids(points, count) if len(points) and count else torch.zeros(0).long()
        own = (
            torch.cdist(points, points[chosen]).argmin(1)
            if len(chosen)
            else torch.zeros(len(points), dtype=torch.int64)
        )
        means = [layer.masks.values[own == k].mean(dim=0) for k in range(len(chosen))]
        values = torch.stack(means) if means else layer.masks.values[:0]
        mask_sets.append(MaskSet(values, torch.zeros(len(values), dtype=torch.int64)))
        clusters.append(own)
    found = scorer(mask_sets)
    scores = [
        score[own] if len(score) else torch.full(own.shape, 0.5)
        for score, own in zip(found, clusters, strict=True)
    ]
    return fused(layers, scores, size)


def _shares(layers: Sequence[Layer], share: float, power: float) -> list[int]:
    """`share` of all masks, dealt out by (number of masks) to the `power`."""
    counts = torch.tensor([len(layer.masks) for layer in layers], dtype=torch.float64)
    total = int(share * float(counts.sum()))
    weights = torch.where(counts > 0, counts**power, 0.0)
    dealt = (weights.cumsum(0) / weights.sum() * total).floor().diff(prepend=torch.zeros(1))
    return [int(min(some, all_)) for some, all_ in zip(dealt, counts, strict=True)]


def _medoids(points: torch.Tensor, count: int) -> torch.Tensor:
    there = torch.ones((1, len(points)), dtype=torch.bool)
    return medoids(points[None], there, torch.tensor([count]))[0].nonzero()[:, 0]


def _nearest(points: torch.Tensor, chosen: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    return scores[torch.cdist(points, points[chosen]).argmin(1)]


def _inverse_distance(
    points: torch.Tensor, chosen: torch.Tensor, scores: torch.Tensor
) -> torch.Tensor:
    weights = 1 / (torch.cdist(points, points[chosen]).pow(4) + 1e-9)
    return (weights @ scores) / weights.sum(dim=1)


def _gaussian_process(
    points: torch.Tensor, chosen: torch.Tensor, scores: torch.Tensor
) -> torch.Tensor:
    """Exponential kernel; length and noise by leave-one-out error."""
    if len(chosen) < 4:
        return _nearest(points, chosen, scores)
    few = points[chosen]
    apart, among = torch.cdist(points, few), torch.cdist(few, few)
    scale, mean = among[among > 0].median(), scores.mean()
    best = (torch.inf, scores, 1.0)
    for length in (0.5, 1.0, 2.0, 4.0, 8.0):
        for noise in (1e-3, 1e-2, 1e-1):
            kernel = (-among / (length * scale)).exp() + noise * torch.eye(len(few))
            inverse = torch.linalg.inv(kernel.double()).float()
            weights = inverse @ (scores - mean)
            error = float((weights / inverse.diagonal()).square().mean())
            if error < best[0]:
                best = (error, weights, length)
    _, weights, length = best
    return ((-apart / (length * scale)).exp() @ weights + mean).clamp(0, 1)


VARIANTS = {
    "ours: 8×8 cells, shares in proportion, nearest": _medoid_variant(1.0, 8, _nearest),
    "equal shares": _medoid_variant(0.0, 8, _nearest),
    "shares by the root": _medoid_variant(0.5, 8, _nearest),
    "5×5 cells": _medoid_variant(1.0, 5, _nearest),
    "12×12 cells": _medoid_variant(1.0, 12, _nearest),
    "20×20 cells": _medoid_variant(1.0, 20, _nearest),
    "inverse distance": _medoid_variant(1.0, 8, _inverse_distance),
    "Gaussian process": _medoid_variant(1.0, 8, _gaussian_process),
    "centroids scored instead of medoids": _centroids,
}


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
