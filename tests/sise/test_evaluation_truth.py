"""The ground truth as a row of an evaluation."""

import numpy as np
import pytest
import torch
from test_evaluation_run import Toys, model, plan, run

from sise.bundle import ModelBundle
from sise.evaluation.run import table
from sise.evaluation.subject import read
from sise.evaluation.truth import truth_map
from sise.metrics import ebpg, ranks
from sise.metrics.localisation import bbox

__all__ = ["model"]


def test_the_deepest_pixels_come_first_and_then_the_nearest() -> None:
    truth = torch.zeros(5, 7, dtype=torch.bool)
    truth[1:4, 1:4] = True
    made = truth_map(truth)
    assert (made.dtype, made.shape) == (torch.float32, (5, 7))
    # Distance to the nearest pixel on the other side: 2 in the middle of the square, 1 at its rim.
    assert made[2, 2] == 1
    assert made[1, 1].item() == made[1, 2].item() == 0.75
    assert made[2, 6] > 0  # 3 px from the square, where (0, 6) is √10 away, the most of all
    assert made[0, 6] == made[4, 6] == 0
    assert made[~truth].max().item() == pytest.approx(1e-8 * (1 - 1 / np.sqrt(10)), rel=1e-5)
    places = ranks(made[None])[0]
    assert places[2, 2] == 0
    assert sorted(places[truth].tolist()) == list(range(9))
    assert places[2, 4] < places[0, 4] < places[2, 5] < places[2, 6] < places[0, 6]
    assert bbox(made[None], truth[None]).item() == 1
    assert ebpg(made[None], truth[None]).item() == pytest.approx(1, abs=1e-7)


@pytest.mark.parametrize("pixel", [(0, 0), (30, 17)])
def test_a_single_pixel_is_nearly_all_of_the_energy(pixel: tuple[int, int]) -> None:
    truth = torch.zeros(64, 64, dtype=torch.bool)
    truth[pixel] = True
    assert ebpg(truth_map(truth)[None], truth[None]).item() > 0.9999


def test_it_is_measured_as_the_methods_are(tmp_path, model: ModelBundle) -> None:
    toys = Toys()
    rows = table(run(model, toys, plan("gradcam", "truth"), tmp_path))
    truth = rows[rows["method"] == "truth"].reset_index(drop=True)
    methods = rows[rows["method"] == "gradcam"].reset_index(drop=True)
    assert truth["item"].tolist() == methods["item"].tolist()
    assert truth["status"].tolist() == ["ok"] * 3
    assert truth["bbox"].tolist() == [1.0] * 3
    assert truth["score"].tolist() == pytest.approx(methods["score"].tolist(), abs=1e-6)
    assert truth["forwards"].tolist() == [1] * 3
    # 50 of 400 pixels, of which the top 15 % hold all: kept, they are a part of the image.
    subject = read(model, toys, toys.items[0])
    kept = torch.where(
        ranks(truth_map(subject.truth)[None])[0] < 60, subject.image, torch.zeros(())
    )
    with torch.no_grad():
        whole, part = model.model(torch.stack([subject.image, kept])).softmax(1)[:, subject.target]
    expected = max(0.0, (whole - part).item()) / whole.item()
    assert truth["drop"][0] == pytest.approx(expected, abs=1e-6)


def test_another_truth_is_another_map(tmp_path, model: ModelBundle) -> None:
    class Moved(Toys):
        def truth(self, item):
            return np.roll(super().truth(item), 3, axis=0)

    class Plain(Toys):
        def pixels(self, item):
            return np.full((20, 20, 3), 90, np.uint8)

    class PlainMoved(Plain, Moved):
        pass

    first = table(run(model, Plain(count=1), plan("truth"), tmp_path))
    second = table(run(model, PlainMoved(count=1), plan("truth"), tmp_path))
    assert first["bbox"].tolist() == second["bbox"].tolist() == [1.0]


@pytest.mark.parametrize(("fill", "status"), [(False, "no ground truth"), (True, "constant map")])
def test_where_there_is_no_truth_there_is_no_map(
    tmp_path, model: ModelBundle, fill: bool, status: str
) -> None:
    class Same(Toys):
        def pixels(self, item):
            return np.full((20, 20, 3), 90, np.uint8)

        def truth(self, item):
            return np.full((20, 20), fill)

    rows = table(run(model, Same(count=1), plan("truth"), tmp_path))
    assert rows["status"].tolist() == [status]
    assert rows[["ebpg", "miou", "bbox", "drop", "left"]].isna().all(axis=None)
