"""SISE on steel: fills × context, over the paper's metrics, border energy and Drop under each fill.

    python -m benchmarks.steel.measure --bundle /tmp/neu50 --neu_det_folder $STEEL_DATA/neu_det \\
        --out /tmp/steel.csv
    python -m benchmarks.steel.measure --bundle demo-out/run/bundle --strips demo-out/strips \\
        --out /tmp/steel.csv

One row per image and variant is appended to the CSV file as it is measured; what is there already
is not measured again. `summary.py` makes tables of it.
"""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from jsonargparse import auto_cli

from benchmarks.steel.items import Item, neu_det, strip_tiles
from benchmarks.steel.variants import (
    FILLS,
    ON_IMAGES,
    ON_STRIPS,
    Variant,
)
from severstal_prep.console import note, track
from sise import SISE
from sise.baselines import masked
from sise.bundle import load
from sise.explanation import OK
from sise.logits import probabilities
from sise.methods.trivial import CentreGaussian, Noise
from sise.metrics import (
    KEPT_SHARE,
    bbox,
    border_energy,
    drop,
    ebpg,
    has_order,
    increase,
    miou,
    top_share,
)
from sise.precision import Forward, forward_in

# Images explained at once: the batches of masked images are filled better.
CHUNK = 5
TRUTH_METRICS = {"ebpg": ebpg, "miou": miou, "bbox": bbox}
FIELDS = (
    "part", "item", "variant", "target", "status", "forwards", "score", "border", *TRUTH_METRICS,
    *(f"{metric}_{fill}" for metric in ("drop", "increase") for fill in FILLS),
)  # fmt: skip


def main(
    bundle: Path,
    out: Path,
    neu_det_folder: Path | None = None,
    strips: Path | None = None,
    images: int = 150,
    normals: int = 40,
    budget: int = 100,
    backend: str = "openvino",
    threads: int = 1,
    variants: list[str] | None = None,
) -> None:
    """Measure and append to a CSV file.

    Args:
        bundle: the model.
        out: the CSV file.
        neu_det_folder: NEU-DET; its held-out images are explained.
        strips: a folder of `severstal-prep sample --holdout`; its held-out tiles are explained.
        images: how many images of NEU-DET, or tiles with a defect.
        normals: how many tiles without a defect.
        budget: forward passes per explanation.
        backend: what runs the scored passes.
        threads: of the processor.
        variants: names of the variants to measure, such as reflect/blur; all if left out.
    """
    torch.set_num_threads(threads)
    model = load(bundle)
    if neu_det_folder is not None:
        part, chosen = "neu-det", ON_IMAGES
        items = neu_det(neu_det_folder, model, images)
    else:
        assert strips is not None, "give --neu_det_folder or --strips"
        part, chosen = "strips", ON_STRIPS
        items = _some(list(strip_tiles(strips, model)), images, normals)
    chosen = tuple(one for one in chosen if variants is None or one.name in variants)
    forward = forward_in(model.model, torch.float32)
    done = _done(out)
    with out.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, FIELDS)
        if not done:
            writer.writeheader()
        wanted = [item for item in items if (part, item.name, "centre") not in done]
        for item in track(wanted, len(wanted), "baselines"):
            for name, maps in _baselines(item, model.model).items():
                writer.writerow(_row(part, item, name, maps, OK, 0, forward))
            stream.flush()
        for variant in chosen:
            explainer = variant.explainer(
                model.model, budget=budget, backend=backend, precision="auto"
            )
            wanted = [item for item in items if (part, item.name, variant.name) not in done]
            chunks = [wanted[start : start + CHUNK] for start in range(0, len(wanted), CHUNK)]
            for few in track(chunks, len(chunks), variant.name):
                for row in _explained(part, few, variant, explainer, forward):
                    writer.writerow(row)
                stream.flush()
    note(f"{out}: {len(items)} images of {part}, {len(chosen)} variants")


def _explained(
    part: str, items: Sequence[Item], variant: Variant, explainer: SISE, forward: Forward
) -> Iterator[dict[str, object]]:
    around = [item.around for item in items if item.around is not None]
    explanation = explainer(
        torch.stack([item.image for item in items]),
        target=[item.target for item in items],
        context=variant.context(torch.stack(around) if around else None),
    )
    for item, heat, status, forwards in zip(
        items, explanation.maps, explanation.status, explanation.forwards.tolist(), strict=True
    ):
        yield _row(part, item, variant.name, heat, status, forwards, forward)


def _some(items: Sequence[Item], images: int, normals: int) -> list[Item]:
    defective = [item for item in items if item.truth.any()]
    clean = [item for item in items if not item.truth.any()]
    return [*_every(defective, images), *_every(clean, normals)]


def _every(items: Sequence[Item], count: int) -> list[Item]:
    count = min(count, len(items))
    return [items[index * len(items) // count] for index in range(count)]


def _baselines(item: Item, model: torch.nn.Module) -> dict[str, torch.Tensor]:
    made = {"centre": CentreGaussian(model), "noise": Noise(model)}
    maps = {name: explain(item.image[None]).maps[0] for name, explain in made.items()}
    if item.truth.any():
        maps["truth"] = torch.from_numpy(item.truth).float()
    return maps


def _row(
    part: str, item: Item, name: str, heat: torch.Tensor, status: str, forwards: int,
    forward: Forward,
) -> dict[str, object]:  # fmt: skip
    maps, truth = heat[None].float(), torch.from_numpy(item.truth)[None]
    images, targets = item.image[None], torch.tensor([item.target])
    top = top_share(maps, KEPT_SHARE)
    inputs = torch.cat([images, *(masked(images, top.float(), fill) for fill in FILLS)])
    with torch.inference_mode():
        scores = probabilities(forward(inputs), targets.expand(len(inputs)))
    whole = scores[:1]
    row: dict[str, object] = {
        "part": part if item.truth.any() else f"{part}, normal",
        "item": item.name,
        "variant": name,
        "target": item.target,
        "status": status,
        "forwards": forwards,
        "score": whole.item(),
        "border": border_energy(maps).item(),
    }
    row |= {key: metric(maps, truth).item() for key, metric in TRUTH_METRICS.items()}
    for fill, kept in zip(FILLS, scores[1:], strict=True):
        one = torch.where(has_order(maps), kept[None], torch.nan)
        row |= {f"drop_{fill}": drop(whole, one).item()}
        row |= {f"increase_{fill}": increase(whole, one).item()}
    return {
        key: round(value, 5) if isinstance(value, float | np.floating) else value
        for key, value in row.items()
    }


def _done(out: Path) -> set[tuple[str, str, str]]:
    if not out.is_file():
        return set()
    with out.open(newline="") as stream:
        return {
            (row["part"].removesuffix(", normal"), row["item"], row["variant"])
            for row in csv.DictReader(stream)
        }


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
