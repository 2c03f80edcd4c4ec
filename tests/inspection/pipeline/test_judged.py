"""What cannot be judged is never accepted."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import toys
from toys import BRIGHT, CLASSES, strip, write_strip

from inspection.cli import main
from inspection.commands.summary import summarise
from inspection.errors import ReportFolderError
from inspection.pipeline import classifier as classify_module
from inspection.pipeline.classifier import StripClassifier, probabilities
from inspection.pipeline.judged import why_not_judged
from inspection.pipeline.run import Finished
from inspection.pipeline.strips import ReadStrip, StripFile
from inspection.review.errors import RegistrationError
from inspection.review.register import read_report
from inspection.store.reading import open_report
from inspection.store.verify import Request, verify

Inspect = Callable[..., Finished]
MARK = 77
"""A grey level that makes `broken` answer as told."""


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """The toy model answers this logit for class 3 where a pixel of the patch is `MARK`."""
    answer = toys.BrightAndBlack.forward

    def spoil(value: float) -> None:
        def forward(self: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
            logits = answer(self, images)
            marked = (images - MARK / 255).abs().amin(dim=(1, 2, 3)) < 1e-6
            logits[marked, 3] = value
            return logits

        monkeypatch.setattr(toys.BrightAndBlack, "forward", forward)

    return spoil


def marked(*lefts: int) -> np.ndarray:
    pixels = strip(1600, bright=[40])
    for left in lefts:
        pixels[0, left] = MARK
    return pixels


def rows(*answers: float, white: float = 0.0, black: float = 0.0) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "strip_id": "a",
            "left": [224 * i for i in range(len(answers))],
            "p_normal": 1.0,
            "p_class_1": answers,
            "white_fraction": white,
            "black_fraction": black,
        }
    )


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_probability_that_is_not_finite_is_no_answer(value: float) -> None:
    reason = why_not_judged(rows(0.1, value, 0.2, value), CLASSES[:2], 0.95)["a"]
    assert reason.startswith("the model gives no finite probability for 2 of 4 patches, the first ")
    assert "at 224 px" in reason


def test_a_strip_needs_one_patch_with_steel() -> None:
    margins = rows(0.1, 0.1, 0.1).assign(black_fraction=[1.0, 0.95, 1.0])
    dark = "no steel to be seen: black throughout"
    assert why_not_judged(margins, CLASSES[:2], 0.95) == {}
    assert why_not_judged(margins, CLASSES[:2], 0.94) == {"a": dark}
    two = pd.concat([margins, rows(0.1, 0.1).assign(strip_id="b")])
    assert why_not_judged(two, CLASSES[:2], 0.94) == {"a": dark}


def test_a_white_patch_is_no_margin() -> None:
    assert why_not_judged(rows(0.1, 0.1, white=0.95), CLASSES[:2], 0.95) == {}
    glare = rows(0.1, 0.1).assign(white_fraction=[0.2, 0.96])
    reason = "overexposed: white throughout in 1 of 2 patches, the first at 224 px"
    assert why_not_judged(glare, CLASSES[:2], 0.95) == {"a": reason}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_give_no_probabilities(
    broken: Callable[[float], None], value: float
) -> None:
    broken(value)
    tiles = [strip(256), marked(0)[:, :256], strip(256)]
    found = probabilities(tiles, toys.toy_classifier())
    assert np.isnan(found[1]).all()
    np.testing.assert_allclose(found[[0, 2]].sum(axis=1), 1, atol=1e-6)


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    folder = tmp_path / "batch"
    write_strip(folder / "a fine.png", strip(1600))
    write_strip(folder / "b dark.png", np.zeros((256, 1600, 3), np.uint8))
    write_strip(folder / "c margin.png", np.where(np.arange(1600)[:, None] < 800, 0, strip(1600)))
    write_strip(folder / "d white.png", np.full((256, 700, 3), BRIGHT, np.uint8))
    write_strip(folder / "e glare.png", np.where(np.arange(1600)[:, None] < 600, 255, strip(1600)))
    write_strip(folder / "f answer.png", marked(800))
    write_strip(folder / "g nothing.png", marked(*range(0, 1600, 10)))
    return folder


def test_strips_that_cannot_be_judged_are_held(
    batch: Path, tmp_path: Path, inspect_toy: Inspect, broken: Callable[[float], None]
) -> None:
    broken(np.nan)
    out = tmp_path / "out"
    finished = inspect_toy(batch, out)
    strips = pd.read_parquet(out / "strips.parquet").set_index("strip_id")
    held = strips[strips["status"] == "not judged"]
    assert list(held.index) == [
        "b dark.png", "d white.png", "e glare.png", "f answer.png", "g nothing.png"
    ]  # fmt: skip
    assert set(held["disposition"]) == {"hold"}
    assert strips.loc["a fine.png", "rule"] == "no rule applies"
    assert strips.loc["c margin.png", "rule"] == "rule 3, any indication: at least 1 patch flagged"
    assert held["width"].isna().all()
    assert held["rule"].tolist() == [f"not inspected: {reason}" for reason in held["reason"]]
    assert held.loc["b dark.png", "reason"] == "no steel to be seen: black throughout"
    assert "for 1 of 7 patches, the first at 672 px" in held.loc["f answer.png", "reason"]
    assert "for 7 of 7 patches, the first at 0 px" in held.loc["g nothing.png", "reason"]

    patches = pd.read_parquet(out / "results.parquet")
    assert set(patches["strip_id"]) == {"a fine.png", "c margin.png"}
    assert patches.loc[patches["strip_id"] == "c margin.png", "steel"].sum() == 4
    counts = finished.record["counts"]
    assert (counts["inspected"], counts["unreadable"], counts["not_judged"]) == (2, 0, 5)
    assert counts["dispositions_by_rule"] == {"accept": 1, "hold": 1}
    assert finished.record["exit_status"] == 4
    summary = summarise(finished.record, finished.folder.index, 1.0, False)
    assert "7 found: 2 inspected, 0 unreadable, 5 not judged; 0 other" in summary

    page = " ".join((out / "index.html").read_text("utf-8").split())
    assert "5 strips could not be judged." in page
    assert "<b>0</b> unreadable + <b>5</b> not judged + <b>0</b> skipped" in page
    assert "<td>not judged</td><td>no steel to be seen: black throughout</td>" in page
    for path in (out / "figures.json", out / "batch.json", out / "work" / "source.json"):
        json.loads(path.read_text("utf-8"), parse_constant=pytest.fail)
    log = [json.loads(line) for line in (out / "log.jsonl").read_text("utf-8").splitlines()]
    assert sum(entry["event"] == "not judged" for entry in log) == 5
    assert not verify(Request(out)).having("changed", "missing", "new")


def test_a_batch_of_which_nothing_can_be_judged_is_a_report(
    tmp_path: Path, inspect_toy: Inspect
) -> None:
    write_strip(tmp_path / "batch" / "dark.png", np.zeros((256, 512, 3), np.uint8))
    finished = inspect_toy(tmp_path / "batch", tmp_path / "out")
    assert finished.record["counts"]["dispositions"] == {"hold": 1}
    assert finished.record["exit_status"] == 4
    assert "No strip could be inspected." in (tmp_path / "out" / "index.html").read_text("utf-8")


def test_what_an_earlier_run_kept_is_judged_again(
    batch: Path, tmp_path: Path, inspect_toy: Inspect, broken: Callable[[float], None]
) -> None:
    """Predictions that are taken from the store must not pass by unjudged."""
    broken(np.nan)
    out = tmp_path / "out"
    inspect_toy(batch, out)
    write_strip(batch / "h new.png", strip(256))
    assert inspect_toy(batch, out, mm_per_px=0.4).record["counts"]["not_judged"] == 5


@pytest.mark.parametrize("column", ["p_normal", "p_class_4"])
def test_an_earlier_report_of_answers_that_are_not_finite_is_refused(
    tmp_path: Path, inspect_toy: Inspect, column: str
) -> None:
    write_strip(tmp_path / "batch" / "a.png", strip(512))
    out = tmp_path / "out"
    inspect_toy(tmp_path / "batch", out)
    table = pd.read_parquet(out / "results.parquet")
    table.loc[1, [column, "score"]] = np.nan
    table.to_parquet(out / "results.parquet")
    with pytest.raises(ReportFolderError, match="holds probabilities that are not finite"):
        open_report(out)
    with pytest.raises(RegistrationError, match="holds probabilities that are not finite"):
        read_report(out)
    assert main(["figures", str(out)]) == 2


def test_labels_count_a_strip_that_was_not_judged_neither_way(
    batch: Path, tmp_path: Path, inspect_toy: Inspect, broken: Callable[[float], None]
) -> None:
    broken(np.nan)
    csv = tmp_path / "train.csv"
    names = ("a fine.png", "b dark.png", "g nothing.png")
    csv.write_text("ImageId,ClassId,EncodedPixels\n" + "".join(f"{n},1,1 256\n" for n in names))
    found = inspect_toy(batch, tmp_path / "out", truth=csv).folder.root / "figures.json"
    strips = json.loads(found.read_text("utf-8"))["truth"]["outcomes"]["per_strip"]
    assert {entry["strip_id"] for entry in strips} == {"a fine.png", "c margin.png"}


def test_saturation_is_measured_on_every_patch(tmp_path: Path) -> None:
    pixels = strip(512)
    pixels[:128] = 250
    read = ReadStrip(StripFile("a", "", Path("a"), "00", 1), pixels)
    found = StripClassifier(toys.toy_classifier(), 256)([read])
    assert found["white_fraction"].tolist() == [0.5, 0.5]
    assert classify_module.PATCH_COLUMNS[-1] == "white_fraction"
