import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from scipy.stats import ks_2samp, norm
from toy_reports import report_of
from toys import CLASSES, FakeExplainer, strip, write_strip

from inspection.commands import figures as command
from inspection.errors import ReportFolderError
from inspection.pipeline.policy import probability_column
from inspection.quality.confidence import histogram, reliability
from inspection.quality.drift import Drift, Reference, drift, reference
from inspection.quality.history import read_history, subgroups
from inspection.quality.laney import Baseline, Subgroup, baseline, chart
from inspection.store.reading import OpenedReport, open_report
from severstal_prep.rle import encode
from training.answers import Answers
from training.calibration import expected_calibration_error
from training.evaluate import evaluate
from training.finish import Validation, confidence_quantiles, metrics
from training.judgement import DecisionOptions, judge_validation


def groups(*flagged: int, patches: int = 100) -> list[Subgroup]:
    return [Subgroup("b", str(i), count, patches) for i, count in enumerate(flagged)]


def test_laneys_limits_are_those_of_the_formula() -> None:
    # p̄ = 0.1, σ_p = 0.03; z = ±5/3 in turn, so each moving range is 10/3 and σ_z = 10/3/1.128.
    earlier = groups(15, 5, 15, 5, 15, 5, 15, 5)
    found = baseline(earlier)
    assert isinstance(found, Baseline)
    assert (found.centre, found.subgroups) == (0.1, 8)
    assert found.sigma_z == pytest.approx(10 / 3 / 1.128)
    assert found.limits(100) == pytest.approx((0, 0.1 + 3 * 0.03 * 10 / 3 / 1.128))
    assert found.limits(10_000)[0] == pytest.approx(0.1 - 3 * 0.003 * 10 / 3 / 1.128)
    drawn = chart([*groups(36, 37), Subgroup("b", "no steel", 0, 0)], earlier)
    assert [point.outside for point in drawn.points] == [False, True]
    assert drawn.why_no_limits == ""
    assert drawn.earlier == tuple(earlier)
    assert [point.subgroup.name for point in drawn.points] == ["0", "1"], "judged subgroups only"


def test_subgroups_of_different_size_are_weighed_by_it() -> None:
    earlier = [Subgroup("b", "big", 30, 400), *groups(10, 10, 10, 10, 10, 10, 10)]
    found = baseline(earlier)
    assert isinstance(found, Baseline)
    assert found.centre == 100 / 1100
    scores = [
        (group.rate - found.centre) / math.sqrt(found.centre * (1 - found.centre) / group.patches)
        for group in earlier
    ]
    assert found.sigma_z == pytest.approx((scores[1] - scores[0]) / 7 / 1.128)


@pytest.mark.parametrize(
    ("earlier", "reason"),
    [
        (groups(1, 2, 3, 4, 5, 6, 7), "7 earlier subgroups; limits need 8"),
        ([*groups(1, 2, 3, 4, 5, 6, 7), Subgroup("b", "0", 0, 0)], "7 earlier subgroups"),
        (groups(*[0] * 9), "all or none of the earlier 900 patches"),
    ],
)
def test_without_enough_history_there_are_no_limits(earlier: list[Subgroup], reason: str) -> None:
    drawn = chart(groups(90), earlier)
    assert drawn.baseline is None
    assert drawn.earlier == tuple(group for group in earlier if group.patches)
    assert drawn.why_no_limits.startswith(reason)
    assert [(point.low, point.high, point.outside) for point in drawn.points] == [
        (None, None, False)
    ]


def opened(name: str, number: int, **config: Any) -> OpenedReport:
    card = {
        "batch": name,
        "started": f"2026-01-{number:02}T00:00:00+00:00",
        "bundle": {"sha256": config.pop("bundle", "ab"), "classes": list(CLASSES)},
        "config": {"thresholds": {"class 1": 0.5}, "stride": 224, "black_threshold": 0.95} | config,
        "inputs": [{"sha256": name}],
    }
    patches = pd.DataFrame(
        {
            "strip_id": ["1/a", "1/a", "1/b", "2/c", "2/c"],
            "coil": ["1", "1", "1", "2", "2"],
            "flagged": [True, False, True, False, False],
            "steel": [True, True, True, True, False],
        }
    )
    return OpenedReport(Path(name), card, patches, pd.DataFrame())


def test_subgroups_are_strips_or_coils_and_count_steel() -> None:
    patches = opened("x", 1).patches
    assert [(s.name, s.flagged, s.patches) for s in subgroups("x", patches, "strip")] == [
        ("1/a", 1, 2), ("1/b", 1, 1), ("2/c", 0, 1)
    ]  # fmt: skip
    assert [(s.name, s.flagged, s.patches) for s in subgroups("x", patches, "coil")] == [
        ("1", 2, 3), ("2", 0, 1)
    ]  # fmt: skip
    assert [(s.name, s.patches) for s in subgroups("x", patches, "side")] == [("1", 3), ("2", 1)]
    told = patches.assign(side=["top", "top", "bottom", "", ""], shift=["a", "b", "b", "a", "a"])
    assert [(s.name, s.flagged, s.patches) for s in subgroups("x", told, "side")] == [
        ("1, top", 1, 2), ("1, bottom", 1, 1), ("2", 0, 1)
    ]  # fmt: skip
    assert [(s.name, s.flagged, s.patches) for s in subgroups("x", told, "shift")] == [
        ("a", 1, 2), ("b", 1, 2)
    ]  # fmt: skip


def test_history_is_in_order_and_leaves_out_what_cannot_be_compared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    again = replace(opened("again", 4), record=opened("b", 4).record)
    reports = {
        str(report.root): report
        for report in (
            opened("b", 2), opened("a", 1), again, opened("model", 3, bundle="cd"),
            opened("stride", 3, stride=256), opened("any", 3, any_defect_threshold=0.5),
            opened("later", 9), opened("now", 8),
        )
    }  # fmt: skip
    monkeypatch.setattr(
        "inspection.quality.history.open_report", lambda folder: reports[str(folder)]
    )
    history = read_history(reports["now"], map(Path, reports), "coil")
    assert [(s.batch, s.name) for s in history.subgroups] == [
        ("a", "1"), ("a", "2"), ("b", "1"), ("b", "2")
    ]  # fmt: skip
    assert dict(history.left_out) == {
        "model": "another model",
        "stride": "other thresholds or tiling",
        "any": "other thresholds or tiling",
        "again": "the same strips",
        "now": "the same strips",
        "later": "not earlier",
    }


def scored(probabilities: np.ndarray, true: list[str]) -> pd.DataFrame:
    """Patches with these probabilities (N, 5), the true class having 9 labelled pixels."""
    predicted = np.array(CLASSES)[probabilities.argmax(axis=1)]
    columns = {probability_column(name): probabilities[:, i] for i, name in enumerate(CLASSES)}
    pixels = {
        f"true_px_class_{i}": [9 if name == f"class {i}" else 0 for name in true]
        for i in range(1, 5)
    }
    return pd.DataFrame(
        {"steel": True, "truth_known": True, "true_class": true, "predicted": predicted}
        | columns
        | pixels
    )


def test_the_histogram_counts_confidences_with_steel() -> None:
    probabilities = np.array([[0.5, 0.5, 0, 0, 0], [0.51, 0, 0, 0, 0.49], [1, 0, 0, 0, 0]])
    patches = scored(probabilities, ["normal"] * 3)
    bins = histogram(patches, CLASSES)
    assert [part.patches for part in bins] == [0] * 9 + [1, 1] + [0] * 8 + [1]
    assert (bins[9].low, bins[9].high) == (0.45, 0.5)
    assert bins[0].accuracy is None
    patches.loc[2, "steel"] = False
    assert sum(part.patches for part in histogram(patches, CLASSES)) == 2


def test_reliability_is_that_of_training() -> None:
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.ones(5) / 2, size=400)
    labels = generator.integers(0, 5, size=400)
    patches = scored(probabilities, [CLASSES[label] for label in labels])
    found = reliability(patches, CLASSES)
    assert found.ece == pytest.approx(expected_calibration_error(probabilities, labels))
    assert sum(part.patches for part in found.bins) == 400
    unknown = patches.assign(truth_known=False)
    assert reliability(unknown, CLASSES).ece is None


def test_a_patch_of_two_classes_is_right_by_either() -> None:
    patches = scored(np.array([[0, 0.9, 0.1, 0, 0]]), ["class 2"])
    assert reliability(patches, CLASSES).ece == pytest.approx(0.9)
    assert reliability(patches.assign(true_px_class_1=3), CLASSES).ece == pytest.approx(0.1)


def known(values: np.ndarray) -> Reference:
    quantiles = np.quantile(values, np.linspace(0, 1, 201))
    return Reference("val", len(values), tuple(quantiles.tolist()))


def test_psi_is_that_of_the_formula() -> None:
    uniform = Reference("val", 1000, tuple(np.linspace(0, 1, 201).tolist()))
    upper = np.linspace(0.501, 0.999, 500)
    found = drift(upper, np.arange(500), uniform)
    assert found is not None
    actual = np.array([0.5] * 5 + [100.5] * 5) / 505
    expected = np.full(10, 0.1)
    assert found.psi == pytest.approx(((actual - expected) * np.log(actual / expected)).sum())
    assert found.ks == pytest.approx(0.5, abs=0.003)
    assert found.level == "large"


@pytest.mark.parametrize("shift", [0.0, 0.03, 0.3])
def test_ks_is_near_scipys(shift: float) -> None:
    generator = np.random.default_rng(1)
    training = generator.beta(5, 1, size=2000).round(2)  # with ties, as at 1.00
    batch = (generator.beta(5, 1, size=500) - shift).clip(0, 1).round(2)
    found = drift(batch, np.arange(500), known(training))
    oracle = ks_2samp(training, batch, method="asymp")
    assert found is not None
    assert found.ks == pytest.approx(oracle.statistic, abs=0.02)
    assert (found.p < 0.01) == (oracle.pvalue < 0.01)


def test_scores_that_are_nearly_one_are_one() -> None:
    ones = Reference("val", 1000, (0.9,) * 50 + (1.0,) * 151)
    batch = np.array([0.9] * 50 + [1 - 3e-7] * 151)
    found = drift(batch, np.arange(201), ones)
    assert found is not None
    assert found.ks == pytest.approx(0, abs=0.01)
    assert found.level == "stable"


def test_levels_and_nothing_to_compare() -> None:
    psis = (0.09, 0.1, 0.24, 0.25)

    def levels(noise: float | None) -> list[str]:
        return [Drift(psi, 0, 1, 1, 1, noise).level for psi in psis]

    assert levels(0.1) == ["stable", "moderate", "moderate", "large"]
    assert levels(0.11) == ["unknown", "unknown", "unknown", "large"]
    assert levels(0.26) == levels(None) == ["unknown"] * 4
    assert drift(np.empty(0), np.empty(0, np.int64), known(np.ones(5))) is None


def in_strips(patches: int, each: int = 7) -> np.ndarray:
    return np.arange(patches) // each


@pytest.mark.parametrize("patches", [14, 50, 105, 210, 350, 700])
@pytest.mark.parametrize("alike", [0.0, 0.5])
def test_batches_without_drift_are_hardly_ever_called_so(patches: int, alike: float) -> None:
    # Patches of a strip are alike: normal scores with a part that all of a strip share.
    noise = np.random.default_rng(patches)
    training = np.sort(noise.beta(8, 1.2, 4000))
    strips = in_strips(patches)
    levels = {"drawn": list[str](), "drifted": list[str]()}
    for _ in range(150):
        scores = np.sqrt(alike) * noise.normal(size=patches)[strips]
        scores += np.sqrt(1 - alike) * noise.normal(size=patches)
        for name, moved in (("drawn", 0.0), ("drifted", -0.8)):
            batch = np.quantile(training, norm.cdf(scores + moved))
            found = drift(batch, strips, known(training))
            assert found is not None
            levels[name].append(found.level)
    false = sum(level in ("moderate", "large") for level in levels["drawn"])
    assert false <= 4, "1 % of 150, and chance"
    large = levels["drifted"].count("large")
    if patches <= 50:
        assert set(levels["drifted"]) == {"unknown"}
    elif patches >= 210:
        assert large >= 140, "a shift of 0.8 standard deviations is found"


def test_the_psi_of_chance_is_that_of_yurdakul() -> None:
    # Independent patches, each a strip: the design effect is about 1, and 21.67 is the 99 %
    # quantile of χ² with 9 degrees of freedom.
    training = np.random.default_rng(1).random(2000)
    batch = np.random.default_rng(2).random(1000)
    found = drift(batch, np.arange(1000), known(training))
    assert found is not None
    assert found.effective == pytest.approx(1000, rel=0.01)
    assert found.noise == pytest.approx(21.67 * (1 / found.effective + 1 / 2000), rel=1e-3)


def test_patches_that_are_copies_count_once() -> None:
    values = np.random.default_rng(3).random(60)
    one = drift(values, np.arange(60), known(values))
    copied = drift(np.repeat(values, 7), in_strips(420), known(values))
    assert one is not None
    assert copied is not None
    assert copied.effective == pytest.approx(one.effective, rel=0.02)
    few = drift(np.repeat(values[:7], 7), in_strips(49), known(values))
    assert few is not None
    assert (few.effective, few.noise, few.level) == (0, None, "unknown")


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"confidence": None},
        {"confidence": {"split": "val", "crops": 5}},
        {"confidence": {"split": "val", "crops": 5, "quantiles": [0.5] * 200}},
        {"confidence": {"split": "val", "crops": 0, "quantiles": [0.5] * 201}},
        {"confidence": {"split": "val", "crops": 5, "quantiles": [0.5] * 200 + [1.5]}},
        {"confidence": {"split": "val", "crops": 5, "quantiles": [0.6] + [0.5] * 200}},
        {"confidence": {"split": "val", "crops": 5, "quantiles": "x"}},
    ],
)
def test_an_unusable_reference_is_none(content: dict[str, Any]) -> None:
    assert reference(content) is None


def test_a_usable_reference_is_read() -> None:
    content = {"confidence": {"split": "val", "crops": 5, "quantiles": [0.5] * 201}}
    assert reference(content) == Reference("val", 5, (0.5,) * 201)


def test_what_training_writes_is_a_reference_without_drift_from_itself() -> None:
    logits = np.random.default_rng(2).normal(0, 3, (600, 5))
    labels = logits.argmax(axis=1)
    after = evaluate(logits, labels, CLASSES)
    groups = [str(crop) for crop in range(600)]
    answers = Answers(softmax(logits, axis=1), labels, groups, tuple(CLASSES))
    judgement = judge_validation(answers, DecisionOptions())
    validation = Validation(1.0, after, after, confidence_quantiles(logits), judgement)
    written = reference(json.loads(json.dumps(metrics(validation))))
    assert written == Reference("val", 600, validation.confidence)
    confidence = np.exp(logits).max(axis=1) / np.exp(logits).sum(axis=1)
    found = drift(confidence, np.arange(600), written)
    assert found is not None
    assert found.psi < 0.001
    assert found.ks < 0.01
    assert found.level == "stable"


def test_the_command_prints_the_figures_of_a_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "тест dir"
    write_strip(root / "batch" / "a.png", strip(1600, bright=[40, 1500]))
    write_strip(root / "batch" / "b.png", strip(1600, bright=[700]))
    report_of(root / "batch", root / "report", FakeExplainer())
    mask = np.zeros((256, 1600), bool)
    mask[96:160, 40:104] = True
    text = f"ImageId,ClassId,EncodedPixels\na.png,1,{encode(mask)}\n"
    (root / "labels.csv").write_text(text)
    shutil.copytree(root / "report", root / "copy")
    options = [str(root / "report"), "--truth", str(root / "labels.csv")]
    options += ["--earlier", str(root / "copy")]
    capsys.readouterr()
    assert command.run(command.parser().parse_args(options)) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["left_out"] == [[str(root / "copy"), "the same strips"]]
    assert found["chart"]["why_no_limits"] == "0 earlier subgroups; limits need 8"
    assert sum(part["patches"] for part in found["confidence"]) == 14
    assert (found["drift"], found["no_drift"]) == (None, "no bundle was given")
    patches = open_report(root / "report").patches
    truth = found["truth"]
    overkill = int(patches["flagged"].sum()) - 1
    rates = truth["outcomes"]["patches"]
    assert rates["escape"] == {
        "hits": 0,
        "trials": 1,
        "share": 0,
        "interval": [0, pytest.approx(0.793450685622763)],
    }
    assert (rates["overkill"]["hits"], rates["overkill"]["trials"]) == (overkill, 13)
    assert [s["outcome"] for s in truth["outcomes"]["per_strip"]] == ["found", "overkill"]
    # The fake map is the bright square, which is the true mask.
    assert truth["localisation"]["patches"] == 1
    assert truth["localisation"]["ebpg"] == pytest.approx(1)
    assert truth["localisation"]["bbox"] == pytest.approx(1)
    assert truth["localisation"]["area"] == pytest.approx(1 / 16)


def test_an_absent_earlier_report_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReportFolderError, match="no finished report here"):
        read_history(opened("now", 8), [tmp_path], "strip")
