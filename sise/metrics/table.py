"""All metrics by name, and what tables must know of each."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import torch

from sise.choices import FillName
from sise.errors import SiseError
from sise.metrics.faithfulness import STEPS, PerturbationScores, area, drop, increase, left
from sise.metrics.inputs import MetricInput
from sise.metrics.localisation import bbox, ebpg, miou, pointing
from sise.metrics.shape import border_energy, sparsity

Better = Literal["higher", "lower", "none"]
Needs = Literal["map", "truth", "model"]


@dataclass(frozen=True)
class Metric:
    """A number per image, (B,).

    `title` heads its column, `better` tells which direction is, `needs` what its input must carry;
    one that needs the model depends on the fill. `percent`: a share or probability, printed × 100.
    """

    title: str
    better: Better
    needs: Needs
    percent: bool
    measure: Callable[[PerturbationScores], torch.Tensor]


def _against_truth(title: str, of: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Metric:
    return Metric(
        title, "higher", "truth", True, lambda one: of(one.inputs.maps, one.inputs.given_truth)
    )


def _of_map(title: str, of: Callable[[torch.Tensor], torch.Tensor]) -> Metric:
    return Metric(title, "none", "map", False, lambda one: of(one.inputs.maps))


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "ebpg": _against_truth("EBPG", ebpg),
        "miou": _against_truth("mIoU", miou),
        "bbox": _against_truth("Bbox", bbox),
        "pointing": _against_truth("Pointing", pointing),
        "drop": Metric("Drop", "lower", "model", True, lambda one: drop(one.whole, one.kept)),
        "increase": Metric(
            "Increase", "higher", "model", True, lambda one: increase(one.whole, one.kept)
        ),
        "left": Metric("Left", "lower", "model", True, lambda one: left(one.whole, one.removed)),
        "insertion": Metric(
            "Insertion", "higher", "model", True, lambda one: area(one.inserted, one.counts)
        ),
        "deletion": Metric(
            "Deletion", "lower", "model", True, lambda one: area(one.deleted, one.counts)
        ),
        "border": _of_map("Border energy", border_energy),
        "sparsity": _of_map("Sparsity", sparsity),
    }
)


def measure(
    inputs: MetricInput,
    fills: Sequence[FillName] = ("grey",),
    names: Collection[str] | None = None,
    steps: int = STEPS,
) -> dict[str, torch.Tensor]:
    """Every metric, or those of `names`, that the inputs suffice for: name -> (B,) float.

    Metrics that ask the model are measured under each of the `fills`: `drop` under the first,
    `drop@blur` under a further one. `steps` are those of insertion and deletion. Raises SiseError
    for no fill, an unknown name, no step, and a truth or query that does not fit the maps.
    """
    _check(fills, names, steps)
    carried = {"map": True, "truth": inputs.truth is not None, "model": inputs.query is not None}
    chosen = {
        name: metric
        for name, metric in METRICS.items()
        if carried[metric.needs] and (names is None or name in names)
    }
    measured = {}
    with torch.no_grad():
        for index, fill in enumerate(fills):
            scores = PerturbationScores(inputs, fill, steps)
            for name, metric in chosen.items():
                if index == 0:
                    measured[name] = metric.measure(scores)
                elif metric.needs == "model":
                    measured[f"{name}@{fill}"] = metric.measure(scores)
    return measured


def _check(fills: Sequence[FillName], names: Collection[str] | None, steps: int) -> None:
    if not fills:
        raise SiseError("metrics that ask the model need a fill, such as grey; give fills=")
    if steps < 1:
        raise SiseError(f"insertion and deletion take at least 1 step, not {steps}")
    unknown = sorted(set(names or ()) - METRICS.keys())
    if unknown:
        raise SiseError(f"no metric {', '.join(unknown)}; there are {', '.join(METRICS)}")
