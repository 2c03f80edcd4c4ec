"""The loop: what is made, what is kept, what is not made again."""

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch
from networks import small_cnn

from sise import GradCAM, bundle
from sise.bundle import ModelBundle, ModelCard
from sise.datasets.dataset import Item, mask_of_boxes
from sise.errors import DatasetError, ImageError, SiseError
from sise.evaluation.run import Done, Plan, evaluate, table
from sise.evaluation.store import MapStore, RowStore, file_name
from sise.evaluation.subject import read, sample
from sise.evaluation.summary import summarise
from sise.metrics import bbox, ebpg
from sise.registry import parse_spec, parse_specs

CLASSES = ("a", "b", "c")
SHARED = {
    "precision": "fp32",
    "batch_size": "auto",
    "backend": "torch",
    "compile": False,
    "output": "softmax",
}


@dataclass(frozen=True)
class Toys:
    """Noise with a bright square, which is the truth; `asked` counts what was read."""

    count: int = 3
    classes: tuple[str, ...] = ("c", "a")
    broken: str = ""
    asked: list[str] = field(default_factory=list)

    name = "toys"

    @property
    def items(self) -> Sequence[Item]:
        return [Item(f"item {n}", f"image {n}", n % 2) for n in range(self.count)]

    def pixels(self, item: Item) -> npt.NDArray[np.uint8]:
        self.asked.append(item.id)
        if item.id == self.broken:
            raise ImageError(f"{item.id}.png: not an image")
        image = np.random.default_rng(int(item.id[-1])).integers(0, 90, (20, 20, 3), np.uint8)
        image[self.truth(item)] = 255
        return image

    def truth(self, item: Item) -> npt.NDArray[np.bool_]:
        return mask_of_boxes([(5, 5, 10 + int(item.id[-1]), 15)], (20, 20))


@pytest.fixture
def model() -> ModelBundle:
    card = ModelCard("by hand", CLASSES, (20, 20), mean=(0.5,) * 3, std=(0.2,) * 3)  # type: ignore[arg-type]
    return ModelBundle(card, bundle.Calibrated(small_cnn(), 1.0).eval(), sha256="ab" * 32)


def plan(*methods: str, fills: tuple[str, ...] = ("grey",)) -> Plan:
    return Plan(parse_specs(methods), fills, SHARED)  # type: ignore[arg-type]


def run(model: ModelBundle, toys: Toys, what: Plan, out: Path) -> list[Done]:
    return list(evaluate(model, toys, toys.items, what, out))


def test_a_row_holds_what_the_explainer_and_the_metrics_give(
    tmp_path: Path, model: ModelBundle
) -> None:
    toys = Toys()
    done = run(model, toys, plan("gradcam", "rise:n_masks=4"), tmp_path / "тест dir")
    rows = table(done)
    assert rows["method"].tolist() == ["gradcam", "rise:n_masks=4"] * 3
    assert rows["item"].tolist() == [f"item {n}" for n in (0, 0, 1, 1, 2, 2)]
    assert rows["label"].tolist() == ["c", "c", "a", "a", "c", "c"]

    subject = read(model, toys, toys.items[2])
    explained = GradCAM(model.model, precision="fp32")(subject.image[None], target=2)
    third = rows[(rows["method"] == "gradcam") & (rows["item"] == "item 2")].iloc[0]
    truth = torch.from_numpy(toys.truth(toys.items[2]))[None]
    assert third["ebpg"] == pytest.approx(ebpg(explained.maps, truth).item(), abs=1e-6)
    assert third["bbox"] == pytest.approx(bbox(explained.maps, truth).item(), abs=1e-6)
    assert third["score"] == pytest.approx(explained.scores.item(), abs=1e-6)
    assert third["status"] == explained.status[0]
    assert rows["forwards"].tolist() == [1, 5] * 3


def test_each_fill_has_its_own_drop(tmp_path: Path, model: ModelBundle) -> None:
    both = table(run(model, Toys(), plan("sise", fills=("grey", "mean")), tmp_path / "both"))
    mean = table(run(model, Toys(), plan("sise", fills=("mean",)), tmp_path / "mean"))
    assert both["drop@mean"].tolist() == pytest.approx(mean["drop"].tolist(), abs=1e-6)
    assert both["drop"].tolist() != pytest.approx(both["drop@mean"].tolist(), abs=1e-6)
    assert not any(name.endswith("@mean") for name in mean.columns)


def test_what_is_there_is_not_made_again(
    tmp_path: Path, model: ModelBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = table(run(model, Toys(), plan("gradcam", "noise"), tmp_path))

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("explained again")

    with monkeypatch.context() as patched:
        patched.setattr("sise.evaluation.store._make", refuse)
        patched.setattr("sise.evaluation.run.measure", refuse)
        again = table(run(model, Toys(), plan("gradcam", "noise"), tmp_path))
        assert again.equals(first)
    with monkeypatch.context() as patched:  # other fills: measured anew, from the same maps
        patched.setattr("sise.evaluation.store._make", refuse)
        other = table(run(model, Toys(), plan("gradcam", "noise", fills=("mean",)), tmp_path))
    assert other["ebpg"].tolist() == first["ebpg"].tolist()
    more = table(run(model, Toys(), plan("gradcam", "noise", "sobel"), tmp_path))
    assert more[more["method"] != "sobel"].reset_index(drop=True).equals(first)


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path: Path, model: ModelBundle) -> None:
    toys = Toys()
    whole = table(run(model, toys, plan("gradcam"), tmp_path / "whole"))
    part = evaluate(model, toys, toys.items, plan("gradcam"), tmp_path / "part")
    next(part)
    next(part)
    part.close()
    with (tmp_path / "part" / "rows.jsonl").open("a") as stream:
        stream.write('{"key": "cut o')
    resumed = table(run(model, toys, plan("gradcam"), tmp_path / "part"))
    assert resumed.drop(columns="seconds").equals(whole.drop(columns="seconds"))
    assert (tmp_path / "part" / "rows.jsonl").read_text().count("\n") == 4


def test_other_pixels_another_model_or_other_options_make_another_map(
    tmp_path: Path, model: ModelBundle
) -> None:
    (one,) = parse_specs(["gradcam"])
    toys = Toys()
    subject = read(model, toys, toys.items[0])
    explainer = GradCAM(model.model)
    store = MapStore(tmp_path)
    known = {"bundle": "x"}
    kept = store.made(one, explainer, subject, known)
    assert store.made(one, explainer, subject, known).seconds == kept.seconds
    assert store.made(one, explainer, subject, {"bundle": "y"}).key != kept.key
    path = tmp_path / "gradcam" / f"{file_name('item 0')}.npz"
    path.write_bytes(path.read_bytes()[:100])
    mended = store.made(one, explainer, subject, known)
    assert mended.key == kept.key
    assert torch.equal(mended.map, kept.map)


def test_maps_of_another_revision_of_the_methods_are_made_and_measured_anew(
    tmp_path: Path, model: ModelBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr("sise.evaluation.store.REVISION", 1)
        before.setattr("sise.fusion.normalise", lambda maps: (maps.clamp(0, 1e-3), maps, maps))
        old = table(run(model, Toys(), plan("sise"), tmp_path))
    new = table(run(model, Toys(), plan("sise"), tmp_path))
    fresh = table(run(model, Toys(), plan("sise"), tmp_path / "fresh"))
    assert new["ebpg"].tolist() == fresh["ebpg"].tolist() != old["ebpg"].tolist()


def test_an_image_that_cannot_be_read_is_told_and_left_out(
    tmp_path: Path, model: ModelBundle
) -> None:
    done = run(model, Toys(broken="item 1"), plan("gradcam"), tmp_path)
    assert [one.unreadable for one in done] == ["", "item 1.png: not an image", ""]
    assert table(done)["item"].tolist() == ["item 0", "item 2"]


def test_a_class_that_the_model_does_not_know_is_told(tmp_path: Path, model: ModelBundle) -> None:
    with pytest.raises(DatasetError, match="toys has the classes q, which the bundle does not"):
        run(model, Toys(classes=("a", "q")), plan("gradcam"), tmp_path)


def test_items_are_resized_and_their_truth_with_them(model: ModelBundle) -> None:
    card = ModelCard("by hand", CLASSES, (10, 10), mean=(0.5,) * 3, std=(0.2,) * 3)  # type: ignore[arg-type]
    small = ModelBundle(card, model.model, model.sha256)
    toys = Toys()
    subject = read(small, toys, toys.items[1])  # its truth: columns 5 to 10, rows 5 to 14, of 20
    assert subject.image.shape == (3, 10, 10)
    assert subject.target == 0
    expected = torch.zeros(10, 10, dtype=torch.bool)
    expected[2:8, 2:6] = True
    assert subject.truth.sum().item() == pytest.approx(expected.sum().item(), abs=8)
    assert subject.truth[3:7, 3:5].all()
    assert not subject.truth[0:2].any()


def test_classes_take_turns_in_a_sample() -> None:
    labels = [0, 0, 0, 1, 2, 2]
    items = [Item(str(n), str(n), label) for n, label in enumerate(labels)]
    assert [item.id for item in sample(items, None)] == ["0", "3", "4", "1", "5", "2"]
    assert [item.id for item in sample(items, 4)] == ["0", "3", "4", "1"]


@pytest.mark.parametrize(
    ("identifier", "name"),
    [("crazing_1", "crazing_1"), ("rolled-in_scale_9.a", "rolled-in_scale_9.a")],
)
def test_a_plain_name_stays(identifier: str, name: str) -> None:
    assert file_name(identifier) == name


def test_other_names_stay_apart_and_in_their_folder() -> None:
    names = [file_name(text) for text in ("../x", ".._x", "a/b", "a_b", "a b", ".hidden", "..")]
    assert len(set(names)) == len(names)
    assert not any("/" in name or name.startswith(".") for name in names)


def strict(text: str) -> Any:
    """JSON as the standard has it, without NaN."""

    def refuse(name: str) -> NoReturn:
        raise AssertionError(name)

    return json.loads(text, parse_constant=refuse)


class Lost(torch.nn.Module):
    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        return logits * torch.nan


def test_what_a_model_does_not_answer_is_counted_and_in_no_mean(tmp_path: Path) -> None:
    card = ModelCard("by hand", CLASSES, (20, 20), (0.0,) * 3, (1.0,) * 3)
    lost = ModelBundle(card, torch.nn.Sequential(small_cnn(), Lost()).eval(), "ab" * 32)
    done = run(lost, Toys(count=2), plan("gradcam"), tmp_path)
    for line in (tmp_path / "rows.jsonl").read_text().splitlines():
        row = strict(line)
        assert row["status"] == "not finite"
        assert row["score"] is row["ebpg"] is row["drop"] is row["insertion"] is None
    again = table(run(lost, Toys(count=2), plan("gradcam"), tmp_path))
    pd.testing.assert_frame_equal(again, table(done))
    row = summarise(again, resamples=20, flips=20).whole.row("gradcam")
    assert row.statuses == {"not finite": 2}
    for name in ("ebpg", "drop", "increase", "insertion"):
        assert row.cells[name].estimate.items == 0


def test_rows_of_earlier_versions_hold_nan_and_infinity(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"key": "a", "drop": NaN, "score": Infinity, "status": "ok"}\n')
    store = RowStore(file)
    assert np.isnan(store["a"]["drop"])
    assert np.isnan(store["a"]["score"])
    store.add({"b": {"drop": float("-inf"), "forwards": 3}, "c": {"drop": 0.25}})
    kept = RowStore(file)
    assert np.isnan(store["b"]["drop"])
    assert np.isnan(kept["b"]["drop"])
    assert kept["b"]["forwards"] == 3
    assert kept["c"] == {"drop": 0.25}
    assert [strict(line).get("drop", 0) for line in file.read_text().splitlines()[1:]] == [
        None,
        0.25,
    ]


@pytest.mark.parametrize("line", ["[]", '"key"', "1", '{"key": []}', '{"key": null}', "[" * 9999])
def test_a_row_that_is_none_is_absent(line: str, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(f'{line}\n{{"key": "a", "x": 1}}\n')
    assert RowStore(file)["a"] == {"x": 1}


@pytest.mark.parametrize(
    "changes",
    [
        {"map": np.array(["x"])},
        {"score": np.zeros(2)},
        {"forwards": "x"},
        {"map": np.zeros(2, "c8")},
    ],
)
def test_a_kept_map_of_another_kind_is_none(changes: dict[str, Any], tmp_path: Path) -> None:
    spec = parse_spec("rise")
    whole = {"key": "k", "map": np.zeros((2, 2), np.float32), "status": "ok", "score": 0.5,
             "forwards": 1, "seconds": 0.1}  # fmt: skip
    (tmp_path / "rise").mkdir()
    np.savez(tmp_path / "rise" / "a.npz", **whole)
    assert MapStore(tmp_path).kept(spec, "a").tolist() == [[0, 0], [0, 0]]
    np.savez(tmp_path / "rise" / "a.npz", **{**whole, **changes})
    with pytest.raises(SiseError, match="no map here"):
        MapStore(tmp_path).kept(spec, "a")


def test_a_kept_map_with_damage_at_any_place_is_none_or_whole(tmp_path: Path) -> None:
    file = tmp_path / "rise" / "a.npz"
    file.parent.mkdir()
    np.savez(file, key="k", map=np.zeros((1, 1)), status="ok", score=0.5, forwards=1, seconds=0.1)
    whole = file.read_bytes()
    for place in range(0, len(whole), 3):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        with contextlib.suppress(SiseError):
            MapStore(tmp_path).kept(parse_spec("rise"), "a")
