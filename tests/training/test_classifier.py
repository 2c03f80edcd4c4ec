import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from training.blueprint import KEY, Blueprint
from training.classifier import DefectClassifier, adjusted_cross_entropy
from training.data import RecastDataModule
from training.errors import RecipeError
from training.schedule import Steps

NET = "shufflenet_v2_x0_5"


def test_logit_adjustment_by_hand() -> None:
    logits, labels = torch.tensor([[1.0, 2.0]]), torch.tensor([0])
    # Frequencies 3/4 and 1/4: the logits become 1 + ln ¾ and 2 + ln ¼.
    first, second = 1 + math.log(0.75), 2 + math.log(0.25)
    expected = math.log(math.exp(first) + math.exp(second)) - first
    assert adjusted_cross_entropy(logits, labels, (30, 10), 1.0, 0.0).item() == pytest.approx(
        expected
    )


def test_tau_scales_the_adjustment_and_zero_is_plain() -> None:
    logits, labels = (
        torch.randn(6, 3, generator=torch.Generator().manual_seed(0)),
        torch.arange(6) % 3,
    )
    plain = functional.cross_entropy(logits, labels)
    assert torch.equal(adjusted_cross_entropy(logits, labels, (1, 5, 9), 0.0, 0.0), plain)
    doubled = functional.cross_entropy(
        logits + 2 * torch.tensor([1 / 15, 5 / 15, 9 / 15]).log(), labels
    )
    assert adjusted_cross_entropy(logits, labels, (1, 5, 9), 2.0, 0.0).item() == pytest.approx(
        doubled.item()
    )


def test_rare_class_pays_more_for_the_same_logits() -> None:
    logits = torch.zeros(1, 2)
    rare = adjusted_cross_entropy(logits, torch.tensor([1]), (99, 1), 1.0, 0.0)
    frequent = adjusted_cross_entropy(logits, torch.tensor([0]), (99, 1), 1.0, 0.0)
    assert rare.item() == pytest.approx(-math.log(0.01), rel=1e-4)
    assert frequent.item() == pytest.approx(-math.log(0.99), rel=1e-4)


def test_label_smoothing_by_hand() -> None:
    logits, labels = torch.tensor([[0.0, math.log(3.0)]]), torch.tensor([1])
    # p = (¼, ¾); with ε = 0.2 the target is (0.1, 0.9).
    expected = -0.1 * math.log(0.25) - 0.9 * math.log(0.75)
    assert adjusted_cross_entropy(logits, labels, (1, 1), 1.0, 0.2).item() == pytest.approx(
        expected
    )


def test_takes_any_torchvision_cnn_and_gives_five_logits() -> None:
    classifier = DefectClassifier(NET).eval()
    crops = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    with torch.no_grad():
        assert classifier(crops).shape == (2, 5)


def test_weights_lie_channels_last() -> None:
    weight = DefectClassifier(NET).network.conv1[0].weight
    assert weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label_smoothing": 1.0}, r"model\.label_smoothing must be 0 to below 1"),
        ({"logit_adjustment": -1.0}, r"model\.logit_adjustment must be 0 or more"),
    ],
)
def test_options_out_of_range(options: dict, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        DefectClassifier(NET, **options)


class Fitting:
    """As much of a trainer as the classifier asks for."""

    def __init__(self, data: RecastDataModule, epochs: int, steps: int) -> None:
        self.datamodule = data
        self.max_epochs = epochs
        self.estimated_stepping_batches = steps


def test_rate_follows_the_schedule_within_and_across_epochs(recast_root) -> None:
    classifier = DefectClassifier(
        NET,
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.1),
        schedule=Steps(every=1, gamma=0.5),
    )
    classifier._trainer = Fitting(RecastDataModule(recast_root), epochs=3, steps=12)
    found = classifier.configure_optimizers()
    optimizer, scheduler = found["optimizer"], found["lr_scheduler"]["scheduler"]
    assert found["lr_scheduler"]["interval"] == "step"
    rates = []
    for _ in range(12):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert rates == pytest.approx([0.1] * 4 + [0.05] * 4 + [0.025] * 4)


def test_checkpoint_carries_a_blueprint_of_plain_values(recast_root) -> None:
    data = RecastDataModule(recast_root, normalization="dataset", num_workers=0)
    data.setup("fit")
    classifier = DefectClassifier(NET)
    classifier._trainer = Fitting(data, 1, 1)
    checkpoint: dict = {}
    classifier.on_save_checkpoint(checkpoint)
    plan = Blueprint.read_from(checkpoint)
    assert plan.architecture == NET
    assert plan.classes == ("normal", "class 1", "class 2", "class 3", "class 4")
    assert plan.input_size == (64, 64)
    assert plan.mean == data.mean
    assert plan.dataset["card_sha256"] == data.recast.sha256
    assert plan.dataset["split"] == "grouped"
    assert plan.dataset["counts"]["train"] == [8, 4, 4, 6, 4]
    assert np.all([type(value) is float for value in checkpoint[KEY]["mean"]])
