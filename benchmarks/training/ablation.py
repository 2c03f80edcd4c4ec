r"""One change of a recipe at a time, over seeds: accuracy, calibration, maps and seconds.

    python benchmarks/training/ablation.py run --plan benchmarks/training/ablation.yaml \
        --data neu112 --out /tmp/ablation
    python benchmarks/training/ablation.py table --out /tmp/ablation --json ablation.json

`run` continues where it stopped. Each run keeps its answers to the held-out crops, so that `table`
compares with the first row crop by crop: differences are paired, and their intervals are of
groups of crops that were drawn again.
"""

import contextlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import yaml
from jsonargparse import auto_cli
from scipy.special import softmax

from severstal_prep.dataset import read_manifest
from severstal_prep.images import read_image
from sise import SISE, bundle
from sise.metrics import KEPT_SHARE, drop, ebpg, top_share
from training.calibration import expected_calibration_error
from training.cli import main as defect_train
from training.crops import read_mask, read_recast
from training.data import CropDataset, crop_loader
from training.evaluate import predict

INSPECTION: dict[str, Any] = {
    "evidence": "removed",
    "fusion": "geometric",
    "fill": "mean",
    "context": "reflect",
    "budget": 98,
}
RESAMPLES = 2000


def run(
    plan: Path,
    data: Path,
    out: Path,
    rows: list[str] | None = None,
    seeds: list[int] = [0, 1, 2],  # noqa: B006
    maps: int = 30,
) -> None:
    """Train and measure every row of a plan.

    Args:
        plan: YAML of `base` (options of fit) and `rows` (name: options that differ).
        data: recast dataset.
        out: folder of the runs.
        rows: which rows; null: all.
        seeds: of the trainings.
        maps: how many held-out crops with a defect are explained (0: none).
    """
    content = yaml.safe_load(plan.read_text("utf-8"))
    for row in rows or list(content["rows"]):
        for seed in seeds:
            folder = out / data.name / row / str(seed)
            if (folder / "answers.npz").is_file():
                continue
            options = [*content["base"], *content["rows"][row]]
            begun = time.process_time()
            where = ["--data.root", str(data), "--seed_everything", str(seed), "--out", str(folder)]
            with contextlib.redirect_stdout(None):
                code = defect_train(["fit", *options, *where])
            assert code == 0, f"{folder}: fit ended with {code}"
            measure(folder, data, maps, time.process_time() - begun)


def measure(folder: Path, data: Path, maps: int, seconds: float) -> None:
    """Write the bundle's answers to the test crops, and its maps' figures, to `answers.npz`."""
    model = bundle.load(folder / "bundle")
    crops = read_recast(data).crops("test")
    loader = crop_loader(CropDataset(crops), 64, 0)
    card = model.card
    logits, labels = predict(model.model, card.mean, card.std, loader, "fp32")
    found = explained(model, data, maps)
    np.savez(
        folder / "answers.npz", logits=logits, labels=labels, seconds=np.array(seconds), **found
    )


def explained(
    model: bundle.ModelBundle, data: Path, maps: int
) -> dict[str, npt.NDArray[np.float64]]:
    """EBPG and Drop by grey of inspection's maps of test crops with a defect, for its class."""
    test = read_manifest(data).query("split == 'test' and mask_path != ''")
    chosen = test.sample(min(maps, len(test)), random_state=0) if maps else test[:0]
    explainer = SISE(model.model, batch_size=16, **INSPECTION)
    values: dict[str, list[float]] = {"ebpg": [], "drop": []}
    for crop in chosen.itertuples():
        image = model.preprocess(np.stack([read_image(data / crop.crop_path)]))
        truth = torch.from_numpy(read_mask(data / crop.mask_path).astype(bool))[None]
        heat = explainer(image, target=int(crop.class_id)).maps.cpu().float()
        values["ebpg"].append(float(ebpg(heat, truth)))
        values["drop"].append(_drop(model, image, heat, int(crop.class_id)))
    return {name: np.array(value) for name, value in values.items()}


def _drop(model: bundle.ModelBundle, image: torch.Tensor, heat: torch.Tensor, label: int) -> float:
    kept = image * top_share(heat, KEPT_SHARE)[:, None]
    with torch.inference_mode():
        scores = model.model(torch.cat([image, kept])).softmax(dim=1)[:, label]
    return float(drop(scores[:1], scores[1:])) if heat.max() > 0 else float("nan")


@dataclass(frozen=True)
class Answers:
    """What the seeds of one row said: logits (S, N, C), labels (N,), and figures per seed."""

    seeds: tuple[str, ...]
    logits: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int64]
    seconds: npt.NDArray[np.float64]
    maps: dict[str, npt.NDArray[np.float64]]

    def figures(self, weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Top-1, macro recall and the rarest class's recall (B, 3), means over the seeds, with
        `weights` (B, N) of the crops."""
        right = (self.logits.argmax(axis=2) == self.labels).mean(axis=0)
        classes = self.labels[:, None] == np.unique(self.labels)
        recalls = (weights * right) @ classes / np.maximum(weights @ classes, 1e-12)
        rarest = int(classes.sum(axis=0).argmin())
        top1 = weights @ right / weights.sum(axis=1)
        return np.stack([top1, recalls.mean(axis=1), recalls[:, rarest]], axis=1)

    def of(self, seeds: Sequence[str]) -> "Answers":
        """The answers of some of the seeds."""
        some = [self.seeds.index(seed) for seed in seeds]
        maps = {name: values[some] for name, values in self.maps.items()}
        return Answers(tuple(seeds), self.logits[some], self.labels, self.seconds[some], maps)

    def ece(self) -> float:
        errors = [
            expected_calibration_error(softmax(one, axis=1), self.labels) for one in self.logits
        ]
        return float(np.mean(errors))


def read(folder: Path) -> Answers:
    """The answers of all seeds of a row."""
    paths = sorted(folder.glob("*/answers.npz"))
    files = [np.load(path) for path in paths]
    return Answers(
        tuple(path.parent.name for path in paths),
        np.stack([file["logits"] for file in files]),
        files[0]["labels"],
        np.array([float(file["seconds"]) for file in files]),
        {name: np.stack([file[name] for file in files]) for name in ("ebpg", "drop")},
    )


def table(out: Path, data: list[Path], plan: Path, json_file: Path | None = None) -> None:
    """Print each dataset's rows beside the first, and write them as JSON.

    Args:
        out: folder of the runs.
        data: the recast datasets.
        plan: the YAML that `run` had.
        json_file: where the figures go.
    """
    names = list(yaml.safe_load(plan.read_text("utf-8"))["rows"])
    found = {}
    for dataset in data:
        done = [name for name in names if list((out / dataset.name / name).glob("*/answers.npz"))]
        if not done:
            continue
        found[dataset.name] = compare(
            {name: read(out / dataset.name / name) for name in done}, weights_of(dataset)
        )
        print(f"\n{dataset.name}\n" + "\n".join(lines(found[dataset.name])))
    if json_file is not None:
        json_file.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


def weights_of(data: Path) -> npt.NDArray[np.float64]:
    """How often each test crop (N,) was drawn, in RESAMPLES + 1 draws of groups; first, once."""
    groups = read_manifest(data).query("split == 'test'")["group_id"].to_numpy()
    ids, place = np.unique(groups, return_inverse=True)
    draws = np.random.default_rng(0).multinomial(len(ids), [1 / len(ids)] * len(ids), RESAMPLES)
    return np.concatenate([np.ones((1, len(groups))), draws[:, place]]).astype(np.float64)


def compare(
    rows: dict[str, Answers], weights: npt.NDArray[np.float64]
) -> dict[str, dict[str, Any]]:
    """Per row: means over seeds; differences to the first row, by 95 % intervals, seed by seed."""
    first = next(iter(rows.values()))
    compared = {}
    for name, row in rows.items():
        base = first.of(row.seeds)
        base_figures = base.figures(weights)
        figures = row.figures(weights)
        away = figures - base_figures
        low, high = np.quantile(away[1:], [0.025, 0.975], axis=0)
        seeds = [row.of([seed]).figures(weights[:1])[0] for seed in row.seeds]
        compared[name] = {
            "seeds": len(row.logits),
            "seconds": float(row.seconds.mean()),
            "ece": row.ece(),
            **{key: float(np.nanmean(values)) for key, values in row.maps.items() if values.size},
            **{
                key: {
                    "mean": float(figures[0, i]),
                    "away": float(away[0, i]),
                    "interval": [float(low[i]), float(high[i])],
                    "by_seed": [float(one[i]) for one in seeds],
                }
                for i, key in enumerate(("top1", "macro_recall", "rarest"))
            },
            **_maps_away(row, base),
        }
    return compared


def _maps_away(row: Answers, base: Answers) -> dict[str, Any]:
    found = {}
    generator = np.random.default_rng(0)
    for key, values in row.maps.items():
        if values.size:
            away = np.nanmean(values, axis=0) - np.nanmean(base.maps[key], axis=0)
            draws = generator.choice(away[~np.isnan(away)], (RESAMPLES, len(away))).mean(axis=1)
            found[f"{key}_interval"] = [float(np.quantile(draws, tail)) for tail in (0.025, 0.975)]
    return found


def lines(rows: dict[str, dict[str, Any]]) -> Sequence[str]:
    """The rows as a Markdown table; a star marks a difference whose interval excludes 0."""
    head = ["change", "seeds", "top-1", "macro recall", "rarest", "ECE", "EBPG", "Drop", "CPU s"]
    text = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name, row in rows.items():
        cells = [name, str(row["seeds"])]
        for key in ("top1", "macro_recall", "rarest"):
            cells.append(f"{100 * row[key]['mean']:.1f}" + _star(row[key]["interval"]))
        cells.append(f"{100 * row['ece']:.1f}")
        for key in ("ebpg", "drop"):
            shown = f"{100 * row[key]:.1f}{_star(row[f'{key}_interval'])}" if key in row else "-"
            cells.append(shown)
        text.append("| " + " | ".join([*cells, f"{row['seconds']:.0f}"]) + " |")
    return text


def _star(interval: Sequence[float]) -> str:
    return "*" if interval[0] > 0 or interval[1] < 0 else ""


if __name__ == "__main__":
    auto_cli([run, table], as_positional=False)
