"""The pictures of docs/steel.md: maps before and after.

    python -m benchmarks.steel.pictures --bundle demo-out/run/bundle --strips demo-out/strips \\
        --items A@0 B@224 --out docs/steel-tiles.jpg
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import torch
from jsonargparse import auto_cli

from benchmarks.steel.items import Item, neu_det, strip_tiles
from benchmarks.steel.variants import PLAIN, Variant
from sise.baselines import FillName
from sise.bundle import ModelBundle, load
from sise.overlay import overlay


def main(
    bundle: Path,
    items: list[str],
    out: Path,
    strips: Path | None = None,
    neu_det_folder: Path | None = None,
    source: str = "reflect",
    fill: FillName = "grey",
    images: int = 150,
    budget: int = 100,
    backend: str = "openvino",
    threads: int = 1,
) -> None:
    """One row of pictures per image: the image, its truth, plain SISE, SISE as in the title.

    Args:
        bundle: the model.
        items: names as in the CSV file of `measure.py`.
        out: the JPEG file.
        strips: a folder of `severstal-prep sample --holdout`.
        neu_det_folder: NEU-DET.
        source: see `variants.Variant`.
        fill: see `variants.Variant`.
        images: as given to `measure.py`.
        budget: forward passes per explanation.
        backend: what runs the scored passes.
        threads: of the processor.
    """
    torch.set_num_threads(threads)
    model = load(bundle)
    if neu_det_folder is not None:
        known = {item.name: item for item in neu_det(neu_det_folder, model, images)}
    else:
        assert strips is not None, "give --strips or --neu_det_folder"
        known = {item.name: item for item in strip_tiles(strips, model)}
    after = Variant(fill, source)
    explainers = [
        (variant, variant.explainer(model.model, budget=budget, backend=backend))
        for variant in (PLAIN, after)
    ]
    figure, axes = plt.subplots(
        len(items), 4, figsize=(8, 2.1 * len(items)), squeeze=False, layout="constrained"
    )
    for row, name in zip(axes, items, strict=True):
        item = known[name]
        pixels = _pixels(item, model)
        outlined = pixels.copy()
        outlined[_outline(item.truth)] = (255, 40, 40)
        pictures = [pixels, outlined]
        for variant, explainer in explainers:
            around = None if item.around is None else item.around[None]
            explanation = explainer(item.image[None], item.target, variant.context(around))
            pictures.append(overlay(pixels, explanation.maps[0].numpy()))
        for axis, picture in zip(row, pictures, strict=True):
            axis.imshow(picture)
            axis.set_axis_off()
        row[0].set_title(model.card.classes[item.target], fontsize=9)
    titles = ("truth", "plain", f"{source}, fill {fill}")
    for axis, title in zip(axes[0, 1:], titles, strict=True):
        axis.set_title(title, fontsize=9)
    figure.savefig(out, dpi=100, pil_kwargs={"quality": 82})
    print(f"{out}: {out.stat().st_size / 1000:.0f} kB")


def _pixels(item: Item, model: ModelBundle) -> npt.NDArray[np.uint8]:
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (model.card.mean, model.card.std))
    grey = (item.image * std + mean).clamp(0, 1).permute(1, 2, 0) * 255
    return grey.round().to(torch.uint8).numpy()


def _outline(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    inner = mask.copy()
    for axis in (0, 1):
        for step in (-1, 1):
            inner &= np.roll(mask, step, axis)
    return mask & ~inner


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
