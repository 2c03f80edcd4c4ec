import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import small_cnn
from PIL import Image

from sise import SISE
from sise import bundle as bundles
from sise.bench import measure
from sise.bench.measure import Row, Setting, seconds_in_paper, setting_of
from sise.bench.report import as_json, show, subject_of
from sise.bench.timing import Pair, Timing, batches_lasting, in_turn
from sise.bundle import ModelCard
from sise.cli import main
from sise.engine import RunOptions
from sise.errors import SiseError
from sise.registry import METHODS, parse_spec

CPU = torch.device("cpu")
SHARED = {"precision": "fp32", "batch_size": 4, "backend": "torch", "compile": False}


class Time:
    """A clock that goes on only when work is done."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def work(self, *each: tuple[int, float]) -> Callable[[], int]:
        """Work that takes (passes, seconds), another time another of them."""
        left = iter(each)

        def do() -> int:
            passes, seconds = next(left)
            self.now += seconds
            return passes

        return do


def test_each_work_is_compared_with_the_bare_passes_around_it() -> None:
    time = Time()
    bare = time.work((8, 2.0), (8, 4.0), (8, 4.0))
    timing = in_turn([time.work((10, 5.0)), time.work((6, 2.0))], bare, time)
    assert timing.pairs == (Pair(10, 5.0, 16 / 6), Pair(6, 2.0, 2.0))
    assert [pair.ratio for pair in timing.pairs] == pytest.approx([0.75, 1.5])
    assert timing.rate == 2.5
    assert timing.ratio == pytest.approx(1.125)
    assert timing.ratio_range == pytest.approx((0.75, 1.5))


def test_the_median_passes_over_a_stall() -> None:
    fine, stalled = Pair(10, 1.0, 10.0), Pair(10, 60.0, 10.0)
    timing = Timing((fine, stalled, fine))
    assert (timing.rate, timing.ratio) == (10.0, 1.0)
    assert timing.ratio_range == (pytest.approx(1 / 60), 1.0)


def test_long_work_is_not_repeated_beyond_the_limit() -> None:
    time = Time()
    bare = time.work(*[(1, 1.0)] * 5)
    timing = in_turn([time.work((1, 50.0))] * 1 + [time.work((1, 70.0))] * 9, bare, time, limit=120)
    assert [pair.seconds for pair in timing.pairs] == [50.0, 70.0]


def test_the_limit_does_not_stop_the_first_few() -> None:
    time = Time()
    works = [time.work((1, 130.0)), time.work((2, 140.0)), time.work((1, 1.0))]
    timing = in_turn(works, time.work(*[(1, 1.0)] * 5), time, limit=120, least=2)
    assert [pair.seconds for pair in timing.pairs] == [130.0, 140.0]


@pytest.mark.parametrize(
    ("seconds", "each", "batches"),
    [(1.0, 0.3, 4), (1.0, 1.0, 1), (1.0, 5.0, 1), (0.0, 0.3, 1), (1.0, 0.0, 1000), (0.0, 0.0, 1)],
)
def test_bare_passes_last_long_enough(seconds: float, each: float, batches: int) -> None:
    time = Time()
    # The first run, which is longer, warms up.
    assert batches_lasting(seconds, time.work((1, 77.0), (1, each)), time) == batches


@pytest.mark.parametrize(
    ("method", "setting"),
    [
        ("sise:budget=5", "torch fp32"),
        ("sise:precision=bf16", "torch bf16"),
        ("rise:compile=true", "torch fp32, compiled"),
        ("scorecam:backend=openvino", "openvino fp32"),
        ("gradcam", "torch fp32, as given"),
        ("noise:precision=fp64", "torch fp64, as given"),
        ("fullgrad:precision=bf16", "torch fp32, as given"),  # only scored masks are bfloat16
    ],
)
def test_what_runs_a_methods_passes(method: str, setting: str) -> None:
    assert str(setting_of(parse_spec(method), SHARED, CPU)) == setting


def test_methods_that_score_masks() -> None:
    given = {name for name in METHODS if setting_of(parse_spec(name), SHARED, CPU).as_given}
    assert {"gradcam", "extremal-perturbation", "integrated-gradients", "noise"} <= given
    assert not {"sise", "rise", "scorecam", "untrained"} & given


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(measure, "BARE_SECONDS", 0.0)
    monkeypatch.setattr(
        bundles, "build_network", lambda _, classes, *__: small_cnn(classes=classes)
    )
    card = ModelCard("small", ("normal", "class 1", "class 2"), (32, 32), (0.5,) * 3, (0.5,) * 3)
    folder = tmp_path / "тест dir"
    bundles.save(folder, card, small_cnn())
    return folder


def bench(*options: str) -> int:
    return main(["bench", "--batch-size", "4", "--repeats", "2", *options])


def test_all_rows_of_a_bundle(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    methods = ("rise:n_masks=9", "gradcam", "sise", "integrated-gradients:steps=6", "sise:budget=5")
    options = ("--images", "2", "--precision", "fp32", "--json")
    assert bench("--bundle", str(bundle), "--methods", *methods, *options) == 0
    printed = capsys.readouterr()
    document = json.loads(printed.out)

    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    explainer = SISE(bundles.load(bundle).model, precision="fp32", batch_size=4)
    exact = explainer(images).forwards.sum().item() / 2
    assert [
        (row["method"], row["as_given"], row["passes_per_image"]) for row in document["rows"]
    ] == [
        ("bare forward", False, 1),
        ("RISE (n_masks 9)", False, 1 + 9),
        ("SISE", False, exact),
        ("SISE (budget 5)", False, 5),
        ("bare forward", True, 1),
        ("Grad-CAM", True, 1),
        ("Integrated Gradients (steps 6)", True, 1 + 6),
    ]
    assert exact > 5
    for row in document["rows"]:
        assert row["seconds_per_image"] == pytest.approx(
            row["passes_per_image"] / row["passes_per_second"], rel=2e-3
        )
        assert row["ratio_range"][0] <= row["ratio_to_bare"] <= row["ratio_range"][1]
        assert (row["batch_size"], row["pairs"]) == (4, 2)
        assert row["paper_t4_seconds"] is None
    assert document["size"] == [32, 32]
    assert document["images"] == 2
    assert document["weights"].startswith("bundle ")
    assert document["threads"] == torch.get_num_threads()
    assert document["versions"]["torch"] == bundles.library_versions()["torch"]
    assert document["skipped"] == []
    assert "sise bench: torch fp32, as given: Grad-CAM" in printed.err.splitlines()


def test_a_first_explanation_that_takes_too_long_is_the_only_one(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(measure, "ROW_SECONDS", 0.0)
    assert bench("--bundle", str(bundle), "--methods", "noise", "--json") == 0
    assert [row["pairs"] for row in json.loads(capsys.readouterr().out)["rows"]] == [1, 1]


def test_a_method_that_cannot_explain_the_model_costs_its_own_row_only(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--methods", "gradcam:layers=[nowhere]", "noise", "--json")
    assert bench("--bundle", str(bundle), *options) == 2
    document = json.loads(capsys.readouterr().out)
    assert [row["method"] for row in document["rows"]] == ["bare forward", "noise"]
    (skipped,) = document["skipped"]
    assert skipped["what"] == "Grad-CAM (layers ['nowhere']), torch fp32, as given"
    assert "nowhere" in skipped["why"]


@pytest.mark.parametrize(
    ("architecture", "method", "seconds"),
    [
        ("vgg16", "rise", 64.28),
        ("vgg16", "sise", 5.90),
        ("resnet50", "extremal-perturbation", 78.37),
        ("resnet50", "gradcam++", 0.020),
        ("resnet50", "layercam", None),
        ("resnet50", "sise:mu=0.3", None),
        ("resnet101", "sise", None),
    ],
)
def test_seconds_in_the_paper(architecture: str, method: str, seconds: float | None) -> None:
    assert seconds_in_paper(architecture, parse_spec(method)) == seconds


def test_a_setting_that_cannot_run_is_said_and_costs_its_own_rows_only(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    methods = ("sise:backend=openvino", "sise")
    options = ("--methods", *methods, "--precision", "fp32")
    assert bench("--bundle", str(bundle), *options) == 2
    printed = capsys.readouterr()
    assert [line[:32] for line in printed.out.splitlines()[4:7]] == [
        "method        run by      batch ",
        "bare forward  torch fp32      4 ",
        "SISE          torch fp32      4 ",
    ]
    assert printed.err.splitlines()[-1].startswith(
        'sise bench: no row for openvino fp32: backend="openvino" needs OpenVINO'
    )


ROW = Row(
    "SISE",
    Setting(RunOptions(precision="bf16", compile=True)),
    16,
    1951.0,
    Timing((Pair(1951, 66.666, 29.8), Pair(1951, 66.666, 32.516), Pair(1951, 66.666, 27.988))),
)
FACTS = {
    "date": "2026-11-23",
    "model": "resnet101",
    "weights": "random",
    "size": [256, 512],
    "images": 1,
    "device": "a CPU",
    "threads": 2,
    "versions": {"torch": "2.15.0"},
}


def test_a_row_in_json() -> None:
    assert as_json(ROW) == {
        "method": "SISE",
        "precision": "bf16",
        "backend": "torch",
        "compiled": True,
        "as_given": False,
        "batch_size": 16,
        "passes_per_image": 1951,
        "seconds_per_image": 66.67,
        "passes_per_second": 29.27,
        "ratio_to_bare": 0.982,
        "ratio_range": [0.9, 1.046],
        "pairs": 3,
        "paper_t4_seconds": None,
    }


def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    show(FACTS, [ROW])
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        "resnet101 (weights: random), 1 image(s) of 256×512",
        "a CPU, 2 thread(s)",
        "2026-11-23; torch 2.15.0",
    ]
    assert lines[4].split("  ")[0] == "method"
    assert " ".join(lines[5].split()) == (
        "SISE torch bf16, compiled 16 1951 66.67 29.27 0.982 0.900 to 1.046"
    )
    assert lines[-1].startswith("random weights")
    assert "T4" not in "".join(lines)


def test_the_table_says_what_the_paper_has(capsys: pytest.CaptureFixture[str]) -> None:
    show(FACTS, [replace(ROW, in_paper=9.21), replace(ROW, method="Grad-CAM")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[4].endswith("T4 s (paper)")
    assert " ".join(lines[5].split()).endswith("to 1.046 9.21")
    assert lines[6].rstrip().endswith("to 1.046")
    assert "on a Tesla T4: another machine, other code" in " ".join(lines[7:])


def test_an_image_file_is_normalised_as_the_bundle_says(bundle: Path, tmp_path: Path) -> None:
    pixels = np.zeros((40, 48, 3), np.uint8)
    pixels[0, 0] = (255, 0, 51)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    subject = subject_of(bundle, None, None, tmp_path / "a.png", 2, CPU)
    assert subject.images.shape == (2, 3, 40, 48)
    assert subject.images[1, :, 0, 0].tolist() == pytest.approx([1, -1, -0.6])
    assert not subject.model.training
    with pytest.raises(SiseError, match="40×48 px, not 32×32"):
        subject_of(bundle, None, (32, 32), tmp_path / "a.png", 1, CPU)


def test_an_architecture_has_the_same_random_weights_each_time() -> None:
    one, other = (subject_of(None, "squeezenet1_1", (64, 64), None, 1, CPU) for _ in range(2))
    assert one.weights == "random"
    assert torch.equal(one.images, other.images)
    assert all(map(torch.equal, one.model.state_dict().values(), other.model.state_dict().values()))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ((), "give either --bundle or --architecture"),
        (("--bundle", "b", "--architecture", "resnet18"), "give either --bundle or --architecture"),
        (("--bundle", "nowhere"), "nowhere: no model bundle here"),
        (("--architecture", "resnet"), "torchvision has no classifier named 'resnet'"),
        (("--architecture", "squeezenet1_1", "--image", "none.png"), "none.png: no such file"),
        (("--methods", "lime"), "method 'lime': one of sise, gradcam, "),
        (("--methods", "rise:mu=1"), "method 'rise:mu=1' has no option 'mu'"),
    ],
)
def test_what_cannot_be_measured_is_one_line_and_exit_code_2(
    options: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(*options) == 2
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert line.startswith(f"sise bench: {complaint}")
    assert printed.out == ""


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("--architecture", "squeezenet1_1", "--device", "cuda") == 2
    assert "PyTorch finds no CUDA device" in capsys.readouterr().err


def test_ctrl_c_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("sise.bench.report.run", interrupted)
    assert bench("--architecture", "squeezenet1_1") == 130


def test_help_does_not_wait_for_pytorch(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["bench", "--help"])
    assert stopped.value.code == 0
    assert "--repeats" in capsys.readouterr().out
