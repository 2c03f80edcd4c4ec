"""Other people's metrics: where they agree with ours, and how they differ where they do not."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from networks import small_cnn, some_images
from sklearn.metrics import auc
from torch import nn
from torchcam.metrics import ClassificationMetric, DeletionInsertionMetric

from sise.baselines import baseline_of
from sise.choices import FillName
from sise.metrics import (
    KEPT_SHARE,
    MetricInput,
    ModelQuery,
    area,
    bbox,
    drop,
    ebpg,
    increase,
    measure,
    pointing,
    sparsity,
    top_share,
)

Array = npt.NDArray[Any]


@pytest.fixture(scope="module")
def quantus() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its docstrings have invalid escapes
        import quantus

    return quantus


@pytest.fixture(scope="module")
def maps() -> torch.Tensor:
    return torch.rand(6, 13, 17, generator=torch.Generator().manual_seed(4))


@pytest.fixture(scope="module")
def truth() -> torch.Tensor:
    """Small, large, empty and full ones."""
    shares = torch.tensor([0.05, 0.3, 0.7, 0.95, 0.0, 1.1])[:, None, None]
    return torch.rand(6, 13, 17, generator=torch.Generator().manual_seed(5)) < shares


def by_quantus(metric: Any, maps: torch.Tensor, truth: torch.Tensor | None = None) -> Array:
    """The figure of a quantus metric: it changes its input, and warns of an empty truth."""
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        warnings.simplefilter("ignore")
        values = maps.double().numpy().copy()
        against = {} if truth is None else {"s_batch": truth.numpy()}
        found = metric(disable_warnings=True).evaluate_batch(
            a_batch=values, x_batch=values, **against
        )
    return np.asarray(found, dtype=float)


def test_ebpg_is_relevance_mass_accuracy(
    quantus: ModuleType, maps: torch.Tensor, truth: torch.Tensor
) -> None:
    theirs = by_quantus(quantus.RelevanceMassAccuracy, maps, truth)
    assert np.isnan(theirs).tolist() == [False] * 4 + [True, False]
    assert ebpg(maps, truth).tolist() == pytest.approx(theirs, nan_ok=True, abs=1e-6)
    # Where a map has negative values, theirs is a share of what is left after cancelling.
    left = maps - 0.5
    assert np.abs(by_quantus(quantus.RelevanceMassAccuracy, left, truth)[:4]).max() > 1
    assert ebpg(left, truth).isnan().all()


def test_bbox_is_relevance_rank_accuracy(
    quantus: ModuleType, maps: torch.Tensor, truth: torch.Tensor
) -> None:
    theirs = by_quantus(quantus.RelevanceRankAccuracy, maps, truth)
    assert bbox(maps, truth).tolist() == pytest.approx(theirs, nan_ok=True, abs=1e-6)
    # Where a map has no order, theirs tells where its sort put the pixels.
    flat = torch.ones_like(maps)
    assert np.isfinite(by_quantus(quantus.RelevanceRankAccuracy, flat, truth)[:4]).all()
    assert bbox(flat, truth).isnan().all()


def test_pointing_is_pointing_game_but_for_ties_and_empty_truth(
    quantus: ModuleType, maps: torch.Tensor, truth: torch.Tensor
) -> None:
    theirs = by_quantus(quantus.PointingGame, maps, truth)
    ours = pointing(maps, truth)
    kept = [0, 1, 2, 3, 5]
    assert set(theirs[kept].tolist()) == {0, 1}
    assert ours[kept].tolist() == theirs[kept].tolist()
    # Its NaN for an empty truth is written into an array of bool, and comes out as a hit.
    assert theirs[4] == 1
    assert ours[4].isnan()
    # Of several highest pixels any may hit.
    tied, second = torch.tensor([[[0.0, 1.0, 1.0]]]), torch.tensor([[[False, False, True]]])
    assert by_quantus(quantus.PointingGame, tied, second).tolist() == [1]
    assert pointing(tied, second).tolist() == [0]


def test_sparsity_is_sparseness(quantus: ModuleType, maps: torch.Tensor) -> None:
    powers = maps ** torch.arange(1, 7)[:, None, None]  # ever sparser
    theirs = by_quantus(quantus.Sparseness, powers)
    assert np.diff(theirs).min() > 0.05
    # It adds 1e-7 to all values.
    assert sparsity(powers).tolist() == pytest.approx(theirs, abs=1e-5)


def test_area_is_sklearns_auc() -> None:
    counts = [0, 3, 10, 11, 40]
    curve = torch.rand(5, 7, generator=torch.Generator().manual_seed(6))
    shares = np.array(counts) / 40
    expected = [auc(shares, one.numpy()) for one in curve.T]
    assert area(curve, counts).tolist() == pytest.approx(expected, abs=1e-6)


@dataclass
class Given:
    """Maps that are there already, in the place of torch-cam's extractor."""

    model: nn.Module
    maps: torch.Tensor

    def __call__(self, *_: object, **__: object) -> list[torch.Tensor]:
        return [self.maps]

    def fuse_cams(self, found: list[torch.Tensor]) -> torch.Tensor:
        return found[0]

    @contextmanager
    def _hooks_off(self) -> Iterator[None]:
        yield


SIZE = (20, 24)  # 480 px: 20 steps of 24
TARGETS = [2, 0, 1, 2]


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return small_cnn()


@pytest.fixture(scope="module")
def inputs(network: nn.Module) -> MetricInput:
    images, targets = some_images(4, SIZE), torch.tensor(TARGETS)
    maps = torch.rand(4, *SIZE, generator=torch.Generator().manual_seed(8))
    maps = (50 * maps).round() / 50  # ties

    def score(masked: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            chances: torch.Tensor = network(masked).softmax(dim=1)
        return chances.gather(1, labels[:, None])[:, 0]

    return MetricInput(maps, query=ModelQuery(images, targets, score))


def softmax(logits: torch.Tensor) -> torch.Tensor:
    return logits.softmax(dim=1)


def by_torchcam(network: nn.Module, weights: torch.Tensor, images: torch.Tensor) -> Any:
    metric = ClassificationMetric(Given(network, weights), softmax)
    metric.update(images, TARGETS)
    return metric.summary()


def test_drop_and_increase_are_torchcams_of_a_map_cut_to_its_top_15_percent(
    network: nn.Module, inputs: MetricInput
) -> None:
    images = inputs.given_query.images
    ours = {name: values.mean().item() for name, values in measure(inputs).items()}
    assert 0 < ours["drop"] < 1
    assert 0 < ours["increase"] < 1
    cut = by_torchcam(network, top_share(inputs.maps, KEPT_SHARE).float(), images)
    assert cut["avg_drop"] == pytest.approx(ours["drop"], abs=1e-5)
    assert cut["conf_increase"] == ours["increase"]


def test_torchcam_weights_the_image_with_the_map_instead(
    network: nn.Module, inputs: MetricInput
) -> None:
    query = inputs.given_query
    theirs = by_torchcam(network, inputs.maps, query.images)
    weighted = query.score(query.images * inputs.maps[:, None], query.targets)
    assert theirs["avg_drop"] == pytest.approx(drop(query.whole, weighted).mean().item(), abs=1e-5)
    assert theirs["conf_increase"] == increase(query.whole, weighted).mean().item()
    assert theirs["avg_drop"] != pytest.approx(measure(inputs)["drop"].mean().item(), abs=0.005)


@pytest.mark.parametrize("fill", ["grey", "mean", "blur"])
def test_insertion_and_deletion_are_torchcams(
    network: nn.Module, inputs: MetricInput, fill: FillName
) -> None:
    images = inputs.given_query.images
    metric = DeletionInsertionMetric(
        Given(network, inputs.maps), softmax, steps=20, baseline=baseline_of(images, fill)
    )
    metric.update(images, TARGETS)
    theirs, ours = metric.summary(), measure(inputs, (fill,))
    assert ours["insertion"].mean().item() == pytest.approx(theirs["insertion_auc"], abs=1e-5)
    assert ours["deletion"].mean().item() == pytest.approx(theirs["deletion_auc"], abs=1e-5)
    # Each is told from the other.
    assert abs(theirs["insertion_auc"] - theirs["deletion_auc"]) > 1e-3


def test_where_steps_do_not_divide_the_pixels_torchcam_rounds_them_up(
    network: nn.Module, inputs: MetricInput
) -> None:
    # 480 px in 11 steps: theirs are of 44 px but the last of 40, ours of 43 or 44.
    metric = DeletionInsertionMetric(Given(network, inputs.maps), softmax, steps=11)
    metric.update(inputs.given_query.images, TARGETS)
    ours = measure(inputs, steps=11)["insertion"].mean().item()
    assert ours == pytest.approx(metric.summary()["insertion_auc"], abs=0.02)
    assert ours != pytest.approx(metric.summary()["insertion_auc"], abs=1e-6)
