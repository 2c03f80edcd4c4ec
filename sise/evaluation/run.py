"""The loop of an evaluation: items × methods → a row each, kept on disk as it is made."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from sise.backends import Network
from sise.bundle import ModelBundle
from sise.capture import in_eval_mode
from sise.choices import FillName
from sise.datasets.dataset import Dataset, Item
from sise.engine import Engine, RunOptions
from sise.errors import DatasetError, ImageError
from sise.evaluation.store import Made, MapStore, RowStore, identity
from sise.evaluation.subject import Subject, check_classes, read
from sise.evaluation.truth import explainer as explainer_of_truth
from sise.logits import probabilities
from sise.metrics import METRICS, STEPS, MetricInput, ModelQuery, measure
from sise.registry import TRUTH, MethodSpec, make_explainer

MAPS, ROWS, TABLE = "maps", "rows.jsonl", "per_image.parquet"

Row = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """What to run: methods, what metrics put where pixels are taken away, and shared options.

    The first of `fills` is the paper's place; metrics under the others are named `drop@blur`.
    `steps` are those of insertion and deletion, `metrics` the names of those wanted: all, if None.
    `shared` are options of the explainers: precision, batch_size, backend, compile, output.
    `pairs` of the methods' texts are compared with each other.
    """

    specs: tuple[MethodSpec, ...]
    fills: tuple[FillName, ...]
    shared: Mapping[str, Any]
    steps: int = STEPS
    metrics: tuple[str, ...] | None = None
    pairs: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Done:
    """One item, measured by every method: a row each, or why it could not be read."""

    item: Item
    rows: tuple[Row, ...]
    unreadable: str = ""


@dataclass(frozen=True)
class Evaluation:
    """What was run on what, by `command` as typed, and what came of each item; `out` keeps it."""

    bundle: ModelBundle
    dataset: Dataset
    items: Sequence[Item]
    plan: Plan
    out: Path
    command: str
    done: Sequence[Done]

    @property
    def unreadable(self) -> list[str]:
        """Why items could not be read."""
        return [one.unreadable for one in self.done if one.unreadable]

    def table(self) -> pd.DataFrame:
        """All rows, an item's methods together. Raises DatasetError if there is none."""
        if not any(one.rows for one in self.done):
            count = len(self.items)
            raise DatasetError(f"{self.dataset.name}: not one of its {count} items could be read")
        return table(self.done)


class ModelScore:
    """Probabilities (K,) of images (K, 3, H, W) for classes (K,): a `sise.metrics.Score`.

    Whole and changed images are scored in the same precision, that of the masks: rounding may tip
    a single image's Increase, and favours no method. `shared` are the options that methods share;
    see `sise.SISE`.
    """

    def __init__(self, bundle: ModelBundle, shared: Mapping[str, Any]) -> None:
        self.engine = Engine(bundle.model, RunOptions(**shared))

    @torch.no_grad()
    def __call__(self, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        with in_eval_mode(self.engine.model), self.engine.unchanging():
            self.engine.check_model(images)
            network = self.engine.scoring_network(images.device)
            size = self.engine.batch_size(images).value
            scores = [
                probabilities(_padded(network, part, size), labels, self.engine.options.output)
                for part, labels in zip(
                    torch.split(images, size), torch.split(targets, size), strict=True
                )
            ]
        return torch.cat(scores)


def _padded(network: Network, images: torch.Tensor, size: int) -> torch.Tensor:
    """Logits of `images`; a static network's last batch is filled up."""
    if not network.static or len(images) == size:
        return network.forward(images)
    room = images.new_zeros(size, *images.shape[1:])
    room[: len(images)] = images
    return network.forward(room)[: len(images)]


def evaluate(
    bundle: ModelBundle, dataset: Dataset, items: Sequence[Item], plan: Plan, out: Path
) -> Iterator[Done]:
    """Explain and measure each item by each method; what is in `out` already is not made again.

    An image that cannot be read is told, and left out. Raises DatasetError if the dataset's
    classes are not the model's, and SiseError for options that make no sense.
    """
    check_classes(bundle, dataset)
    device = next(bundle.model.parameters()).device
    explainers = {
        spec.text: make_explainer(spec, bundle.model, plan.shared)
        for spec in plan.specs
        if not spec.is_truth
    }
    maps, rows = MapStore(out / MAPS), RowStore(out / ROWS)
    known = identity(bundle, plan.shared, device)
    score = ModelScore(bundle, plan.shared)
    for item in items:
        try:
            subject = read(bundle, dataset, item)
        except (DatasetError, ImageError) as error:
            yield Done(item, (), str(error))
            continue
        own = explainers | {TRUTH: explainer_of_truth(subject, score)}
        identities = {TRUTH: known | {"truth": subject.truth_sha256}}
        made = [
            (spec, maps.made(spec, own[spec.text], subject, identities.get(spec.text, known)))
            for spec in plan.specs
        ]
        asked = f"{subject.truth_sha256} {plan.fills} {plan.steps} {plan.metrics or (*METRICS,)}"
        keys = [f"{one.key} {asked}" for _, one in made]
        missing = {key: pair for key, pair in zip(keys, made, strict=True) if key not in rows}
        if missing:
            measured = _rows(subject, list(missing.values()), score, plan)
            rows.add(dict(zip(missing, measured, strict=True)))
        facts = _facts(dataset, item)
        yield Done(item, tuple(facts | rows[key] | facts for key in keys))


def _facts(dataset: Dataset, item: Item) -> Row:
    """What is known of an item before it is measured."""
    return {
        "item": item.id,
        "image": item.image,
        "group": item.unit,
        "label": dataset.classes[item.label],
        "truth": item.truth,
    }


def _rows(
    subject: Subject,
    made: Sequence[tuple[MethodSpec, Made]],
    score: ModelScore,
    plan: Plan,
) -> list[Row]:
    """A row for each map of the subject, all measured together."""
    image, count = subject.image, len(made)
    maps = torch.stack([one.map for _, one in made]).to(image.device)
    query = ModelQuery(image[None], torch.tensor([subject.target], device=image.device), score)
    inputs = MetricInput(maps, subject.truth.expand(count, -1, -1), query)
    metrics = measure(inputs, plan.fills, plan.metrics, plan.steps)
    measured = {name: values.cpu().tolist() for name, values in metrics.items()}
    return [
        {
            "method": spec.text,
            "status": one.status,
            "score": one.score,
            "forwards": one.forwards,
            "seconds": one.seconds,
            **{name: values[index] for name, values in measured.items()},
        }
        for index, (spec, one) in enumerate(made)
    ]


def table(done: Sequence[Done]) -> pd.DataFrame:
    """All rows, an item's methods together."""
    return pd.DataFrame([row for one in done for row in one.rows])
