import numpy as np
import pytest
import torch

from training.blueprint import KEY, Blueprint
from training.classifier import DefectClassifier
from training.data import RecastDataModule
from training.errors import RecipeError
from training.schedule import Steps

NET = "shufflenet_v2_x0_5"


def test_takes_any_torchvision_cnn_and_gives_five_logits() -> None:
    classifier = DefectClassifier(NET).eval()
    crops = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    with torch.no_grad():
        assert classifier(crops).shape == (2, 5)


def test_one_channel_is_normalised_and_looked_at() -> None:
    classifier = DefectClassifier(NET, channels=1).eval()
    classifier.mean, classifier.std = (0.5, 0.4, 0.3), (0.25, 0.2, 0.1)
    grey = torch.randint(0, 256, (2, 64, 64, 1), dtype=torch.uint8)
    images = ((grey.float() / 255 - 0.5) / 0.25).permute(0, 3, 1, 2)
    with torch.no_grad():
        torch.testing.assert_close(
            classifier(grey.expand(-1, -1, -1, 3)), classifier.network(images)
        )
    assert classifier.network.conv1[0].weight.shape == (24, 1, 3, 3)


def test_weights_lie_channels_last() -> None:
    weight = DefectClassifier(NET).network.conv1[0].weight
    assert weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label_smoothing": 1.0}, r"model\.label_smoothing must be 0 to below 1"),
        ({"logit_adjustment": -1.0}, r"model\.logit_adjustment must be 0 or more"),
        ({"class_balanced": 1.0}, r"model\.class_balanced must be 0 to below 1"),
        ({"focal": float("nan")}, r"model\.focal must be 0 or more, not nan"),
        ({"mixup": -0.2}, r"model\.mixup must be 0 or more"),
    ],
)
def test_options_out_of_range(options: dict, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        DefectClassifier(NET, **options)


class Fitting:
    """As much of a trainer as the classifier asks for."""

    def __init__(self, data: RecastDataModule, epochs: int, steps: int) -> None:
        self.datamodule = data
        self.global_rank = 0
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
