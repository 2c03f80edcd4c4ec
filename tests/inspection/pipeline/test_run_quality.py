"""A run that is held against true masks, earlier reports and the scores of training."""

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from toys import FakeExplainer, strip, write_strip

from inspection.commands import figures as figures_command
from inspection.errors import BatchError, ReportFolderError
from inspection.pipeline import run as run_module
from inspection.pipeline.run import Finished
from inspection.quality.labels import TruthError
from inspection.store import folder as folder_module
from inspection.store.checksums import read_checksums
from severstal_prep.errors import AnnotationError
from severstal_prep.rle import encode

Inspect = Callable[..., Finished]
LEFTS = [0, 224, 448, 672, 896, 1120, 1344]


def box(left: int, top: int, width: int, height: int) -> str:
    """The run lengths of a box on a strip."""
    mask = np.zeros((256, 1600), bool)
    mask[top : top + height, left : left + width] = True
    return encode(mask)


def write_labels(path: Path, *rows: Sequence[object], older: bool = False) -> Path:
    heading = ["ImageId_ClassId"] if older else ["ImageId", "ClassId"]
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([*heading, "EncodedPixels"])
        for image, class_id, runs in rows:
            names = [f"{image}_{class_id}"] if older else [image, class_id]
            writer.writerow([*names, runs])
    return path


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    """a: indications of class 1 at x 40 and 1500; b: of class 2 at 740; c: none."""
    folder = tmp_path / "тест dir" / "партия"
    write_strip(folder / "cam" / "a.png", strip(1600, bright=[40, 1500]))
    write_strip(folder / "b.png", strip(1600, black=[740]))
    write_strip(folder / "c.png", strip(1600))
    return folder


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """The first of these is right, the second is of class 3, the third there is not; on b there
    is a small mark of class 4 at x 1000 that nothing indicates."""
    return write_labels(
        tmp_path / "labels.csv",
        ("a.png", 1, box(40, 96, 64, 64)),
        ("a.png", 3, box(1500, 96, 64, 64)),
        ("b.png", 4, box(1000, 10, 20, 10)),
    )


def clock(monkeypatch: pytest.MonkeyPatch, time: str) -> None:
    for module in (folder_module, run_module):
        monkeypatch.setattr(module, "utc_now", lambda: time)


def table(out: Path) -> pd.DataFrame:
    return pd.read_parquet(out / "results.parquet").set_index(["strip_id", "left"])


def figures(out: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / "figures.json").read_text("utf-8"))
    return content


def test_each_patch_has_its_outcome(
    batch: Path, labels: Path, tmp_path: Path, inspect_toy: Inspect
) -> None:
    inspect_toy(batch, tmp_path / "out", truth=labels)
    rows = table(tmp_path / "out")
    outcomes = {name: list(rows.loc[name, "outcome"]) for name in ("cam/a.png", "b.png", "c.png")}
    assert outcomes == {
        "cam/a.png": ["found", *["passed"] * 5, "misnamed"],
        "b.png": [*["passed"] * 3, "overkill", "escape", "passed", "passed"],
        "c.png": ["passed"] * 7,
    }
    classes = rows["true_class"]
    assert classes[classes != "normal"].to_dict() == {
        ("cam/a.png", 0): "class 1", ("cam/a.png", 1344): "class 3", ("b.png", 896): "class 4"
    }  # fmt: skip


def test_maps_are_held_against_the_true_mask(
    batch: Path, labels: Path, tmp_path: Path, inspect_toy: Inspect
) -> None:
    inspect_toy(batch, tmp_path / "out", truth=labels)
    rows = table(tmp_path / "out")
    measured = rows[rows["ebpg"].notna()]
    # The fake map is the bright square, which is the true mask.
    assert measured[["ebpg", "bbox"]].to_dict("index") == {
        ("cam/a.png", 0): {"ebpg": pytest.approx(1), "bbox": pytest.approx(1)}
    }
    contours = rows["true_contour"]
    # The misnamed patch shows nothing of class 1, which its map explains.
    assert contours[contours != ""].to_dict() == {
        ("cam/a.png", 0): "M 40 96 L 104 96 L 104 160 L 40 160 Z",
        ("b.png", 896): "M 104 10 L 124 10 L 124 20 L 104 20 Z",
    }
    assert contours["cam/a.png", 0] == rows["region_contour"]["cam/a.png", 0]


def test_what_escaped_can_be_listed(
    batch: Path, labels: Path, tmp_path: Path, inspect_toy: Inspect
) -> None:
    explainer = FakeExplainer()
    inspect_toy(batch, tmp_path / "out", explainer, truth=labels)
    rows = table(tmp_path / "out")
    escaped = rows[rows["outcome"] == "escape"]
    assert escaped.index.tolist() == [("b.png", 896)]
    row = escaped.iloc[0]
    assert (row["true_class"], row["explained"], row["target"]) == ("class 4", False, "")
    # Plain steel: logits 2, 0, 0, 0, 0.
    assert row["p_normal"] == pytest.approx(np.exp(2) / (np.exp(2) + 4), abs=1e-6)
    assert row["p_class_4"] == pytest.approx(1 / (np.exp(2) + 4), abs=1e-6)
    assert len(explainer.targets) == 2 * 3, "only what is flagged is explained"


def test_without_labels_the_columns_are_empty(
    batch: Path, tmp_path: Path, inspect_toy: Inspect
) -> None:
    finished = inspect_toy(batch, tmp_path / "out")
    rows = table(tmp_path / "out")
    for name in ("true_class", "outcome", "true_contour"):
        assert set(rows[name]) == {""}
    assert rows[["ebpg", "bbox"]].isna().all(axis=None)
    assert figures(tmp_path / "out")["truth"] is None
    config = finished.record["config"]
    assert {name: config[name] for name in ("truth", "earlier", "by", "mm_per_px")} == {
        "truth": None, "earlier": [], "by": "strip", "mm_per_px": None
    }  # fmt: skip


def test_the_older_layout_and_what_it_does_not_know(
    batch: Path, tmp_path: Path, inspect_toy: Inspect
) -> None:
    rows = [("a.png", 1, box(40, 96, 64, 64)), ("c.png", 1, ""), ("c.png", 2, "")]
    older = write_labels(tmp_path / "older.csv", *rows, older=True)
    inspect_toy(batch, tmp_path / "out", truth=older)
    found = table(tmp_path / "out")
    assert set(found.loc["c.png", "outcome"]) == {"passed"}
    assert set(found.loc["b.png", "outcome"]) == {"unknown"}
    assert set(found.loc["b.png", "true_class"]) == {""}
    assert list(found.loc["cam/a.png", "outcome"]) == ["found", *["passed"] * 5, "overkill"]
    truth = figures(tmp_path / "out")["truth"]
    assert (truth["unlisted"], truth["unlisted_is_normal"]) == (1, False)
    assert truth["outcomes"]["patches_unknown"] == 7


def test_the_figures_lie_beside_the_page_and_are_those_of_the_command(
    batch: Path, labels: Path, tmp_path: Path, inspect_toy: Inspect,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    out = tmp_path / "out"
    inspect_toy(batch, out, truth=labels, by="coil")
    found = figures(out)
    patches = found["truth"]["outcomes"]["patches"]
    assert (patches["escape"]["hits"], patches["escape"]["trials"]) == (1, 3)
    assert (patches["overkill"]["hits"], patches["overkill"]["trials"]) == (1, 18)
    assert found["truth"]["localisation"]["patches"] == 1
    assert [(p["subgroup"]["name"], p["subgroup"]["flagged"]) for p in found["chart"]["points"]] \
        == [("", 1), ("cam", 2)]  # fmt: skip
    assert "figures.json" in read_checksums(out)
    capsys.readouterr()
    options = [str(out), "--truth", str(labels), "--by", "coil"]
    figures_command.run(figures_command.parser().parse_args(options))
    printed = json.loads(capsys.readouterr().out)
    assert printed.pop("no_drift") == "no bundle was given"
    assert found.pop("no_drift") == "the bundle's card has no metrics.confidence to compare with"
    assert printed == found


def test_drift_is_from_the_bundle_that_the_run_used(
    batch: Path, tmp_path: Path, inspect_toy: Inspect
) -> None:
    # As if in training every crop was as plain as most of these patches.
    plain = round(float(np.exp(2) / (np.exp(2) + 4)), 6)
    metrics = {"confidence": {"split": "val", "crops": 500, "quantiles": [plain] * 201}}
    inspect_toy(batch, tmp_path / "out", metrics=metrics)
    found = figures(tmp_path / "out")
    assert found["reference"] == metrics["confidence"]
    assert found["no_drift"] == ""
    # 18 of the 21 patches are plain; the marks make the model less sure.
    assert found["drift"]["patches"] == 21
    assert found["drift"]["ks"] == pytest.approx(3 / 21)


def earlier_report(
    root: Path, name: str, inspect_toy: Inspect, monkeypatch: pytest.MonkeyPatch, minute: int
) -> Path:
    """Eight strips of three patches, every second with one indication."""
    for index in range(8):
        marks = [40 + minute] if index % 2 else []
        write_strip(root / name / f"{index}.png", strip(704, bright=marks))
    clock(monkeypatch, f"2026-11-22T22:{minute:02}:00+00:00")
    inspect_toy(root / name, root / f"{name} report", runner_up=False)
    return root / f"{name} report"


def test_earlier_reports_are_the_background_of_the_chart(
    batch: Path, tmp_path: Path, inspect_toy: Inspect, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = earlier_report(tmp_path, "before", inspect_toy, monkeypatch, 1)
    out = tmp_path / "out"
    clock(monkeypatch, "2026-11-22T22:30:00+00:00")
    inspect_toy(batch, out)
    explainer = FakeExplainer()
    finished = inspect_toy(batch, out, explainer, earlier=(before, out))
    assert not finished.up_to_date
    assert explainer.targets == []
    fingerprint = json.loads((before / "batch.json").read_text())["fingerprint"]
    assert finished.record["config"]["earlier"] == [
        {"folder": str(before), "fingerprint": fingerprint}
    ]
    found = figures(out)
    assert found["left_out"] == [[str(out), "the same strips"]]
    chart = found["chart"]
    assert [(group["name"], group["flagged"], group["patches"]) for group in chart["earlier"]] == [
        (f"{index}.png", index % 2, 3) for index in range(8)
    ]
    assert {group["batch"] for group in chart["earlier"]} == {"before"}
    # p = 4/24; z = ±(1/6) / √(5/36/3) in turn, so that σ_z = 2 z / 1.128.
    sigma_z = 2 * (1 / 6) / (5 / 36 / 3) ** 0.5 / 1.128
    assert chart["baseline"]["sigma_z"] == pytest.approx(sigma_z)
    high = 1 / 6 + 3 * sigma_z * (5 / 36 / 7) ** 0.5
    assert [point["high"] for point in chart["points"]] == [pytest.approx(high)] * 3
    assert inspect_toy(batch, out, earlier=(before, out)).up_to_date

    another = earlier_report(tmp_path, "another", inspect_toy, monkeypatch, 2)
    clock(monkeypatch, "2026-11-22T22:31:00+00:00")
    added = FakeExplainer()
    assert not inspect_toy(batch, out, added, earlier=(before, another)).up_to_date
    assert added.targets == []
    assert len(figures(out)["chart"]["earlier"]) == 16


def test_an_earlier_report_that_was_interrupted_here_is_no_obstacle(
    batch: Path, tmp_path: Path, inspect_toy: Inspect
) -> None:
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        inspect_toy(batch, out, FakeExplainer(stop_at=2), earlier=(out,))
    inspect_toy(batch, out, earlier=(out,))
    assert figures(out)["left_out"] == [[str(out), "the same strips"]]


def test_other_labels_and_other_millimetres_cost_no_explanation(
    batch: Path, labels: Path, tmp_path: Path, inspect_toy: Inspect
) -> None:
    out = tmp_path / "out"
    inspect_toy(batch, out, truth=labels)
    explainer = FakeExplainer()
    write_labels(labels, ("a.png", 1, box(1500, 96, 64, 64)))
    finished = inspect_toy(batch, out, explainer, truth=labels, mm_per_px=0.25)
    assert not finished.up_to_date
    assert explainer.targets == []
    assert finished.record["config"]["mm_per_px"] == 0.25
    assert table(out).loc[("cam/a.png", 1344), "outcome"] == "found"
    assert table(out).loc[("b.png", 896), "outcome"] == "passed"
    assert inspect_toy(batch, out, explainer, truth=labels, mm_per_px=0.25).up_to_date
    assert not inspect_toy(batch, out, explainer).up_to_date
    assert explainer.targets == []


@pytest.mark.slow
def test_an_interrupted_run_with_labels_continues_to_the_same_report(
    batch: Path, labels: Path, tmp_path: Path, inspect_toy: Inspect,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    clock(monkeypatch, "2026-11-22T22:38:00+00:00")
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    inspect_toy(batch, whole, truth=labels)
    with pytest.raises(KeyboardInterrupt):
        inspect_toy(batch, torn, FakeExplainer(stop_at=4), truth=labels)
    assert not (torn / "figures.json").exists()
    inspect_toy(batch, torn, truth=labels)
    for name in read_checksums(whole):
        assert (torn / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("z.png", 1, "1 1")], r"labels\.csv: names no strip of the batch, such as b\.png"),
        ([("a.png", 1, "1 1"), ("a.png", 9, "1 1")], r"labels\.csv, row 3: .*9"),
        ([("a.png", 1, "1 2 3")], r"labels\.csv, row 2: "),
    ],
)
def test_labels_that_cannot_be_used_stop_before_any_work(
    batch: Path, tmp_path: Path, inspect_toy: Inspect, rows: list[Any], message: str
) -> None:
    out = tmp_path / "out"
    labels = write_labels(tmp_path / "labels.csv", *rows)
    with pytest.raises(TruthError, match=message) as caught:
        inspect_toy(batch, out, truth=labels)
    assert "--on-error" not in str(caught.value)
    assert not out.exists()
    finished = inspect_toy(batch, out)
    before = (out / "index.html").read_bytes()
    with pytest.raises(TruthError):
        inspect_toy(batch, out, truth=labels)
    assert (out / "index.html").read_bytes() == before
    assert json.loads((out / "batch.json").read_text()) == finished.record


def test_labels_of_two_strips_of_one_name(
    batch: Path, tmp_path: Path, inspect_toy: Inspect
) -> None:
    write_strip(batch / "cam 2" / "a.png", strip(1600))
    labels = write_labels(tmp_path / "labels.csv", ("a.png", 1, "1 1"))
    with pytest.raises(TruthError, match=r"two strips of the batch, cam 2/a\.png and cam/a\.png"):
        inspect_toy(batch, tmp_path / "out", truth=labels)
    assert not (tmp_path / "out").exists()


def test_labels_of_a_strip_of_another_width_leave_no_half_report(
    batch: Path, tmp_path: Path, inspect_toy: Inspect
) -> None:
    write_strip(batch / "d.png", strip(800, bright=[40]))
    labels = write_labels(tmp_path / "labels.csv", ("d.png", 1, "1 1"))
    explainer = FakeExplainer()
    out = tmp_path / "out"
    with pytest.raises(TruthError, match=r"d\.png has 800×256 px"):
        inspect_toy(batch, out, explainer, truth=labels)
    assert explainer.targets == []
    assert sorted(path.name for path in out.iterdir()) == ["img", "log.jsonl", "work"]


def test_labels_of_strips_that_cannot_be_read_judge_nothing(
    batch: Path, tmp_path: Path, inspect_toy: Inspect
) -> None:
    (batch / "void.png").write_bytes(b"")
    labels = write_labels(tmp_path / "labels.csv", ("void.png", 1, "1 1"), ("x.png", 1, ""),
                          older=True)  # fmt: skip
    finished = inspect_toy(batch, tmp_path / "out", truth=labels)
    assert finished.record["exit_status"] == 4
    assert set(table(tmp_path / "out")["outcome"]) == {"unknown"}
    assert figures(tmp_path / "out")["truth"]["outcomes"]["patches"]["escape"]["trials"] == 0


def test_hostile_names_are_found_in_the_label_file(tmp_path: Path, inspect_toy: Inspect) -> None:
    names = ["=cmd|'A0.png", "<img src=x onerror=alert(1)>.png", 'рулон;,"5".png', "a &amp; b.png"]
    for name in names:
        write_strip(tmp_path / "batch" / name, strip(1600, bright=[40]))
    rows = [(name, 1, box(40, 96, 64, 64)) for name in names]
    labels = write_labels(tmp_path / "labels.csv", *rows)
    inspect_toy(tmp_path / "batch", tmp_path / "out", truth=labels)
    rows_of = table(tmp_path / "out")
    assert [rows_of.loc[(name, 0), "outcome"] for name in names] == ["found"] * 4
    per_strip = figures(tmp_path / "out")["truth"]["outcomes"]["per_strip"]
    assert {strip["strip_id"] for strip in per_strip} == set(names)


@pytest.mark.parametrize("size", [0, -0.1, float("nan"), float("inf")])
def test_a_pixel_has_a_size(batch: Path, tmp_path: Path, inspect_toy: Inspect, size: float) -> None:
    with pytest.raises(BatchError, match="--mm-per-px must be a positive number of mm, not"):
        inspect_toy(batch, tmp_path / "out", mm_per_px=size)
    assert not (tmp_path / "out").exists()


def test_what_is_missing_stops_before_any_work(
    batch: Path, tmp_path: Path, inspect_toy: Inspect
) -> None:
    with pytest.raises(AnnotationError, match=r"none\.csv: there is no such file"):
        inspect_toy(batch, tmp_path / "out", truth=tmp_path / "none.csv")
    with pytest.raises(ReportFolderError, match="no finished report here"):
        inspect_toy(batch, tmp_path / "out", earlier=(tmp_path / "none",))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"started": None}, "batch.json, started: Input should be a valid string, not null"),
        ({"bundle": {}}, "batch.json, bundle, sha256: Field required"),
        ({"inputs": [3]}, "batch.json, inputs 1: Input should be an object, not 3"),
        ({"format": "x"}, "its format is 'x'"),
    ],
)
def test_a_damaged_earlier_report_stops_before_any_work(
    batch: Path, tmp_path: Path, inspect_toy: Inspect, changes: dict[str, Any], reason: str
) -> None:
    write_strip(tmp_path / "other" / "a.png", strip(256))
    inspect_toy(tmp_path / "other", tmp_path / "earlier")
    path = tmp_path / "earlier" / "batch.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes))
    with pytest.raises(ReportFolderError, match=f"a damaged report .*{reason}") as caught:
        inspect_toy(batch, tmp_path / "out", earlier=(tmp_path / "earlier",))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_the_card_names_the_label_file(
    batch: Path, labels: Path, tmp_path: Path, inspect_toy: Inspect
) -> None:
    finished = inspect_toy(batch, tmp_path / "out", truth=labels)
    truth = figures(tmp_path / "out")["truth"]
    assert finished.record["config"]["truth"] == {
        "file": str(labels), "sha256": truth["labels_sha256"]
    }  # fmt: skip
