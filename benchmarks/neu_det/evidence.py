r"""Does the classifier look at the defects at all? What it says of boxes alone, and of the rest.

    python benchmarks/neu_det/evidence.py --data $STEEL_DATA/neu_det --model /tmp/neu50 \
        --only /tmp/neu50/held_out.txt --out docs/evaluation/evidence.md

A map can only lie on the defect if the network's evidence does. For each class: the probability of
the whole image, of its boxes alone, of all but its boxes, and of nothing; what is taken away is
filled.
"""

from pathlib import Path

import pandas as pd
import torch
from jsonargparse import auto_cli

from sise import bundle
from sise.baselines import FillName, masked
from sise.datasets.opening import open_dataset
from sise.evaluation.run import ModelScore
from sise.evaluation.subject import read, sample

FILLS: tuple[FillName, ...] = ("grey", "blur", "inpaint")


def main(
    data: Path, model: Path, only: Path, out: Path, limit: int = 300, backend: str = "openvino"
) -> None:
    """Write the table.

    Args:
        data: folder of NEU-DET.
        model: bundle of the classifier.
        only: names of the held-out images.
        out: Markdown file.
        limit: images at most.
        backend: torch or openvino.
    """
    explained = bundle.load(model)
    shared = {
        "precision": "auto",
        "batch_size": 16,
        "output": "softmax",
        "backend": backend,
        "compile": False,
    }
    score = ModelScore(explained, shared)
    dataset = open_dataset(data, subset="boxes", listed=only)
    rows = []
    for item in sample(dataset.items, limit):
        subject = read(explained, dataset, item)
        image, truth = subject.image[None], subject.truth[None]
        versions = {"whole": image, "nothing, grey": torch.zeros_like(image)}
        for fill in FILLS:
            versions[f"boxes alone, {fill}"] = masked(image, truth.float(), fill)
            versions[f"without boxes, {fill}"] = masked(image, (~truth).float(), fill)
        targets = torch.full((len(versions),), subject.target)
        found = score(torch.cat(list(versions.values())), targets).tolist()
        share = truth.float().mean().item()
        label = dataset.classes[item.label]
        rows.append({"class": label, "box area": share, **dict(zip(versions, found, strict=True))})
    table = pd.DataFrame(rows)
    means = table.groupby("class").mean()
    means.loc["all"] = table.drop(columns="class").mean()
    out.write_text(_markdown(means, len(table)), "utf-8")
    print(out)


def _markdown(means: pd.DataFrame, count: int) -> str:
    head = "| class | " + " | ".join(means.columns) + " |"
    lines = [head, "|---" * (len(means.columns) + 1) + "|"]
    lines += [
        f"| {name} | " + " | ".join(f"{100 * value:.1f}" for value in row) + " |"
        for name, row in means.iterrows()
    ]
    return "\n".join(
        [
            "# What the classifier says of the boxes alone, and of the rest",
            "",
            f"Mean probability of the image's own class, in per cent, {count} held-out images.",
            "",
            *lines,
            "",
        ]
    )


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
