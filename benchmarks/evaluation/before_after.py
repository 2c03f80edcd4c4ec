"""The picture of docs/evaluation: the same items, by other explainers and other networks.

    python benchmarks/evaluation/before_after.py --data recast --items ID ID --out maps.jpg \\
        --columns "title=BUNDLE=sise:context=reflect,budget=98" "title=BUNDLE=gradcam"
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from jsonargparse import auto_cli

from sise.bundle import load
from sise.datasets.opening import open_dataset
from sise.evaluation.pictures import Line, as_jpeg, grid
from sise.evaluation.subject import read
from sise.registry import make_explainer, parse_spec


def main(data: Path, items: list[str], columns: list[str], out: Path, tile: int = 152) -> None:
    """Write a row of maps for each item.

    Args:
        data: the dataset.
        items: names of its items.
        columns: TITLE=BUNDLE=METHOD each; the score beside an item is the first bundle's.
        out: the JPEG file.
        tile: side of a map, px.
    """
    torch.set_num_threads(2)
    dataset = open_dataset(data)
    chosen = [next(item for item in dataset.items if item.id == name) for name in items]
    maps: list[dict[str, npt.NDArray[np.float32] | str]] = [{} for _ in chosen]
    scores: list[float] = []
    for title, folder, method in (column.split("=", 2) for column in columns):
        bundle = load(Path(folder))
        explainer = make_explainer(parse_spec(method), bundle.model, {})
        for item, found in zip(chosen, maps, strict=True):
            subject = read(bundle, dataset, item)
            explanation = explainer(subject.image[None], subject.target)
            found[title] = explanation.maps[0].numpy()
            scores.append(float(explanation.scores[0]))
    lines = [
        Line(
            dataset.classes[item.label],
            score,
            dataset.pixels(item),
            dataset.truth(item),
            found,
        )
        for item, score, found in zip(chosen, scores[: len(chosen)], maps, strict=True)
    ]
    out.write_bytes(as_jpeg(grid(lines, tile)))


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
