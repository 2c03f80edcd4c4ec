import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from toy_reports import data_of
from toys import FakeExplainer, needs_openvino, strip, toy_classifier, write_strip

from inspection.commands.summary import summarise
from inspection.errors import BatchError, PolicyError, ReportFolderError
from inspection.pipeline import engines as engines_module
from inspection.pipeline import strips as strips_module
from inspection.pipeline.run import Finished
from inspection.pipeline.strips import ReadStrip, StripFile
from inspection.report.exports import export
from inspection.store import folder as folder_module
from inspection.store.checksums import CHECKSUMS
from inspection.store.reading import open_report
from inspection.store.tables import patch_key
from severstal_prep.images import read_image, write_png
from sise.backends import Network
from sise.overlay import overlay

Inspect = Callable[..., Finished]


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    """Two cameras with a strip of the same name, one with indications; and files of all sorts."""
    folder = tmp_path / "тест dir" / "партия 7"
    write_strip(folder / "cam 1" / "s.png", strip(1600, bright=[40, 1500], black=[740]))
    write_strip(folder / "cam 2" / "s.png", strip(1600))
    write_strip(folder / "narrow.png", strip(256, bright=[0]))
    write_strip(folder / "low.png", np.zeros((100, 512, 3), np.uint8))
    (folder / "void.jpg").write_bytes(b"")
    (folder / "readme.txt").write_text("x")
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "тест dir" / "отчёт 7"


def patches(out: Path) -> pd.DataFrame:
    return pd.read_parquet(out / "results.parquet")


def strips(out: Path) -> pd.DataFrame:
    return pd.read_parquet(out / "strips.parquet").set_index("strip_id")


def report_bytes(out: Path) -> dict[str, bytes]:
    """All of the report but its times, log and work; and SHA256SUMS, which covers times."""
    files = {}
    for path in sorted(out.rglob("*")):
        name = path.relative_to(out).as_posix()
        if path.is_file() and not name.startswith("work/") and name not in ("log.jsonl", CHECKSUMS):
            files[name] = re.sub(rb"\d{4}-\d\d-\d\dT[\d:+]+", b"TIME", path.read_bytes())
    return files


@pytest.fixture(autouse=True)
def one_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    import inspection.pipeline.run as run_module

    for module in (folder_module, run_module):
        monkeypatch.setattr(module, "utc_now", lambda: "2026-11-22T22:38:00+00:00")


def test_every_patch_of_every_strip_is_a_row(batch: Path, out: Path, inspect_toy: Inspect) -> None:
    inspect_toy(batch, out)
    rows = patches(out)
    lefts = [0, 224, 448, 672, 896, 1120, 1344]
    found = {name: own["left"].tolist() for name, own in rows.groupby("strip_id")}
    assert found == {"cam 1/s.png": lefts, "cam 2/s.png": lefts, "narrow.png": [0]}
    columns = ["p_normal", "p_class_1", "p_class_2", "p_class_3", "p_class_4"]
    np.testing.assert_allclose(rows[columns].sum(axis=1), 1, atol=1e-5)
    assert rows["patch_key"].tolist() == [
        patch_key(row.strip_sha256, row.left, 0, 256) for row in rows.itertuples()
    ]


def test_patches_are_flagged_and_explained_where_the_marks_are(
    batch: Path, out: Path, inspect_toy: Inspect
) -> None:
    explainer = FakeExplainer(statuses={2: "no positive gradient"})
    inspect_toy(batch, out, explainer)
    flagged = patches(out).query("flagged")
    assert flagged[["strip_id", "left", "indicated", "map_status"]].values.tolist() == [
        ["cam 1/s.png", 0, "class 1", "ok"],
        ["cam 1/s.png", 672, "class 2", "no positive gradient"],
        ["cam 1/s.png", 1344, "class 1", "ok"],
        ["narrow.png", 0, "class 1", "ok"],
    ]
    # The patches of a strip for their classes, then for the runner-up, which is normal.
    assert explainer.targets == [1, 2, 1, 0, 0, 0, 1, 0]
    first = flagged.iloc[0]
    assert first[["region_left", "region_top", "region_width", "region_height"]].tolist() == [
        40, 96, 64, 64
    ]  # fmt: skip
    assert first["region_area"] == 64 * 64
    assert flagged["region_contour"].tolist() == [
        "M 40 96 L 104 96 L 104 160 L 40 160 Z",
        "",
        "M 156 96 L 220 96 L 220 160 L 156 160 Z",
        "M 0 96 L 64 96 L 64 160 L 0 160 Z",
    ]
    assert first["score"] == pytest.approx(np.exp(2.5) / (np.exp(2.5) + np.exp(2) + 3))
    assert flagged["forwards"].tolist() == [11, 11, 11, 11]
    assert np.isnan(flagged["drop"].iloc[1])
    assert not patches(out).query("not flagged")["explained"].any()


def test_strips_have_a_disposition_and_the_rule_for_it(
    batch: Path, out: Path, inspect_toy: Inspect
) -> None:
    finished = inspect_toy(batch, out)
    rows = strips(out)
    assert rows["disposition"].to_dict() == {
        "cam 1/s.png": "hold",
        "cam 2/s.png": "accept",
        "low.png": "hold",
        "narrow.png": "hold",
        "void.jpg": "hold",
    }
    assert rows.loc["cam 1/s.png", "rule"] == "rule 3, any indication: at least 1 patch flagged"
    assert rows.loc["cam 2/s.png", "rule"] == "no rule applies"
    assert rows.loc["low.png", "rule"].startswith("not inspected: 512 × 100 px")
    assert rows.loc["cam 1/s.png", ["patches", "flagged", "flagged_class_1"]].tolist() == [7, 3, 2]
    assert rows.loc["low.png", "status"] == "unreadable"
    assert pd.isna(rows.loc["low.png", "width"])
    assert finished.record["exit_status"] == 4
    assert finished.record["counts"] == {
        "entries": 6,
        "strips": 5,
        "inspected": 3,
        "unreadable": 2,
        "skipped": 1,
        "patches": 15,
        "without_steel": 0,
        "flagged": 4,
        "class_unsure": 0,
        "near": 11,
        "flagged_by_class": {"class 1": 3, "class 2": 1},
        "dispositions": {"accept": 1, "hold": 4},
        "dispositions_by_rule": {"accept": 1, "hold": 2},
        "rules": {"no rule applies": 1, "rule 3, any indication: at least 1 patch flagged": 2},
        "explained": 4,
        "without_map": 0,
        "forwards": 88,
        "not_judged": 0,
        "passed_over": 0,
    }


def test_images_show_the_patch_its_map_and_the_strip(
    batch: Path, out: Path, inspect_toy: Inspect
) -> None:
    inspect_toy(batch, out)
    first = patches(out).query("flagged").iloc[0]
    stem = f"img/{first['patch_key'][:16]}"
    assert first[["raw_path", "overlay_path", "map_path"]].tolist() == [
        f"{stem}_raw.jpg", f"{stem}_overlay.jpg", f"{stem}_map.png"
    ]  # fmt: skip
    source = read_image(batch / "cam 1" / "s.png")
    heat = read_image(out / first["map_path"])[..., 0]
    expected = np.zeros((256, 256), np.uint8)
    expected[96:160, 40:104] = 255
    assert np.abs(heat.astype(int) - expected).max() == 0
    raw = read_image(out / first["raw_path"]).astype(int)
    assert np.abs(raw - source[:, :256]).mean() < 2
    blended = overlay(source[:, :256], heat.astype(np.float32) / 255)
    over = read_image(out / first["overlay_path"]).astype(int)
    assert np.abs(over - blended).mean() < 4
    # On the strip the two bright squares are coloured like the top of the scale, the rest is grey.
    row = strips(out).loc["cam 1/s.png"]
    whole = read_image(out / row["overlay_path"]).astype(int)
    assert whole.shape == (256, 1600, 3)
    top = overlay(np.full((1, 1, 3), 255, np.uint8), np.ones((1, 1), np.float32))[0, 0].astype(int)
    for left in (60, 1520):
        assert np.abs(whole[120:130, left : left + 10] - top).max() < 25
    assert np.abs(whole[:, 300:600] - 128).max() < 8
    assert read_image(out / row["thumb_path"]).shape == (96, 600, 3)


def test_explain_all_explains_the_predicted_class_of_the_others(
    batch: Path, out: Path, inspect_toy: Inspect
) -> None:
    inspect_toy(batch, out, explain="all")
    rows = patches(out)
    assert rows["explained"].all()
    assert rows.query("not flagged")["target"].unique().tolist() == ["normal"]
    assert rows.query("left == 672 and flagged")["target"].tolist() == ["class 2"]


def test_patches_beside_the_steel_are_not_judged(
    tmp_path: Path, out: Path, inspect_toy: Inspect
) -> None:
    margin = strip(704, bright=[600])
    margin[:, :480] = 0  # the toy calls black class 2, and would flag both patches
    write_strip(tmp_path / "batch" / "s.png", margin)
    finished = inspect_toy(tmp_path / "batch", out, explain="all")
    rows = patches(out)
    assert rows["left"].tolist() == [0, 224, 448]
    assert rows["predicted"].tolist()[:2] == ["class 2", "class 2"]
    assert rows["steel"].tolist() == [False, False, True]
    assert rows["flagged"].tolist()[:2] == [False, False]
    assert rows["explained"].tolist() == [False, False, True]
    assert finished.record["counts"]["without_steel"] == 2
    page = (out / "index.html").read_text("utf-8")
    assert "2 of them contain no steel (&gt; 95\u202f% black) and were not judged" in page


def test_two_equal_files_are_two_strips_that_share_their_images(
    tmp_path: Path, out: Path, inspect_toy: Inspect
) -> None:
    explainer = FakeExplainer()
    for camera in ("a", "b"):
        write_strip(tmp_path / "batch" / camera / "s.png", strip(256, bright=[0]))
    finished = inspect_toy(tmp_path / "batch", out, explainer)
    rows = patches(out)
    assert rows["strip_id"].tolist() == ["a/s.png", "b/s.png"]
    assert rows["coil"].tolist() == ["a", "b"]
    assert rows["patch_key"].nunique() == 1
    assert explainer.targets == [1, 0]
    shown = data_of(finished.folder.root)["cards"]
    assert (shown["number"], shown["strip"]) == ([1, 2], [0, 1])
    assert shown["raw_path"][0] == shown["raw_path"][1]


def test_a_second_run_does_nothing(batch: Path, out: Path, inspect_toy: Inspect) -> None:
    first = inspect_toy(batch, out)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    explainer = FakeExplainer()
    second = inspect_toy(batch, out, explainer)
    assert (first.up_to_date, second.up_to_date) == (False, True)
    assert second.record == json.loads(json.dumps(first.record))
    del before[out / "work" / "source.json"]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert explainer.targets == []


@pytest.mark.parametrize(
    "stop_at", [pytest.param(stop, marks=[pytest.mark.slow] * (stop != 3)) for stop in (1, 2, 3, 8)]
)
def test_an_interrupted_run_continues_to_the_same_report(
    batch: Path, tmp_path: Path, inspect_toy: Inspect, stop_at: int
) -> None:
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    inspect_toy(batch, whole)
    with pytest.raises(KeyboardInterrupt):
        inspect_toy(batch, torn, FakeExplainer(stop_at=stop_at))
    assert not (torn / "index.html").exists()
    assert not (torn / "batch.json").exists()
    rest = FakeExplainer()
    inspect_toy(batch, torn, rest)
    # The first strip, with three patches, is a unit of work; the second is another.
    assert rest.targets == [1, 2, 1, 0, 0, 0, 1, 0][6 if stop_at > 6 else 0 :]
    assert report_bytes(torn) == report_bytes(whole)
    events = [json.loads(line)["event"] for line in (torn / "log.jsonl").read_text().splitlines()]
    assert events.count("interrupted") == 1
    assert events.count("explained") == 8
    assert events[-1] == "finished"


def test_a_renewed_report_that_is_interrupted_shows_no_page_of_before(
    batch: Path, out: Path, tmp_path: Path, inspect_toy: Inspect
) -> None:
    inspect_toy(batch, out)
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "name: 3\nversion: 1\nany_defect_threshold: 1\nthresholds: {class 1: 1.0, class 3: 0.04}\n"
    )
    with pytest.raises(KeyboardInterrupt):
        inspect_toy(batch, out, FakeExplainer(stop_at=3), policy=policy)
    assert not (out / "index.html").exists()
    assert not (out / "batch.json").exists()
    explainer = FakeExplainer()
    assert not inspect_toy(batch, out, explainer).up_to_date
    assert explainer.targets == []
    assert (out / "index.html").is_file()


def test_a_new_policy_explains_only_what_it_adds(
    batch: Path, out: Path, tmp_path: Path, inspect_toy: Inspect
) -> None:
    inspect_toy(batch, out)
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "name: only 2\nversion: 2\nany_defect_threshold: 1\n"
        "thresholds: {class 1: 1.0, class 3: 0.04}\n"
    )
    explainer = FakeExplainer()
    finished = inspect_toy(batch, out, explainer, policy=policy)
    # Class 3 has 1 / (3 + e² + e^2.5) = 0.044 on a marked patch and more on others, class 2 its
    # 0.53 as before: all patches are flagged, and one was explained for its class before.
    assert finished.record["counts"]["flagged_by_class"] == {"class 2": 1, "class 3": 14}
    # The runner-up is class 1 where the mark is bright, normal elsewhere.
    assert Counter(explainer.targets) == {3: 14, 0: 11, 1: 3}
    assert strips(out)["disposition"].unique().tolist() == ["accept", "hold"]
    shown = {path for name in ("raw_path", "map_path") for path in patches(out)[name] if path}
    assert all((out / path).is_file() for path in shown)


def test_an_unsure_patch_holds_its_strip_and_the_report_names_the_rule(
    batch: Path, out: Path, tmp_path: Path, inspect_toy: Inspect
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("name: sure\nversion: 1\nunsure: {min_confidence: bundle}\n")
    with pytest.raises(PolicyError, match="names no confidence"):
        inspect_toy(batch, out, policy=policy)
    assert not out.exists()
    # Of plain grey the toy is sure by e² / (e² + 4) = 0.649.
    card = {"risk_coverage": {"alone": {"min_confidence": 0.65}}}
    finished = inspect_toy(batch, out, policy=policy, metrics=card, fail_on="hold")
    assert finished.record["policy"]["unsure"]["min_confidence"] == 0.65
    assert finished.record["exit_status"] == 3
    rule = "unsure: at least 1 patch with a confidence below 0.65"
    assert strips(out).loc["cam 2/s.png", ["disposition", "rule"]].tolist() == ["hold", rule]
    told = "unsure: at least 1 patch whose most likely class has less than 65\u202f%"
    assert f"{told}, where accept would be proposed" in (out / "index.html").read_text("utf-8")
    policy.write_text("name: sure\nversion: 2\nunsure: {min_confidence: 0.5}\n")
    inspect_toy(batch, out, policy=policy, metrics=card)
    assert strips(out).loc["cam 2/s.png", "disposition"] == "accept"


def test_strips_are_kept_at_full_size(batch: Path, out: Path, inspect_toy: Inspect) -> None:
    inspect_toy(batch, out)
    rows = strips(out)
    assert rows.loc["cam 2/s.png", ["flagged", "overlay_path"]].tolist() == [0, ""]
    shown = read_image(out / rows.loc["cam 2/s.png", "raw_path"])
    original = read_image(batch / "cam 2" / "s.png")
    assert shown.shape == original.shape
    assert abs(shown.astype(int) - original).mean() < 2, "JPEG"
    assert rows.loc["low.png", "raw_path"] == "", "it could not be inspected"
    whole = report_bytes(out)
    # Fewer, and all again: the same report as at first.
    inspect_toy(batch, out, strip_pictures="explained")
    fewer = strips(out)["raw_path"]
    assert fewer[fewer != ""].index.tolist() == ["cam 1/s.png", "narrow.png"]
    assert not (out / rows.loc["cam 2/s.png", "raw_path"]).exists()
    inspect_toy(batch, out)
    again = report_bytes(out)
    pictures = [name for name in whole if name.startswith("img/")]
    assert {name: again[name] for name in pictures} == {name: whole[name] for name in pictures}


def test_images_of_an_earlier_run_do_not_stay(
    batch: Path, out: Path, tmp_path: Path, inspect_toy: Inspect
) -> None:
    inspect_toy(batch, out)
    policy = tmp_path / "policy.yaml"
    policy.write_text("name: none\nversion: 1\ndefault_threshold: 1\nany_defect_threshold: 1\n")
    inspect_toy(batch, out, policy=policy)
    left = {path.name.rpartition("_")[2] for path in (out / "img").iterdir()}
    assert left == {"thumb.jpg", "raw.jpg"}
    kept = strips(out)
    assert {path.name for path in (out / "img").iterdir() if "raw" in path.name} == {
        Path(name).name for name in kept["raw_path"] if name
    }
    assert "No indications in 15 patches of 3 strips" in (out / "index.html").read_text("utf-8")


def test_a_new_model_computes_anew(batch: Path, out: Path, inspect_toy: Inspect) -> None:
    inspect_toy(batch, out)
    explainer = FakeExplainer()
    assert not inspect_toy(batch, out, explainer, model="ef" * 32).up_to_date
    assert len(explainer.targets) == 8


@pytest.mark.parametrize("number", ["REVISION", "KEPT"])
def test_maps_made_in_another_way_are_not_used_again(
    batch: Path, out: Path, inspect_toy: Inspect, monkeypatch: pytest.MonkeyPatch, number: str
) -> None:
    inspect_toy(batch, out)
    monkeypatch.setattr(f"inspection.pipeline.record.{number}", 1)
    explainer = FakeExplainer()
    assert not inspect_toy(batch, out, explainer).up_to_date
    assert len(explainer.targets) == 8


def test_a_grown_batch_keeps_what_was_done(batch: Path, out: Path, inspect_toy: Inspect) -> None:
    inspect_toy(batch, out)
    write_strip(batch / "new.png", strip(300, black=[100]))
    explainer = FakeExplainer()
    finished = inspect_toy(batch, out, explainer)
    assert explainer.targets == [2, 2, 0, 0]
    assert finished.record["counts"]["strips"] == 6


def test_a_report_of_another_batch_is_left_alone(
    batch: Path, out: Path, tmp_path: Path, inspect_toy: Inspect
) -> None:
    inspect_toy(batch, out)
    before = report_bytes(out)
    write_strip(tmp_path / "other" / "a.png", strip(256))
    with pytest.raises(ReportFolderError, match="holds the report of another batch"):
        inspect_toy(tmp_path / "other", out)
    assert report_bytes(out) == before


def test_a_moved_batch_is_the_same_batch(
    batch: Path, out: Path, tmp_path: Path, inspect_toy: Inspect
) -> None:
    inspect_toy(batch, out)
    moved = batch.rename(tmp_path / batch.name)
    assert inspect_toy(moved, out).up_to_date


def test_a_folder_of_somebody_elses_is_left_alone(
    batch: Path, out: Path, inspect_toy: Inspect
) -> None:
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    with pytest.raises(ReportFolderError, match="not empty and no inspection report"):
        inspect_toy(batch, out)
    assert [path.name for path in out.iterdir()] == ["thesis.txt"]
    with pytest.raises(ReportFolderError, match="a file"):
        inspect_toy(batch, out / "thesis.txt")


def test_the_report_may_not_lie_inside_the_batch(batch: Path, inspect_toy: Inspect) -> None:
    with pytest.raises(ReportFolderError, match="inside the batch folder"):
        inspect_toy(batch, batch / "report")
    assert not (batch / "report").exists()


def test_a_strip_that_vanishes_before_it_is_explained(
    batch: Path, out: Path, tmp_path: Path, inspect_toy: Inspect, monkeypatch: pytest.MonkeyPatch
) -> None:
    inspect_toy(batch, out)
    (out / "batch.json").unlink()
    (out / "work" / "explanations").rename(tmp_path / "kept")
    read_before = strips_module.read_strip

    def read_strip(file: StripFile, side: int) -> ReadStrip:
        (batch / "narrow.png").unlink(missing_ok=True)
        return read_before(file, side)

    monkeypatch.setattr(engines_module, "read_strip", read_strip)
    explainer = FakeExplainer()
    inspect_toy(batch, out, explainer)
    assert explainer.targets == [1, 2, 1, 0, 0, 0], "the other strip is explained"
    lost = strips(out).loc["narrow.png"]
    assert lost["status"] == "unreadable"
    assert lost["reason"].startswith("there is no such file, though it was listed")
    assert patches(out)["strip_id"].unique().tolist() == ["cam 1/s.png", "cam 2/s.png"]


def test_a_batch_without_a_readable_strip_still_gives_a_report(
    tmp_path: Path, out: Path, inspect_toy: Inspect
) -> None:
    (tmp_path / "batch").mkdir()
    (tmp_path / "batch" / "a.jpg").write_bytes(b"")
    finished = inspect_toy(tmp_path / "batch", out)
    assert finished.record["exit_status"] == 4
    assert len(patches(out)) == 0
    assert "No strip could be inspected" in finished.folder.index.read_text("utf-8")


def test_the_card_names_all_that_the_report_is_made_of(
    batch: Path, out: Path, inspect_toy: Inspect
) -> None:
    inspect_toy(batch, out)
    card = json.loads((out / "batch.json").read_text("utf-8"))
    assert card["bundle"]["sha256"] == "ab" * 32
    assert card["config"]["thresholds"] == {f"class {n}": 0.5 for n in range(1, 5)}
    assert card["config"]["sise"]["mu"] == 0.0
    assert card["config"]["precision"] == "fp32"
    assert len(card["config_sha256"]) == len(card["policy"]["sha256"]) == 64
    assert [entry["strip_id"] for entry in card["inputs"]] == [
        "cam 1/s.png", "cam 2/s.png", "low.png", "narrow.png", "void.jpg"
    ]  # fmt: skip
    assert card["skipped"] == [{"name": "readme.txt", "reason": "not an image (.txt)"}]
    assert card["started"] == "2026-11-22T22:38:00+00:00"
    assert set(card["versions"]) >= {"python", "torch", "steel-sise"}


@needs_openvino
def test_another_backend_classifies_anew_and_what_the_first_gave_is_kept(
    batch: Path, out: Path, inspect_toy: Inspect
) -> None:
    classifier = toy_classifier()
    asked = []

    def forward(inputs: torch.Tensor) -> torch.Tensor:
        asked.append(len(inputs))
        return classifier.bundle.model(inputs)

    counting = replace(
        classifier, backend="openvino", network=Network(forward, torch.float32, static=True)
    )
    assert inspect_toy(batch, out).record["config"]["backend"] == "torch"
    before = report_bytes(out)
    renewed = inspect_toy(batch, out, classifier=counting)
    assert not renewed.up_to_date
    # Fifteen patches in batches of eight; then whole, kept and removed of each of four maps.
    assert asked == [8, 8, *[3] * 4]
    assert renewed.record["config"]["backend"] == "openvino"
    assert renewed.record["config"]["sise"]["backend"] == "openvino"
    assert renewed.record["versions"]["openvino"] == version("openvino")
    assert "fp32 by openvino" in (out / "index.html").read_text("utf-8")
    explainer = FakeExplainer()
    again = inspect_toy(batch, out, explainer)
    assert not again.up_to_date
    assert "openvino" not in again.record["versions"]
    assert (explainer.targets, report_bytes(out)) == ([], before)


@pytest.mark.parametrize("stride", [0, 257])
def test_a_stride_that_leaves_gaps(
    batch: Path, out: Path, inspect_toy: Inspect, stride: int
) -> None:
    with pytest.raises(BatchError, match="--stride must be 1 to 256 px"):
        inspect_toy(batch, out, stride=stride)
    assert not out.exists()


def test_a_policy_for_other_classes_stops_before_any_work(
    batch: Path, out: Path, tmp_path: Path, inspect_toy: Inspect
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("name: x\nversion: 1\nthresholds: {class 9: 0.5}\n")
    with pytest.raises(PolicyError, match="no defect class 'class 9'"):
        inspect_toy(batch, out, policy=policy)
    assert not out.exists()


def test_an_image_that_is_passed_over_is_named_and_makes_the_run_incomplete(
    tmp_path: Path, out: Path, inspect_toy: Inspect
) -> None:
    folder, outside = tmp_path / "images", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    write_png(folder / "a", np.full((256, 256, 3), 90, np.uint8))
    write_png(outside / "b.png", np.full((256, 256, 3), 90, np.uint8))
    (folder / "notes.txt").write_text("x")
    assert inspect_toy(folder, out).record["exit_status"] == 0
    (folder / "b.png").symlink_to(outside / "b.png")
    finished = inspect_toy(folder, out)
    assert finished.record["exit_status"] == 4
    assert finished.record["counts"]["passed_over"] == 1
    reason = "link out of the batch folder; it looks like an image"
    assert reason in finished.folder.index.read_text("utf-8")
    summary = summarise(finished.record, finished.folder.index, 1, False)
    assert "0 unreadable; 2 other files skipped, 1 of them images" in summary


def test_an_image_of_two_rows_of_patches_is_inspected_shown_and_exported(
    tmp_path: Path, inspect_toy: Inspect
) -> None:
    pixels = np.full((300, 512, 3), 128, np.uint8)
    pixels[236:300, 448:] = 255  # 64×64 px in the corner: only the lower right patch flags it
    write_strip(tmp_path / "batch" / "plate.png", pixels)
    out = tmp_path / "out"
    finished = inspect_toy(tmp_path / "batch", out)
    flagged = patches(out).query("flagged")
    assert flagged[["left", "top", "indicated"]].values.tolist() == [[256, 44, "class 1"]]
    assert strips(out)[["width", "height"]].values.tolist() == [[512, 300]]
    assert finished.record["config"]["patch"] == 256
    assert finished.record["config"]["stride"] == 224
    row = flagged.iloc[0]
    np.testing.assert_allclose(read_image(out / row["raw_path"]), pixels[44:, 256:], atol=12)
    over = read_image(out / strips(out)["overlay_path"].iloc[0])
    assert over.shape == (300, 512, 3)
    data = data_of(out)
    assert (data["strips"]["height"], data["cards"]["top"]) == ([300], [44])
    assert "256–512 × 44–300" in (out / "index.html").read_text()
    coco, _ = export(open_report(out), tmp_path / "regions")
    content = json.loads(coco.read_text())
    assert (content["images"][0]["width"], content["images"][0]["height"]) == (512, 300)
    assert content["annotations"][0]["bbox"] == [448, 236, 64, 64]
