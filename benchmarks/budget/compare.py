r"""What a budget costs: maps from few passes against exact ones, on NEU-DET.

    python benchmarks/budget/compare.py --data $STEEL_DATA/neu_det --bundle_folder /tmp/neu50 \
        --scores /tmp/exact --out benchmarks/results/budget

Every strategy scores masks that exist, so its scores are read from `exact.py`'s files instead of
being computed again. Writes per-image rows (CSV) and a table of means (JSON and Markdown).
"""

import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jsonargparse import auto_cli
from rich.progress import track

sys.path.insert(0, str(Path(__file__).parents[1] / "neu_det"))

from data import Sample, images, read_samples, truth

from sise import bundle
from sise.blocks import find_blocks
from sise.budget import Estimate, correlation
from sise.capture import capture
from sise.fusion import fuse
from sise.masks import SmallMasks, attribution_masks, upsample
from sise.metrics import METRICS, MetricInput, ModelQuery, measure
from sise.precision import forward_in
from sise.sampling import MaskSet
from sise.selection import average_gradients, positive_gradient_maps

SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
TITLES = ("ebpg", "miou", "bbox", "drop", "increase")


@dataclass(frozen=True)
class Layer:
    """The selected masks (K) of one layer of one image, their α and their exact scores."""

    masks: SmallMasks
    alpha: torch.Tensor
    scores: torch.Tensor


Subset = Sequence[torch.Tensor]


def main(
    data: Path, bundle_folder: Path, scores: Path, out: Path, count: int | None = None
) -> None:
    """Compare the strategies.

    Args:
        data: folder of NEU-DET.
        bundle_folder: the classifier that `exact.py` used.
        scores: folder that `exact.py` wrote.
        out: results, as OUT.csv, OUT.json and OUT.md.
        count: images; all that were scored if left out.
    """
    model = bundle.load(bundle_folder)
    side = model.card.input_size[0]
    forward = forward_in(model.model, torch.float32)
    rows = []
    for known in track(list(read_images(data, model, scores, count))):
        where = torch.from_numpy(truth(known.sample, side))[None]
        with torch.no_grad():
            rows += _rows(known, where, forward)
    table = pd.DataFrame(rows)
    out.parent.mkdir(parents=True, exist_ok=True)
    table.round(5).to_csv(out.with_suffix(".csv"), index=False)
    summary = _summary(table)
    out.with_suffix(".json").write_text(json.dumps(summary, indent=1) + "\n")
    out.with_suffix(".md").write_text(_markdown(summary))
    print(_markdown(summary))


@dataclass(frozen=True)
class Known:
    """An image (1, 3, H, W) whose masks were all scored for the class `target`."""

    sample: Sample
    image: torch.Tensor
    target: int
    layers: tuple[Layer, ...]

    @property
    def size(self) -> tuple[int, int]:
        return self.image.shape[2], self.image.shape[3]


def read_images(
    data: Path, model: bundle.ModelBundle, scores: Path, count: int | None
) -> Iterator[Known]:
    """The images that `exact.py` scored, with their masks."""
    side = model.card.input_size[0]
    blocks = find_blocks(model.model, (side, side))
    forward = forward_in(model.model, torch.float32)
    by_name = {sample.name: sample for sample in read_samples(data)}
    for path in sorted(scores.glob("*.npz"))[:count]:
        known = np.load(path)
        sample = by_name[path.stem.partition("_")[2]]
        image = images([sample], side)
        seen = capture(forward, blocks, image, int(known["target"]), "log-odds")
        layers = []
        for index, (maps, slopes) in enumerate(zip(seen.features, seen.gradients, strict=True)):
            found = torch.from_numpy(known[f"l{index}"])
            kept = found.isfinite()
            masks = attribution_masks(maps[0, kept], (side, side))
            layers.append(Layer(masks, average_gradients(slopes)[0, kept], found[kept]))
        yield Known(sample, image, int(known["target"]), tuple(layers))


def _rows(
    known: Known, where: torch.Tensor, forward: Callable[[torch.Tensor], torch.Tensor]
) -> list[dict[str, object]]:
    layers, image, target, size = known.layers, known.image, known.target, known.size
    masks = sum(len(layer.masks) for layer in layers)
    exact = fused(layers, [layer.scores for layer in layers], size)
    made: list[tuple[str, float, int, float, torch.Tensor]] = [("exact", 1.0, masks, 0.0, exact)]
    for share in SHARES:
        passes = max(1, math.floor(share * masks))
        for strategy, run in STRATEGIES.items():
            start = time.perf_counter()
            heat, spent = run(layers, passes, size)
            made.append((strategy, share, spent, time.perf_counter() - start, heat))
    heat, spent = ada_sise(layers, size)
    made.append(("Ada-SISE", spent / masks, spent, 0.0, heat))
    alike = fused(layers, [torch.ones_like(layer.scores) for layer in layers], size)
    made.append(("all scores 1", 0.0, 0, 0.0, alike))
    maps = torch.cat([heat for *_, heat in made])
    targets = torch.full((len(maps),), target)
    inputs = MetricInput(
        maps,
        where.expand(len(maps), -1, -1),
        ModelQuery(
            image.expand(len(maps), -1, -1, -1),
            targets,
            lambda inputs, goals: _scores(forward, inputs, goals),
        ),
    )
    figures = measure(inputs, names=TITLES)
    alikeness = correlation(exact.expand_as(maps), maps)
    return [
        {
            "image": known.sample.name,
            "strategy": strategy,
            "share": share,
            "passes": spent,
            "masks": masks,
            "seconds": seconds,
            "correlation": float(alikeness[index]),
            **{title: float(figures[title][index]) for title in TITLES},
        }
        for index, (strategy, share, spent, seconds, _) in enumerate(made)
    ]


def _scores(
    forward: Callable[[torch.Tensor], torch.Tensor], inputs: torch.Tensor, goals: torch.Tensor
) -> torch.Tensor:
    logits = torch.cat([forward(part) for part in inputs.split(16)])
    return logits.softmax(1).gather(1, goals[:, None])[:, 0]


def fused(
    layers: Sequence[Layer], scores: Sequence[torch.Tensor], size: tuple[int, int]
) -> torch.Tensor:
    """The fused map (1, H, W) of all masks with these scores."""
    return _subset_map(layers, scores, [torch.ones_like(s, dtype=torch.bool) for s in scores], size)


def _subset_map(
    layers: Sequence[Layer],
    scores: Sequence[torch.Tensor],
    subset: Subset,
    size: tuple[int, int],
) -> torch.Tensor:
    maps = []
    for layer, score, chosen in zip(layers, scores, subset, strict=True):
        weights = (score / layer.masks.areas)[chosen]
        total = torch.einsum("k,khw->hw", weights, layer.masks.values[chosen])
        maps.append(upsample((total / max(int(chosen.sum()), 1))[None], size))
    return fuse(maps)


def clusters(
    layers: Sequence[Layer], passes: int, size: tuple[int, int]
) -> tuple[torch.Tensor, int]:
    """Ours: `sise.budget`, whose scorer looks the scores up."""
    estimate, look_up = estimated(layers, size)
    estimate.score(look_up, torch.tensor([passes]))  # type: ignore[arg-type]
    spent = int(torch.stack(estimate.scored).sum())
    return fused(layers, estimate.scores(), size), spent


def estimated(
    layers: Sequence[Layer], size: tuple[int, int]
) -> tuple[Estimate, Callable[[Sequence[MaskSet]], tuple[torch.Tensor, ...]]]:
    """An estimate of nothing scored yet, and a scorer that looks the exact scores up."""
    mask_sets = [
        MaskSet(layer.masks.values, torch.zeros(len(layer.masks), dtype=torch.int64))
        for layer in layers
    ]
    book = {
        mask.numpy().tobytes(): score
        for layer in layers
        for mask, score in zip(layer.masks.values, layer.scores, strict=True)
    }

    def look_up(few: Sequence[MaskSet]) -> tuple[torch.Tensor, ...]:
        return tuple(
            torch.tensor([float(book[mask.numpy().tobytes()]) for mask in part.masks])
            for part in few
        )

    return Estimate(mask_sets, 1, size), look_up


def random_subset(
    layers: Sequence[Layer], passes: int, size: tuple[int, int]
) -> tuple[torch.Tensor, int]:
    """As many masks of each layer as clusters takes, by lot."""
    generator = torch.Generator().manual_seed(0)
    order = [torch.rand(len(layer.masks), generator=generator) for layer in layers]
    return _best(layers, order, passes, size)


def top_alpha(
    layers: Sequence[Layer], passes: int, size: tuple[int, int]
) -> tuple[torch.Tensor, int]:
    """The masks of the largest α of each layer, in proportion to its masks."""
    return _best(layers, [layer.alpha for layer in layers], passes, size)


def threshold(
    layers: Sequence[Layer], passes: int, size: tuple[int, int]
) -> tuple[torch.Tensor, int]:
    """The paper's μ, as large as it must be for so few passes: the largest α/β of all layers."""
    relative = [
        layer.alpha / layer.alpha.max() if len(layer.alpha) else layer.alpha for layer in layers
    ]
    least = torch.cat(relative).sort(descending=True).values[passes - 1]
    subset = [ratio >= least for ratio in relative]
    exact = [layer.scores for layer in layers]
    return _subset_map(layers, exact, subset, size), int(sum(map(torch.sum, subset)))


def ada_sise(layers: Sequence[Layer], size: tuple[int, int]) -> tuple[torch.Tensor, int]:
    """Ada-SISE (Sudhakar et al., ICASSP 2021): of each layer Otsu's upper class of α."""
    subset = [
        positive_gradient_maps(layer.alpha[None], "otsu")[0]
        if len(layer.alpha)
        else layer.alpha > 0
        for layer in layers
    ]
    exact = [layer.scores for layer in layers]
    return _subset_map(layers, exact, subset, size), int(sum(map(torch.sum, subset)))


def _best(
    layers: Sequence[Layer], order: Sequence[torch.Tensor], passes: int, size: tuple[int, int]
) -> tuple[torch.Tensor, int]:
    total = sum(len(layer.masks) for layer in layers)
    subset, before, dealt = [], 0, 0
    for values in order:
        before += len(values)
        share = passes * before // total - dealt
        dealt += share
        chosen = torch.zeros_like(values, dtype=torch.bool)
        chosen[values.argsort(descending=True, stable=True)[:share]] = True
        subset.append(chosen)
    exact = [layer.scores for layer in layers]
    return _subset_map(layers, exact, subset, size), dealt


STRATEGIES = {
    "clusters": clusters,
    "random subset": random_subset,
    "top-k by α": top_alpha,
    "threshold μ": threshold,
}


def _summary(table: pd.DataFrame) -> dict[str, object]:
    exact = table[table["strategy"] == "exact"]
    generator = np.random.default_rng(0)
    draws = generator.integers(0, len(exact), (2000, len(exact)))
    intervals = {
        name: np.nanquantile(np.nanmean(exact[name].to_numpy()[draws], axis=1), [0.025, 0.975])
        for name in TITLES
    }
    lines = []
    for (strategy, share), rows in table.groupby(
        ["strategy", table["share"].where(table["strategy"] != "Ada-SISE", -1.0)], sort=False
    ):
        means = {name: float(rows[name].mean()) for name in TITLES}
        lines.append(
            {
                "strategy": strategy,
                "share": float(share),
                "passes": float(rows["passes"].mean()),
                "share_of_masks": float((rows["passes"] / rows["masks"]).mean()),
                "correlation_median": float(rows["correlation"].median()),
                "correlation_p10": float(rows["correlation"].quantile(0.1)),
                "seconds": float(rows["seconds"].median()),
                **means,
                "inside": [
                    name
                    for name in TITLES
                    if intervals[name][0] <= means[name] <= intervals[name][1]
                ],
            }
        )
    return {
        "images": len(exact),
        "masks": float(exact["passes"].mean()),
        "exact_intervals": {name: [float(edge) for edge in intervals[name]] for name in TITLES},
        "rows": lines,
    }


def _markdown(summary: dict[str, object]) -> str:
    head = (
        "| strategy | passes | share | median r | 10 % r | "
        + " | ".join(METRICS[name].title for name in TITLES)
        + " | inside |"
    )
    lines = [head, "|" + "---|" * (6 + len(TITLES))]
    for row in summary["rows"]:  # type: ignore[attr-defined]
        figures = " | ".join(f"{row[name]:.3f}" for name in TITLES)
        lines.append(
            f"| {row['strategy']} | {row['passes']:.0f} | {row['share_of_masks']:.1%} | "
            f"{row['correlation_median']:.3f} | {row['correlation_p10']:.3f} | {figures} | "
            f"{len(row['inside'])} of {len(TITLES)} |"
        )
    edges = " | ".join(
        f"{low:.3f} to {high:.3f}"
        for low, high in summary["exact_intervals"].values()  # type: ignore[attr-defined]
    )
    lines.append(f"| *95 % interval of exact* |  |  |  |  | {edges} |  |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
