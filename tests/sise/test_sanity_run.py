"""The whole experiment, on a small trained classifier of bright discs and dark ones."""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch
from networks import small_cnn, snapshot
from PIL import Image
from torch import nn

from sise.bundle import ModelBundle, ModelCard
from sise.commands import sanity
from sise.datasets.dataset import Item
from sise.errors import ImageError, SiseError
from sise.evaluation import store
from sise.evaluation.subject import Subject, read
from sise.methods.gradcam import GradCAM
from sise.methods.untrained import untrained
from sise.registry import parse_specs
from sise.sanity.report import publish
from sise.sanity.run import Experiment, Mode, Plan, peers
from sise.sanity.similarity import rank_correlation, ssim

SIZE, RADIUS = 32, 5
CLASSES = ("bright", "dark")
SHARED = {"precision": "fp32", "batch_size": "auto", "backend": "torch", "compile": False,
          "output": "softmax"}  # fmt: skip


class Discs:
    """`count` images (32, 32, 3), the classes in turn; image `broken` cannot be read."""

    name = "discs"
    classes = CLASSES

    def __init__(self, count: int, seed: int = 0, broken: int | None = None) -> None:
        generator = np.random.default_rng(seed)
        centres = generator.integers(RADIUS, SIZE - RADIUS, (count, 2, 1, 1))
        rows, columns = np.mgrid[:SIZE, :SIZE]
        self.inside = (rows - centres[:, 0]) ** 2 + (columns - centres[:, 1]) ** 2 <= RADIUS**2
        sign = np.where(np.arange(count) % 2, -60, 60)[:, None, None, None]
        values = 128 + generator.normal(0, 20, (count, SIZE, SIZE, 3))
        drawn = values + sign * self.inside[..., None]
        self.images = np.clip(drawn, 0, 255).astype(np.uint8)
        self.items: Sequence[Item] = [Item(f"{i}", f"{i}", i % 2) for i in range(count)]
        self.broken = broken

    def pixels(self, item: Item) -> npt.NDArray[np.uint8]:
        if int(item.id) == self.broken:
            raise ImageError(f"{item.id}.png: no such file")
        return np.asarray(self.images[int(item.id)])

    def truth(self, item: Item) -> npt.NDArray[np.bool_]:
        return np.asarray(self.inside[int(item.id)])


def bundle_of(model: nn.Module) -> ModelBundle:
    card = ModelCard("toy", CLASSES, (SIZE, SIZE), (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    return ModelBundle(card, model, "0" * 64)


@cache
def trained() -> nn.Module:
    """Tells bright discs from dark ones, by plain gradient descent."""
    model = small_cnn(classes=2)
    model[-1].weight.data.div_(20)
    data = Discs(128, seed=1)
    images = bundle_of(model).preprocess(data.images)
    labels = torch.arange(128) % 2
    model.train()
    for _ in range(30):
        loss = nn.functional.cross_entropy(model(images), labels)
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        with torch.no_grad():
            for weight, gradient in zip(model.parameters(), gradients, strict=True):
                weight -= 0.3 * gradient
    model.eval()
    assert (model(images).argmax(dim=1) == labels).float().mean() > 0.95
    return model


def experiment(
    out: Path, methods: Sequence[str] = ("gradcam", "sobel"), mode: Mode = "cascading",
    count: int = 14, seed: int = 0,
) -> Experiment:  # fmt: skip
    bundle, data = bundle_of(trained()), Discs(count)
    subjects = [read(bundle, data, item) for item in data.items]
    plan = Plan(parse_specs(methods), mode, SHARED, seed=seed, seeds=2)
    return Experiment(bundle, data, subjects, plan, out)


def table_of(one: Experiment) -> pd.DataFrame:
    return pd.DataFrame([row for rows in one.rows() for row in rows])


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Experiment, pd.DataFrame]:
    one = experiment(tmp_path_factory.mktemp("тест dir"))
    before = snapshot(one.bundle.model)
    table = table_of(one)
    assert snapshot(one.bundle.model) == before, "the model itself is left alone"
    return one, table


def test_edges_fail_and_a_cam_passes(done: tuple[Experiment, pd.DataFrame]) -> None:
    one, table = done
    verdicts = publish(one, table.to_dict("records"), 0.05, 2, "sise sanity …")
    assert {text: verdict.word for text, verdict in verdicts.items()} == {
        "gradcam": "passes",
        "sobel": "fails",
    }
    card = json.loads((one.out / "card.json").read_text("utf-8"))
    assert card["verdict"]["sobel"]["findings"]["ssim"]["final"] == pytest.approx(1)
    assert card["steps"] == {"9": ["9"], "4": ["4", "5"], "0": ["0", "1"]}
    pd.testing.assert_frame_equal(pd.read_parquet(one.out / "similarities.parquet"), table)
    written = (one.out / "summary.md").read_text("utf-8")
    assert "| Sobel edges | **fails** | SSIM ends at 1.00" in written
    assert "| 2 | 4 |" in written
    summary = pd.read_csv(one.out / "summary.csv").set_index(["method", "kind", "step", "measure"])
    second = table[(table["method"] == "gradcam") & (table["kind"] == "cascading")]
    expected = second[second["step"] == 2]["rank"].mean()
    assert summary.loc[("gradcam", "cascading", 2, "rank"), "mean"] == pytest.approx(expected)
    for name in ("curves.png", "grid.png"):
        with Image.open(one.out / name) as picture:
            assert min(picture.size) > 400
            assert len(set(picture.convert("L").tobytes())) > 100, "not blank"


def test_rows_compare_the_original_map_with_that_of_the_step(
    done: tuple[Experiment, pd.DataFrame],
) -> None:
    one, table = done
    subject = one.subjects[3]
    image = subject.image[None]
    model = one.bundle.model
    original = GradCAM(model, precision="fp32")(image, target=subject.target).maps[0]
    fresh = untrained(model, 1)[0]
    renewed = GradCAM(fresh, precision="fp32")(image, target=subject.target).maps[0]
    rows = table[(table["method"] == "gradcam") & (table["item"] == "3")]
    row = rows[(rows["kind"] == "untrained") & (rows["seed"] == 1)].iloc[0]
    assert row["ssim"] == pytest.approx(ssim(original, renewed), abs=1e-6)
    assert row["rank"] == pytest.approx(rank_correlation(original, renewed), abs=1e-6)
    share = (renewed * subject.truth).sum() / renewed.sum()
    assert row["ebpg"] == pytest.approx(float(share), abs=1e-5)
    itself = rows[rows["kind"] == "original"].iloc[0]
    assert (itself["ssim"], itself["rank"]) == pytest.approx((1, 1))
    last = rows[(rows["kind"] == "cascading") & (rows["step"] == 3)].iloc[0]
    first_seed = rows[(rows["kind"] == "untrained") & (rows["seed"] == 0)].iloc[0]
    assert last["ssim"] == first_seed["ssim"], "the cascade ends at the untrained net"
    assert list(rows[rows["kind"] == "another image"]["stage"]) == ["5", "7", "9", "11"]
    other = one.map(one.plan.specs[0], one.subjects[5]).map
    floor = rows[rows["stage"] == "5"].iloc[0]
    assert floor["ssim"] == pytest.approx(ssim(original, other), abs=1e-6)


def test_a_run_resumed_makes_no_map_again(
    done: tuple[Experiment, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, table = done
    made: list[str] = []
    really = store._make

    def counted(explainer: Any, subject: Subject, key: str) -> store.Made:
        made.append(subject.item.id)
        return really(explainer, subject, key)

    monkeypatch.setattr(store, "_make", counted)
    again = experiment(one.out)
    pd.testing.assert_frame_equal(table_of(again), table)
    assert made == []
    (one.out / "maps" / "cascading-0" / "02" / "gradcam" / "3.npz").unlink()
    pd.testing.assert_frame_equal(
        table_of(experiment(one.out)).drop(columns="seconds"), table.drop(columns="seconds")
    )
    assert made == ["3"], "and what is lost is made as it was"


def test_the_seed_decides(tmp_path: Path) -> None:
    zero, same, other = (
        table_of(experiment(tmp_path / name, ["gradcam"], count=2, seed=seed))
        for name, seed in (("a", 0), ("b", 0), ("c", 7))
    )
    pd.testing.assert_frame_equal(zero.drop(columns="seconds"), same.drop(columns="seconds"))
    steps = [one[one["kind"] == "cascading"]["rank"].to_numpy() for one in (zero, other)]
    assert not np.allclose(*steps)


def test_independent_steps_renew_one_stage_each(tmp_path: Path) -> None:
    one = experiment(tmp_path, ["gradcam"], mode="independent", count=2)
    assert [state.renewed for state in one.steps] == [(0,), (1,), (2,)]
    table = table_of(one)
    assert set(table["kind"]) == {"original", "independent", "untrained", "centre Gaussian"}
    assert sum(1 for _ in experiment(tmp_path, ["gradcam"], "independent", 2).rows()) == one.total


def test_peers_are_other_images_of_the_class() -> None:
    bundle, data = bundle_of(trained()), Discs(8)
    subjects = [read(bundle, data, item) for item in data.items]
    twice = replace(subjects[2], item=replace(subjects[2].item, id="2 again"))
    several = [*subjects, twice]
    assert [one.item.id for one in peers(several, subjects[2], 2)] == ["4", "6"]
    assert [one.item.id for one in peers(several, twice, 9)] == ["0", "4", "6"]


def _answer(monkeypatch: pytest.MonkeyPatch, data: Discs) -> None:
    monkeypatch.setattr(sanity, "subjects", lambda *_: (bundle_of(trained()), data, data.items))


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _answer(monkeypatch, Discs(3, broken=1))
    given = ["--bundle", "b", "--data", "d", "--out", str(tmp_path), "--precision", "fp32"]
    parsed = sanity.parser().parse_args([*given, "--methods", "sobel", "--seeds", "1"])
    assert (parsed.limit, parsed.mode, parsed.steps) == (30, "cascading", 20)
    assert sanity.run(parsed) == sanity.UNREADABLE_INPUTS
    output = capsys.readouterr()
    assert "sise sanity: 1.png: no such file; left out" in output.err
    assert "Sobel edges: undecided (fewer than 6 images have maps to compare)" in output.out
    assert (tmp_path / "card.json").is_file()


def test_a_command_that_makes_no_sense_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ["--bundle", "b", "--data", "d", "--out", str(tmp_path)]
    _answer(monkeypatch, Discs(1, broken=0))
    with pytest.raises(SiseError, match="d: no item to explain"):
        sanity.run(sanity.parser().parse_args(given))
    with pytest.raises(SiseError, match="method 'lime': one of sise, "):
        sanity.run(sanity.parser().parse_args([*given, "--methods", "lime"]))
