r"""Score every mask of NEU-DET's held-out images once, for `compare.py` to draw from.

    python benchmarks/budget/exact.py --data $STEEL_DATA/neu_det --bundle_folder /tmp/neu50 \
        --out /tmp/exact

One file an image, written whole or not at all: an interrupted run continues. Classes take turns, so
that the first images are a balanced sample.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from jsonargparse import auto_cli
from rich.progress import track

sys.path.insert(0, str(Path(__file__).parents[1] / "neu_det"))

from data import Sample, images, read_samples, split

from sise import SISE, bundle
from sise.capture import in_eval_mode
from sise.explainer import select
from sise.sampling import MaskSet


def main(
    data: Path,
    bundle_folder: Path,
    out: Path,
    count: int = 300,
    backend: str = "openvino",
    batch_size: int = 64,
) -> None:
    """Write scores of all selected masks, per image.

    Args:
        data: folder of NEU-DET.
        bundle_folder: classifier (`benchmarks/neu_det/train.py`).
        out: folder of the scores.
        count: images of the test split.
        backend: torch or openvino.
        batch_size: masked images per pass.
    """
    model = bundle.load(bundle_folder)
    side = model.card.input_size[0]
    explainer = SISE(model.model, backend=backend, batch_size=batch_size)  # type: ignore[arg-type]
    out.mkdir(parents=True, exist_ok=True)
    for number, sample in enumerate(track(in_turns(split(read_samples(data))["test"])[:count])):
        path = out / f"{number:03d}_{sample.name}.npz"
        if not path.exists():
            scores = _scores(explainer, images([sample], side))
            partial = path.with_suffix(".partial")
            with partial.open("wb") as stream:
                np.savez(stream, label=sample.label, **scores)  # type: ignore[arg-type]
            partial.replace(path)


def in_turns(samples: list[Sample]) -> list[Sample]:
    """One sample of each class, then the next of each."""
    by_class: dict[int, list[Sample]] = {}
    for sample in samples:
        by_class.setdefault(sample.label, []).append(sample)
    return [sample for row in zip(*by_class.values(), strict=False) for sample in row]


def _scores(explainer: SISE, image: torch.Tensor) -> dict[str, object]:
    """`target`, its probability `prob`, and per layer `l0` … a score per feature map, else NaN."""
    size = (image.shape[2], image.shape[3])
    with in_eval_mode(explainer.engine.model), torch.no_grad():
        layers = explainer.engine.layers(image)
        seen = explainer._capture(layers, image, None)
        chosen = [
            select(features, gradients, explainer.mu, size)
            for features, gradients in zip(seen.features, seen.gradients, strict=True)
        ]
        scorer = explainer.engine.scorer(image, seen.targets)
        scores = scorer([MaskSet(one.masks.values, one.owners) for one in chosen])
    found: dict[str, object] = {"target": int(seen.targets[0])}
    found["prob"] = float(seen.logits.softmax(1)[0, seen.targets[0]])
    for index, (one, score) in enumerate(zip(chosen, scores, strict=True)):
        whole = torch.full((one.selected.shape[1],), torch.nan)
        whole[one.selected[0]] = score.float()
        found[f"l{index}"] = whole.numpy()
    return found


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
