r"""What a card says of a map, beside where the defect is: held-out crops with pixel truth.

    python benchmarks/weak/measure.py --data recast --bundle run/bundle --out /tmp/weak/run.parquet

The crops are explained and measured by inspection's own stages, as `defect-inspect run` does it.
Their rows hold what those add, candidates for other tests, and the truth; `choose.py` reads them.
"""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from jsonargparse import auto_cli

from inspection.pipeline.classifier import Classifier, load_classifier, probabilities
from inspection.pipeline.explainer import (
    EVIDENCE_COLUMNS,
    PatchExplainer,
    PatchTask,
    SiseOptions,
    region,
)
from inspection.pipeline.policy import NORMAL
from inspection.store.frames import arrays, rows
from severstal_prep.console import track
from severstal_prep.dataset import read_card, read_manifest
from severstal_prep.images import read_image
from sise.baselines import Masker
from sise.choices import FillName
from sise.explanation import OK, Explainer, Explanation
from sise.metrics import KEPT_SHARE, bbox, border_energy, ebpg, pointing, top_share
from sise.metrics.shape import sparsity

Asked = Literal["true", "predicted"]
SETTINGS = {
    "today": SiseOptions(),
    "before": SiseOptions(98, fill="grey", context="reflect", evidence="kept", fusion="hard"),
}
# As sise.metrics.pointing says, a defect's width on a patch; 3 % of the side.
TOLERANCE = 0.03


class Recording:
    """An explainer that keeps its last map, so that what is made of it can be measured."""

    def __init__(self, explainer: Explainer) -> None:
        self.explainer = explainer

    def __call__(self, *args: Any, **kwargs: Any) -> Explanation:
        self.last = self.explainer(*args, **kwargs)
        return self.last


def main(
    data: Path,
    bundle: Path,
    out: Path,
    crops: int = 200,
    wrong: int = 60,
    split: Literal["val", "test"] = "test",
    setting: str = "today",
    backend: Literal["auto", "torch", "openvino"] = "auto",
    seed: int = 1,
) -> None:
    """Explain and measure, one row per crop and class explained.

    Args:
        data: recast dataset with masks.
        bundle: a classifier of its classes.
        out: Parquet file to write.
        crops: how many crops with a defect, explained for their true class.
        wrong: how many crops, of all, explained for the wrong defect class that is predicted.
        split: of the dataset: val to choose limits on, test to report.
        setting: of the maps: today (inspection's defaults) or before (those until 2026-11-27).
        backend: what runs the classifier and the scored passes.
        seed: of the draw of crops.
    """
    classifier = load_classifier(bundle, "cpu", backend=backend)
    options = SETTINGS[setting]
    table = draw(data, split, classifier, crops, wrong, seed)
    explainer = PatchExplainer(classifier, options)
    first = explainer._sise = Recording(explainer._sise)
    second = explainer._second = Recording(explainer._second)
    parts = []
    for index in track(table.index, len(table), f"{bundle.parent.name}, {setting}"):
        part = table.loc[[index]]
        (found,) = explainer([PatchTask(part["pixels"].iloc[0], part["target"].iloc[0])])
        figures = {name: getattr(found, name) for name in EVIDENCE_COLUMNS}
        part = part.assign(**figures, map=arrays([first.last.maps[0].numpy()], part))
        parts.append(beside(part, classifier, options.fill, second.last))
    found = pd.concat(parts, ignore_index=True).drop(columns=["pixels", "truth"])
    heats = [(255 * heat).round().astype(np.uint8).tobytes() for heat in found["map"]]
    found = found.assign(map=heats, bundle=bundle.parent.name, split=split, setting=setting)
    out.parent.mkdir(parents=True, exist_ok=True)
    found.to_parquet(out)


def draw(
    data: Path, split: str, classifier: Classifier, crops: int, wrong: int, seed: int
) -> pd.DataFrame:
    """Rows of crops of a split, with pixels, truth, target, score and `asked`."""
    names = read_card(data)["classes"]
    assert tuple(names) == classifier.classes, f"{data} has {names}, the model other classes"
    test = read_manifest(data).query("split == @split").sample(frac=1, random_state=seed)
    test = test.reset_index(drop=True)
    pixels = [read_image(data / path) for path in test["crop_path"]]
    scores = probabilities(pixels, classifier)
    predicted = scores.argmax(axis=1)
    normal = names.index(NORMAL)
    test = test.assign(
        pixels=arrays(pixels, test),
        truth=arrays([_truth(data, path, classifier.patch) for path in test["mask_path"]], test),
        true=[names[label] for label in test["class_id"]],
        predicted=[names[label] for label in predicted],
    )
    defective = test[test["class_id"] != normal].head(crops)
    defective = defective.assign(asked="true", target=defective["true"])
    misnamed = test[(test["true"] != test["predicted"]) & (test["predicted"] != NORMAL)].head(wrong)
    misnamed = misnamed.assign(asked="predicted", target=misnamed["predicted"])
    both = pd.concat([defective, misnamed])
    own = [
        scores[place, names.index(target)]
        for place, target in zip(both.index, both["target"], strict=True)
    ]
    columns = ["crop_id", "group_id", "true", "predicted", "target", "asked", "pixels", "truth"]
    return both[columns].assign(score=own).reset_index(drop=True)


def _truth(data: Path, path: str, side: int) -> npt.NDArray[np.bool_]:
    if not path:
        return np.zeros((side, side), np.bool_)
    return read_image(data / path)[..., 0] > 127


def beside(
    patch: pd.DataFrame,
    classifier: Classifier,
    fill: FillName,
    second: Explanation,
) -> pd.DataFrame:
    """Add candidates for tests, and figures against the truth, to one row."""
    row = next(iter(rows(patch)))
    if row.map_status != OK:
        return patch
    heat, truth = torch.tensor(row.map)[None], torch.tensor(row.truth)[None]
    where = torch.tensor(region(row.map))[None]
    other = second.maps.cpu().float() if second.status[0] == OK else torch.zeros_like(heat)
    top = top_share(heat, KEPT_SHARE)
    figures = {
        "area": truth.float().mean(),
        "ebpg": ebpg(heat, truth),
        "bbox": bbox(heat, truth),
        "pointing": pointing(heat, truth),
        "pointing_near": pointing(heat, truth, TOLERANCE * heat.shape[1]),
        "region_precision": (where & truth).sum() / where.sum(),
        "region_recall": (where & truth).sum() / truth.sum(),
        "region_iou": (where & truth).sum() / (where | truth).sum(),
        "second_ebpg": ebpg(other, truth),
        "second_pointing": pointing(other, truth),
        "top_overlap": _iou(top, top_share(other, KEPT_SHARE)),
        "second_on_region": ebpg(other, where),
        "pointing_second": pointing(heat, top_share(other, KEPT_SHARE)),
        "border": border_energy(heat),
        "sparsity": sparsity(heat),
        "mean_heat": heat.mean(),
        **_scores(row, classifier, fill, top, where),
    }
    return patch.assign(**{name: float(value) for name, value in figures.items()})


def _iou(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    return (one & other).sum() / (one | other).sum()


def _scores(
    row: Any, classifier: Classifier, fill: FillName, top: torch.Tensor, where: torch.Tensor
) -> dict[str, float]:
    """The class's probability without the top or region mirrored, by name, and with it alone."""
    mirrored = torch.cat([top.flip(1), top.flip(2), top.flip(1, 2)])
    keep = torch.cat([~mirrored, mirrored, where, ~where, torch.zeros_like(where)])
    image = classifier.bundle.preprocess(np.stack([row.pixels]))
    inputs = Masker(image, fill).masked(torch.zeros(len(keep), dtype=torch.int64), keep)
    with torch.inference_mode():
        scores = classifier.network.forward(inputs).float().softmax(dim=1)
    own = scores[:, classifier.classes.index(row.target)]
    return {
        "mirrored_removed": own[:3].mean(),
        "mirrored_removed_least": own[:3].min(),
        "mirrored_kept": own[3:6].mean(),
        "mirrored_kept_most": own[3:6].max(),
        "region_kept": own[6],
        "region_removed": own[7],
        "nothing": own[8],
    }


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
