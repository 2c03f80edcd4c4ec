import json
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from toys import CLASSES, FakeExplainer, lively_network, strip, write_strip

from inspection.cli import main
from severstal_prep.images import read_image
from sise import bundle as bundles


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small untrained network whose thresholds flag a patch or two of each strip."""
    folder = tmp_path_factory.mktemp("тест dir") / "bundle"
    card = bundles.ModelCard(
        architecture="shufflenet_v2_x0_5",
        classes=CLASSES,
        input_size=(256, 256),
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
        thresholds=dict.fromkeys(CLASSES[1:], 0.0),
    )
    bundles.save(folder, card, lively_network())
    return folder


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    write_strip(tmp_path / "тест dir" / "batch" / "a.png", strip(256, bright=[100]))
    return tmp_path / "тест dir" / "batch"


def run(bundle: Path, batch: Path, out: Path, *options: str) -> int:
    """`defect-inspect run`; by PyTorch, which begins at once, unless `options` say else."""
    folders = ("--bundle", str(bundle), "--batch", str(batch), "--out", str(out))
    return main(["run", *folders, "--backend", "torch", *options])


def test_from_strips_to_a_report_with_real_sise(
    bundle: Path, batch: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (batch / "void.jpg").write_bytes(b"")
    out = tmp_path / "reports" / "one"
    options = ("--precision", "fp32", "--backend", "auto")
    assert run(bundle, batch, out, *options) == 4
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert lines[-1] == str(out / "index.html")
    assert "strips        2 found: 1 inspected, 1 unreadable; 0 other files skipped" in lines
    assert "dispositions  hold 2 (proposed)" in lines
    row = pd.read_parquet(out / "results.parquet").iloc[0]
    assert row["flagged"]
    assert row["map_status"] == "ok"
    assert 50 < row["forwards"] <= 98
    assert 50 < row["runner_up_forwards"] <= 98
    assert row["runner_up"] not in ("", row["target"])
    assert -1 <= row["runner_up_similarity"] <= 1
    heat = read_image(out / row["map_path"])
    assert heat.shape == (256, 256, 3)
    assert (heat.min(), heat.max()) == (0, 255)
    assert 0 <= row["drop"] <= 1
    card = json.loads((out / "batch.json").read_text("utf-8"))
    assert card["bundle"]["sha256"] == bundles.load(bundle).sha256
    assert card["exit_status"] == 4
    assert card["config"]["sise"]["budget"] == 98
    assert card["config"]["backend"] == ("openvino" if find_spec("openvino") else "torch")
    page = (out / "index.html").read_text("utf-8")
    assert "at most 98 forward passes per patch, other scores estimated" in page

    assert run(bundle, batch, out, *options) == 4
    assert "(up to date)" in capsys.readouterr().out


# All feature maps of the five blocks have 24 + 24 + 48 + 96 + 192 + 1024 channels at most.
@pytest.mark.parametrize(
    ("budget", "least", "most", "words"),
    [
        (20, 10, 20, "at most 20 forward passes per patch"),
        pytest.param(
            None, 100, 24 + 24 + 48 + 96 + 192 + 1024 + 2, "exact, every mask scored",
            marks=pytest.mark.slow,
        ),
    ],
)  # fmt: skip
def test_options_of_the_explanation_are_obeyed_and_recorded(
    bundle: Path, batch: Path, tmp_path: Path, budget: int | None, least: int, most: int, words: str
) -> None:
    out = tmp_path / "out"
    worth = "what the class loses when its part of the patch is removed"
    options = ("--precision", "fp32", "--budget", json.dumps(budget), "--fill", "blur")
    options += ("--context", "edge", "--evidence", "removed", "--backend", "torch")
    options += ("--fusion", "geometric")
    assert run(bundle, batch, out, *options) == 0
    row = pd.read_parquet(out / "results.parquet").iloc[0]
    assert least < row["forwards"] <= most
    sise = json.loads((out / "batch.json").read_text("utf-8"))["config"]["sise"]
    assert (sise["budget"], sise["fill"]) == (budget, "blur")
    assert (sise["context"], sise["backend"]) == ("edge", "torch")
    assert sise["fusion"] == "geometric"
    assert (sise["evidence"], sise["evidence_in_words"]) == ("removed", worth)
    page = (out / "index.html").read_text("utf-8")
    assert words in page
    assert "geometric fusion" in page
    stated = f"masked-out pixels: the patch, blurred; surroundings: edge; worth of a mask: {worth};"
    assert stated in page


def test_options_of_quality_are_obeyed_and_recorded(
    bundle: Path, batch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr("inspection.pipeline.explainer.make_explainer", lambda *_: FakeExplainer())
    write_strip(batch / "b.png", strip(1600, bright=range(30, 1500, 90)))
    labels = tmp_path / "labels.csv"
    labels.write_text("ImageId,ClassId,EncodedPixels\nb.png,1,1 9\n")
    write_strip(tmp_path / "other" / "c.png", strip(256, bright=[9]))
    with monkeypatch.context() as yesterday:
        yesterday.setattr("inspection.pipeline.run.utc_now", lambda: "2026-11-01T08:00:00+00:00")
        assert run(bundle, tmp_path / "other", tmp_path / "earlier") == 0
    out = tmp_path / "out"
    options = ["--truth", str(labels), "--earlier", str(tmp_path / "earlier"), str(out)]
    options += ["--by", "coil", "--mm-per-px", "0.4", "--runner-up", "false"]
    assert run(bundle, batch, out, *options) == 0
    config = json.loads((out / "batch.json").read_text("utf-8"))["config"]
    assert config["truth"]["file"] == str(labels)
    assert [entry["folder"] for entry in config["earlier"]] == [str(tmp_path / "earlier")]
    assert (config["by"], config["mm_per_px"], config["runner_up"]) == ("coil", 0.4, False)
    found = json.loads((out / "figures.json").read_text("utf-8"))
    assert found["left_out"] == [[str(out), "the same strips"]]
    assert found["no_drift"] == "the bundle's card has no metrics.confidence to compare with"
    assert found["truth"]["unlisted"] == 1
    (batch / "b.png").unlink()
    capsys.readouterr()
    assert run(bundle, batch, tmp_path / "out 2", *options) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        f"defect-inspect: {labels}: names no strip of the batch, such as a.png; "
        "give the label file of these strips"
    ]
    assert not (tmp_path / "out 2").exists()


def test_what_is_not_inspected_and_a_report_that_is_replaced_are_said(
    bundle: Path, batch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr("inspection.pipeline.explainer.make_explainer", lambda *_: FakeExplainer())
    (batch / "torn.jpg").write_bytes(b"no image")
    out = tmp_path / "out"
    assert run(bundle, batch, out) == 4
    first = capsys.readouterr().err.splitlines()
    assert first[-1].startswith("torn.jpg: unreadable: ")
    assert not [line for line in first if "replaced" in line]
    assert run(bundle, batch, out, "--mm-per-px", "0.4") == 4
    assert capsys.readouterr().err.splitlines()[0] == (
        f"{out}: a report of other settings is here and is replaced; its seal ends"
    )


def test_fail_on_gives_three(
    bundle: Path, batch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inspection.pipeline.explainer.make_explainer", lambda *_: FakeExplainer())
    out = tmp_path / "out"
    assert run(bundle, batch, out) == 0
    assert run(bundle, batch, out, "--fail-on", "hold") == 3
    assert run(bundle, batch, out, "--fail-on", "scrap") == 0


def test_ctrl_c_gives_130_and_the_same_command_continues(
    bundle: Path, batch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    explainer = FakeExplainer(stop_at=1)
    monkeypatch.setattr("inspection.pipeline.explainer.make_explainer", lambda *_: explainer)
    assert run(bundle, batch, tmp_path / "out") == 130
    assert "run the same command again to continue" in capsys.readouterr().err
    monkeypatch.setattr("inspection.pipeline.explainer.make_explainer", lambda *_: FakeExplainer())
    assert run(bundle, batch, tmp_path / "out") == 0


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("bundle", "no model bundle here"),
        ("batch", "no such folder"),
        ("policy", "cannot be read"),
        ("truth", "there is no such file"),
        ("earlier", "no finished report here"),
    ],
)
def test_what_is_missing_is_one_line_and_exit_2(
    bundle: Path, batch: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    missing: str, message: str,
) -> None:  # fmt: skip
    none = tmp_path / "none"
    status = run(
        none if missing == "bundle" else bundle,
        none if missing == "batch" else batch,
        tmp_path / "out",
        *([f"--{missing}", str(none)] if missing in ("policy", "truth", "earlier") else []),
    )
    assert status == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"defect-inspect: {none}")
    assert message in lines[0]
    assert not (tmp_path / "out").exists()


def test_an_empty_folder(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    assert run(bundle, tmp_path / "empty", tmp_path / "out") == 2
    assert capsys.readouterr().err.startswith(f"defect-inspect: {tmp_path / 'empty'}: no strip")


@pytest.mark.parametrize(
    "option",
    [
        "--explain=none", "--batch-size=0", "--precision=int8", "--by=batch", "--runner-up=2",
        "--mm-per-px=wide",
    ],
)  # fmt: skip
def test_wrong_options_are_usage_errors(
    bundle: Path, batch: Path, tmp_path: Path, option: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(bundle, batch, tmp_path / "out", option)
    assert stopped.value.code == 2


def test_config_files_and_printing_them(
    bundle: Path, batch: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "inspect.yaml"
    config.write_text(f"bundle: {bundle}\nbatch: {batch}\nout: {tmp_path / 'out'}\nstride: 128\n")
    with pytest.raises(SystemExit) as stopped:
        main(["run", "--config", str(config), "--print_config"])
    assert stopped.value.code == 0
    assert "stride: 128" in capsys.readouterr().out


def test_help_is_quick_and_loads_no_torch() -> None:
    code = (
        "import sys; from inspection.cli import main\n"
        "try: main(['run', '--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'pandas', 'cv2', 'numpy'} & set(sys.modules)"
    )
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert time.monotonic() - begun < 10
    assert "--fail-on" in done.stdout


def test_real_strips_are_covered_completely(steel_data: Path, bundle: Path, tmp_path: Path) -> None:
    source = steel_data / "severstal_sample" / "train_images"
    names = sorted(path.name for path in source.glob("*.jpg"))[:3]
    batch = tmp_path / "coil 1"
    batch.mkdir()
    for name in names:
        (batch / name).write_bytes((source / name).read_bytes())
    policy = tmp_path / "nothing.yaml"
    classes = ", ".join(f"{name}: 1.0" for name in CLASSES[1:])
    policy.write_text(
        f"name: nothing\nversion: 1\nany_defect_threshold: 1\nthresholds: {{{classes}}}\n"
    )
    assert run(bundle, batch, tmp_path / "out", "--policy", str(policy), "--precision=fp32") == 0
    rows = pd.read_parquet(tmp_path / "out" / "results.parquet")
    assert rows["strip_id"].unique().tolist() == names
    for _, own in rows.groupby("strip_id"):
        covered = set().union(*(range(left, left + 256) for left in own["left"]))
        assert covered == set(range(1600))
    last = read_image(batch / names[-1])[:, 1344:]
    model = bundles.load(bundle)
    with torch.no_grad():
        expected = model.model(model.preprocess(last[None].copy())).softmax(dim=1)[0].numpy()
    columns = ["p_normal", *(f"p_class_{number}" for number in range(1, 5))]
    np.testing.assert_allclose(rows[columns].to_numpy()[-1], expected, atol=1e-5)
    assert rows["p_normal"].nunique() > 10
    thumbs = pd.read_parquet(tmp_path / "out" / "strips.parquet")["thumb_path"]
    for name, thumb in zip(names, thumbs, strict=True):
        small = read_image(tmp_path / "out" / thumb)
        assert small.shape == (96, 600, 3)
        assert abs(small.mean() - read_image(batch / name).mean()) < 3
