"""Merging the maps of overlapping tiles: does the strip's map show where tiles end?

    python -m benchmarks.steel.seams --bundle demo-out/run/bundle --strips demo-out/strips \\
        --json_out /tmp/seams.json

Tiles that the model flags are explained for the class it names, as in an inspection, with their
masks from the tile alone and from the strip around it; their maps are merged by the larger value
and by a feathered mean. Seam energy is the share of a strip's map within 8 px of an end of an
explained tile that is not the strip's end, over that region's share of the explained area: 1 is
even. EBPG is against the true defect.
"""

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from jsonargparse import auto_cli

from benchmarks.steel.items import STRIDE, strip_truths
from severstal_prep.console import track
from severstal_prep.images import read_image
from sise import SISE
from sise.baselines import FillName
from sise.bundle import load
from sise.context import tile_in_context
from sise.metrics import RIM
from sise.tiling import merge_tiles, tile_lefts

Map = npt.NDArray[np.float32]


def main(
    bundle: Path,
    strips: Path,
    json_out: Path,
    fill: FillName = "grey",
    budget: int = 100,
    backend: str = "openvino",
    threads: int = 1,
) -> None:
    """Measure every held-out strip on which the model flags a tile.

    Args:
        bundle: the model.
        strips: a folder of `severstal-prep sample --holdout`.
        json_out: where to write the result.
        fill: of SISE.
        budget: forward passes per explanation.
        backend: what runs the scored passes.
        threads: of the processor.
    """
    torch.set_num_threads(threads)
    model = load(bundle)
    explainer = SISE(model.model, fill=fill, budget=budget, backend=backend)
    width = model.card.input_size[1]
    found: dict[str, list[dict[str, float]]] = {}
    truths = strip_truths(strips)
    paths = sorted((strips / "test_images").glob("*.jpg"))
    for path in track(paths, len(paths), "strips"):
        strip = read_image(path)
        lefts = tile_lefts(strip.shape[1], width, STRIDE)
        inputs = model.preprocess(np.stack([strip[:, left : left + width] for left in lefts]))
        with torch.inference_mode():
            labels = model.model(inputs).argmax(dim=1)
        flagged = [index for index, label in enumerate(labels.tolist()) if label != 0]
        if not flagged:
            continue
        ends = [lefts[index] for index in flagged]
        around = model.preprocess(np.stack([tile_in_context(strip, left, width) for left in ends]))
        truth = truths.get(path.name, np.zeros(strip.shape[:2], np.bool_))
        for source, context in (("plain", None), ("strip", around)):
            explanation = explainer(inputs[flagged], labels[flagged], context)
            maps = [one.numpy() for one in explanation.maps]
            for way, merge in (("larger", larger), ("feathered", merge_tiles)):
                merged = merge(maps, ends, strip.shape[1], strip.shape[0])
                found.setdefault(f"{source}/{way}", []).append(
                    {
                        "strip": path.stem,
                        "tiles": len(ends),
                        "seam": seam_energy(merged, ends, width),
                        "ebpg": float(merged[truth].sum() / merged.sum())
                        if truth.any()
                        else float("nan"),
                    }
                )
    summary = {
        name: {
            "strips": len(rows),
            **{
                key: round(float(np.nanmean([row[key] for row in rows])), 4)
                for key in ("tiles", "seam", "ebpg")
            },
        }
        for name, rows in found.items()
    }
    print(json.dumps(summary, indent=1))
    json_out.write_text(json.dumps({"summary": summary, "strips": found}, indent=1) + "\n", "utf-8")


def larger(maps: list[Map], lefts: list[int], width: int, height: int) -> Map:
    """The larger value where tiles overlap."""
    merged = np.zeros((height, width), np.float32)
    for values, left in zip(maps, lefts, strict=True):
        window = merged[:, left : left + values.shape[1]]
        np.maximum(window, values, out=window)
    return merged


def seam_energy(merged: Map, lefts: list[int], size: int) -> float:
    """See the module; NaN where there is no such end."""
    width = merged.shape[1]
    seam, covered = np.zeros(width, np.bool_), np.zeros(width, np.bool_)
    for left in lefts:
        covered[left : left + size] = True
        if left > 0:
            seam[max(0, left - RIM) : left + RIM] = True
        if left + size < width:
            seam[left + size - RIM : left + size + RIM] = True
    seam &= covered
    columns = merged.sum(axis=0, dtype=np.float64)
    if not seam.any() or not columns.sum() > 0:
        return float("nan")
    return float((columns[seam].sum() / columns.sum()) / (seam.sum() / covered.sum()))


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
