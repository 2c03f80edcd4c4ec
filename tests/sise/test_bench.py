import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks import small_cnn
from PIL import Image
from torch import nn

from sise import SISE
from sise import bundle as bundles
from sise.bench import given as given_rows
from sise.bench import machine, method_rows, rows
from sise.bench.paper import seconds_in_paper
from sise.bench.parts import divisible
from sise.bench.pieces import pieces
from sise.bench.plan import Plan, Row, Setting, Skipped, Subject, scores_masks, settings
from sise.bench.report import Question, as_json, show, subject_of
from sise.bench.rivals import Rival
from sise.bench.timing import Pair, Parts, Timing, batches_lasting, in_turn
from sise.bundle import ModelCard
from sise.cli import main
from sise.commands.explain import METHOD_NAMES
from sise.errors import SiseError
from sise.explanation import Explainer
from sise.registry import make_explainer, parse_spec
from sise.sampling import MaskSet

CPU = torch.device("cpu")


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


def test_what_belongs_together_is_not_parted_by_the_limit() -> None:
    time = Time()
    bare = time.work(*[(1, 1.0)] * 5)
    works = [time.work((1, 130.0)), time.work((2, 140.0)), time.work((1, 1.0))]
    timing = in_turn(works, bare, time, limit=120, together=2)
    assert [pair.seconds for pair in timing.pairs] == [130.0, 140.0]


def test_the_whole_is_extrapolated_from_a_short_and_a_long_part() -> None:
    # Four passes a step and 5 besides; half a second a step and 3 besides.
    parts = Parts(short=2, long=10, whole=100)
    timing = Timing((Pair(13, 4.0, 7.0), Pair(45, 8.0, 8.0)) * 2)
    assert parts.extrapolate(timing).pairs == (Pair(405, 53.0, 8.0),) * 2


def test_a_long_part_that_was_no_slower_is_extrapolated_by_its_mean() -> None:
    timing = Timing((Pair(4, 3.0, 1.0), Pair(8, 2.0, 1.0)))
    # A quarter of a second for each of the eight, and 12 more than the short part.
    (pair,) = Parts(4, 8, 16).extrapolate(timing).pairs
    assert pair == Pair(16, 3.0 + 12 * 0.25, 1.0)


def test_what_is_watched_is_the_work_alone_and_watching_is_not_timed() -> None:
    time = Time()
    seen = []

    @contextmanager
    def watch() -> Iterator[None]:
        time.now += 100
        start = time.now
        yield
        seen.append(time.now - start)
        time.now += 100

    works = [time.work((1, 3.0)), time.work((1, 4.0))]
    timing = in_turn(works, time.work(*[(1, 1.0)] * 3), time, watch)
    assert seen == [3.0, 4.0]
    assert [pair.seconds for pair in timing.pairs] == [3.0, 4.0]
    assert [pair.bare_rate for pair in timing.pairs] == [1.0, 1.0]


@pytest.mark.parametrize(
    ("seconds", "each", "batches"),
    [(1.0, 0.3, 4), (1.0, 1.0, 1), (1.0, 5.0, 1), (0.0, 0.3, 1), (1.0, 0.0, 1000), (0.0, 0.0, 1)],
)
def test_bare_passes_last_long_enough(seconds: float, each: float, batches: int) -> None:
    time = Time()
    # The first run, which is longer, warms up.
    assert batches_lasting(seconds, time.work((1, 77.0), (1, each)), time) == batches


@given(st.lists(st.integers(0, 9), min_size=1, max_size=5), st.integers(1, 8))
def test_pieces_hold_all_masks_in_order(lengths: list[int], count: int) -> None:
    masks = [torch.rand(length, 2, 2 + place) for place, length in enumerate(lengths)]
    mask_sets = [MaskSet(one, torch.arange(len(one))) for one in masks]
    cut = list(pieces(mask_sets, count))
    sizes = [sum(len(part) for part in piece) for piece in cut]
    assert sizes[:-1] == [count] * (len(sizes) - 1)
    assert sum(sizes) == sum(lengths)
    flat = [one for piece in cut for part in piece for one in part.masks]
    assert all(map(torch.equal, flat, [one for part in masks for one in part]))
    owners = [int(owner) for piece in cut for part in piece for owner in part.owners]
    assert owners == [owner for length in lengths for owner in range(length)]


def test_flops_by_hand() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    )
    image = torch.zeros(1, 3, 8, 8)
    assert machine.flops_per_image(network, image) == 2 * (4 * 3 * 9 * 8 * 8 + 4 * 2)


def test_the_matrix_rate_is_that_of_the_fastest_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_MATRICES", {"cpu": (16, 3)})
    moments = iter([0.0, 9.0, 10.0, 12.0, 20.0, 20.5, 30.0, 33.0, 40.0, 44.0])
    rate = machine.matrix_rate(CPU, torch.bfloat16, lambda: next(moments))
    assert rate == 3 * 2 * 16**3 / 0.5


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="measured on Linux only")
def test_peak_memory_is_the_highest_growth_of_what_was_watched() -> None:
    memory = machine.PeakMemory(CPU, machine.baseline_of(CPU))
    with memory.watch():
        torch.ones(64 * 2**18)  # 64 MiB, given back before the end
    torch.ones(256 * 2**18)  # not watched
    with memory.watch():
        torch.ones(2**18)
    assert memory.peak is not None
    assert 60 < memory.peak / 2**20 < 120


def test_memory_is_unknown_where_the_system_does_not_tell(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(machine, "_STATUS", tmp_path / "none")
    memory = machine.PeakMemory(CPU, machine.baseline_of(CPU))
    with memory.watch():
        torch.ones(2**18)
    assert memory.peak is None


def plan(**changes: object) -> Plan:
    usual = {
        "methods": ["exact"],
        "budgets": [5],
        "precisions": ["fp32"],
        "backends": ["torch"],
        "compile": [False],
        "batch_size": 4,
        "repeats": 2,
    }
    return Plan(**{**usual, **changes})  # type: ignore[arg-type]


def test_every_combination_is_a_setting_once() -> None:
    asked = plan(
        precisions=["fp32", "bf16", "fp32"], backends=["torch", "openvino"], compile=[False, True]
    )
    assert [str(setting) for setting in settings(asked, CPU)] == [
        "torch fp32",
        "torch fp32, compiled",
        "openvino fp32",
        "torch bf16",
        "torch bf16, compiled",
        "openvino bf16",
    ]


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "BARE_SECONDS", 0.0)
    monkeypatch.setattr(machine, "_MATRICES", {"cpu": (16, 1)})


@pytest.fixture
def bundle(tmp_path: Path, fast: None, monkeypatch: pytest.MonkeyPatch) -> Path:
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
    pytest.importorskip("torchcam")
    pytest.importorskip("pytorch_grad_cam")
    methods = ("gradcam", "scorecam-torchcam", "scorecam-gradcam", "scoring", "exact", "budgets")
    options = ("--budgets", "5", "auto", "--images", "2", "--precision", "fp32", "--json")
    assert bench("--bundle", str(bundle), "--methods", *methods, *options) == 0
    printed = capsys.readouterr()
    document = json.loads(printed.out)

    model = bundles.load(bundle).model
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    exact, auto = (
        SISE(model, budget=budget, precision="fp32", batch_size=4)(images).forwards.sum().item() / 2
        for budget in (None, "auto")
    )
    given = "torch fp32, as given"
    assert [
        (row["method"], row["as_given"], row["passes_per_image"]) for row in document["rows"]
    ] == [
        ("bare forward", True, 1),
        ("Grad-CAM", True, 1),
        ("Score-CAM (torchcam)", True, 12 + 2),  # the 12 maps of the last block, and two more
        ("Score-CAM (grad-cam)", True, 12 + 1),
        ("bare forward", False, 1),
        ("SISE, scoring alone", False, pytest.approx(scored_of_first_image(model, images))),
        ("SISE, exact", False, exact),
        ("SISE, budget 5", False, 5),
        ("SISE, budget auto", False, auto),
    ]
    assert exact > 5
    for row in document["rows"]:
        assert row["seconds_per_image"] == pytest.approx(
            row["passes_per_image"] / row["passes_per_second"], rel=2e-3
        )
        assert row["ratio_range"][0] <= row["ratio_to_bare"] <= row["ratio_range"][1]
        assert row["batch_size"] == 4
        assert row["passes_run_per_image"] == row["passes_per_image"]
        assert row["paper_t4_seconds"] is None
    assert [row["pairs"] for row in document["rows"] if "scoring" not in row["method"]] == [2] * 8
    # Convolutions of 8·27 and 12·72 multiplications a location, and 12·3 of the last layer.
    assert document["gflop_per_pass"] == round(
        2 * (8 * 27 * 32 * 32 + 12 * 72 * 16 * 16 + 36) / 1e9, 3
    )
    assert document["size"] == [32, 32]
    assert document["images"] == 2
    assert document["weights"].startswith("bundle ")
    assert document["threads"] == torch.get_num_threads()
    assert document["versions"]["torch"] == bundles.library_versions()["torch"]
    assert document["skipped"] == []
    assert f"sise bench: {given}: Grad-CAM" in printed.err.splitlines()


def explainer_of(text: str) -> Explainer:
    return make_explainer(parse_spec(text), small_cnn(), {"precision": "fp32", "batch_size": 4})


IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("text", "least", "whole", "passes"),
    [
        # Passes of both images: for class and score, and as many masks or steps as are asked for.
        ("rise:n_masks=20", 4, 20, lambda count: 2 * (1 + count)),
        ("integrated-gradients:steps=6", 1, 6, lambda count: 2 * (1 + count)),
        ("extremal-perturbation:steps=7", 1, 7, lambda count: 2 * (1 + 4 * (2 + count))),
    ],
)
def test_a_part_of_a_method_with_steps(
    text: str, least: int, whole: int, passes: Callable[[int], int]
) -> None:
    method = divisible(explainer_of(text), parse_spec(text), IMAGES)
    assert method is not None
    assert (method.least, method.whole()) == (least, whole)
    assert [method.do(count) for count in (1, 3, whole)] == [passes(1), passes(3), passes(whole)]


@pytest.mark.parametrize("text", ["sise", "sise:mu=0.3", "scorecam"])
def test_a_part_of_a_method_of_feature_maps_scores_so_many_and_no_more(text: str) -> None:
    explainer = explainer_of(text)
    full = explainer(IMAGES)
    total = int(full.forwards.sum())
    model = explainer.engine.model  # type: ignore[attr-defined]
    method = divisible(explainer, parse_spec(text), IMAGES)
    assert method is not None
    assert (method.least, method.whole()) == (4, total - 2)
    seen: list[int] = []
    scoring = explainer.engine.scoring_network(CPU)  # type: ignore[attr-defined]
    counted = replace(
        scoring, forward=lambda batch: (seen.append(len(batch)), scoring.forward(batch))[1]
    )
    explainer.engine.scoring_network = lambda _: counted  # type: ignore[attr-defined]
    for count in (0, 1, 6, total - 2):
        seen.clear()
        assert method.do(count) == 2 + count
        assert sum(seen) == count
    # Done in part, the engine is none the worse: all of it is what it was.
    assert explainer.engine.left is None  # type: ignore[attr-defined]
    assert torch.equal(explainer(IMAGES).maps, full.maps)
    assert model is explainer.engine.model  # type: ignore[attr-defined]


def test_what_has_no_parts() -> None:
    for text in ("gradcam", "fullgrad", "sise:budget=5", "untrained"):
        assert divisible(explainer_of(text), parse_spec(text), IMAGES) is None


def test_methods_that_score_masks() -> None:
    scoring = [name for name in METHOD_NAMES if scores_masks(name)]
    assert {"sise", "rise", "scorecam", "untrained"} <= set(scoring)
    assert not {"gradcam", "extremal-perturbation", "integrated-gradients", "noise"} & set(scoring)


TABLE_7 = (
    "gradcam",
    "gradcam++",
    "extremal-perturbation:steps=40",
    "rise:n_masks=100",
    "scorecam",
    "integrated-gradients:steps=30",
    "fullgrad",
    "sise",
)


@pytest.mark.parametrize("in_full", [False, True])
def test_the_methods_of_the_paper(
    in_full: bool,
    bundle: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(method_rows, "PART_SECONDS", 1e-9)  # a long part is two short ones
    options = ("--precision", "fp32", "--json", *["--in-full"] * in_full)
    assert bench("--bundle", str(bundle), "--methods", *TABLE_7, *options) == 0
    document = json.loads(capsys.readouterr().out)
    image = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    exact = int(SISE(bundles.load(bundle).model, precision="fp32")(image).forwards)
    expected = [
        ("bare forward", True, 1, 1),
        ("Grad-CAM", True, 1, 1),
        ("Grad-CAM++", True, 1, 1),
        ("Extremal Perturbation (steps 40)", True, 1 + 4 * 42, 1 + 4 * 4),
        ("Integrated Gradients (steps 30)", True, 31, 3),
        ("FullGrad", True, 1, 1),
        ("bare forward", False, 1, 1),
        ("RISE (n_masks 100)", False, 101, 9),
        ("Score-CAM", False, 13, 9),
        ("SISE, exact", False, exact, 9),
    ]
    assert exact > 9
    assert [
        (row["method"], row["as_given"], row["passes_per_image"], row["passes_run_per_image"])
        for row in document["rows"]
    ] == [
        (name, given, passes, passes if in_full else run) for name, given, passes, run in expected
    ]
    for row in document["rows"]:
        assert row["seconds_per_image"] > 0
        assert row["pairs"] == 2


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


def scored_of_first_image(model: nn.Module, images: torch.Tensor) -> int:
    # With batches of 4 one image is captured at a time, and its masks are those scored alone.
    layers = SISE(model, precision="fp32")(images[:1]).layers
    return sum(int(layer.scored[0]) for layer in layers)


def test_a_library_that_is_missing_or_fails_costs_its_own_row_only(
    fast: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise IndexError("no such class")

    rivals = {
        "scorecam-torchcam": Rival("One", "no_such_module", "pip install one", fail),
        "scorecam-gradcam": Rival("Other", "json", "pip install other", fail),
    }
    monkeypatch.setattr(given_rows, "RIVALS", rivals)
    subject = Subject("small", "random", small_cnn(), torch.randn(1, 3, 32, 32))
    prepared = rows.prepare(subject, plan(methods=list(rivals)), lambda _: None)
    bare, *skipped = given_rows.rows_as_given(prepared)
    assert isinstance(bare, Row)
    assert skipped == [
        Skipped("One", "not installed; pip install one", failed=False),
        Skipped("Other", "IndexError: no such class", failed=False),
    ]


def test_a_setting_that_cannot_run_is_said_and_costs_its_own_rows_only(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    options = ("--methods", "exact", "--precision", "fp32", "--backend", "openvino", "torch")
    assert bench("--bundle", str(bundle), *options) == 2
    printed = capsys.readouterr()
    assert [line[:32] for line in printed.out.splitlines()[4:7]] == [
        "method        run by      batch ",
        "bare forward  torch fp32      4 ",
        "SISE, exact   torch fp32      4 ",
    ]
    assert printed.err.splitlines()[-1].startswith(
        'sise bench: no row for openvino fp32: backend="openvino" needs OpenVINO'
    )


ROW = Row(
    method="SISE, exact",
    setting=Setting("bf16", compiled=True),
    batch_size=16,
    passes=1951.0,
    run=1951.0,
    seconds=66.6666666,
    rate=29.265,
    ratio=0.98123,
    ratio_range=(0.9, 1.04567),
    pairs=3,
    peak_memory=1536 * 2**20,
    share=0.4567,
)
FACTS = {
    "date": "2026-11-23",
    "model": "resnet101",
    "weights": "random",
    "size": [256, 512],
    "images": 1,
    "gflop_per_pass": 20.4,
    "device": "a CPU",
    "threads": 2,
    "matrix_tflop_per_s": {"bf16": 1.25},
    "memory": "what it means",
    "versions": {"torch": "2.15.0"},
}


def test_a_row_in_json() -> None:
    assert as_json(ROW) == {
        "method": "SISE, exact",
        "precision": "bf16",
        "backend": "torch",
        "compiled": True,
        "as_given": False,
        "batch_size": 16,
        "passes_per_image": 1951,
        "passes_run_per_image": 1951,
        "seconds_per_image": 66.67,
        "passes_per_second": 29.27,
        "ratio_to_bare": 0.981,
        "ratio_range": [0.9, 1.046],
        "pairs": 3,
        "peak_memory_mib": 1536,
        "share_of_matrix_rate": 0.457,
        "paper_t4_seconds": None,
    }


def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    show(FACTS, [ROW])
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        "resnet101 (weights: random), 1 image(s) of 256×512: 20.4 GFLOP per pass",
        "a CPU, 2 thread(s); TFLOP/s of a matrix product: 1.25 in bf16",
        "2026-11-23; torch 2.15.0",
    ]
    assert lines[4].split("  ")[0] == "method"
    assert " ".join(lines[5].split()) == (
        "SISE, exact torch bf16, compiled 16 1951 all 66.67 29.27 0.981 0.900 to 1.046 1536 46%"
    )
    assert "peak MiB: what it means" in lines
    assert lines[-1].startswith("random weights")
    assert "T4" not in "".join(lines)
    assert "--in-full" not in "".join(lines)


def test_the_table_says_what_was_extrapolated_and_what_the_paper_has(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show(FACTS, [replace(ROW, run=64.0, in_paper=9.21), replace(ROW, method="Grad-CAM")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[4].endswith("T4 s (paper)")
    cells = [" ".join(line.split()) for line in lines[5:7]]
    assert cells[0].startswith("SISE, exact torch bf16, compiled 16 1951 64 66.67")
    assert cells[0].endswith("46% 9.21")
    assert cells[1].endswith("46%")
    notes = " ".join(lines[7:])
    assert "extrapolated from a short and a long part (--in-full runs all)" in notes
    assert "on a Tesla T4: another machine, other code" in notes


def test_an_image_file_is_normalised_as_the_bundle_says(bundle: Path, tmp_path: Path) -> None:
    pixels = np.zeros((40, 48, 3), np.uint8)
    pixels[0, 0] = (255, 0, 51)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    subject = subject_of(Question(bundle, None, None, tmp_path / "a.png", 2, "cpu"))
    assert subject.images.shape == (2, 3, 40, 48)
    assert subject.images[1, :, 0, 0].tolist() == pytest.approx([1, -1, -0.6])
    assert not subject.model.training
    with pytest.raises(SiseError, match="40×48 px, not 32×32"):
        subject_of(Question(bundle, None, (32, 32), tmp_path / "a.png", 1, "cpu"))


def test_an_architecture_has_the_same_random_weights_each_time() -> None:
    one, other = (
        subject_of(Question(None, "squeezenet1_1", (64, 64), None, 1, "cpu")) for _ in range(2)
    )
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
        (("--architecture", "alexnet", "--image", "none.png"), "none.png: no such file"),
        (("--methods", "lime"), "method 'lime': one of sise, gradcam, "),
        (("--methods", "rise:mu=1"), "method 'rise:mu=1' has no option 'mu'"),
        (("--methods", "scoring:mu=1"), "method 'scoring:mu=1': scoring takes no options"),
        (("--methods", "rise:precision=fp32"), "method 'rise:precision=fp32': give --precision"),
        (("--methods", "sise:batch_size=2"), "method 'sise:batch_size=2': give --batch-size"),
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
    assert bench("--architecture", "alexnet", "--device", "cuda") == 2
    assert "PyTorch finds no CUDA device" in capsys.readouterr().err


def test_ctrl_c_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("sise.bench.report.run", interrupted)
    assert bench("--architecture", "alexnet") == 130


def test_help_does_not_wait_for_pytorch(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["bench", "--help"])
    assert stopped.value.code == 0
    assert "--budgets" in capsys.readouterr().out
