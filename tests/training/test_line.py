"""A bundle exported for the line, and called as its README says."""

import hashlib
import json
import re
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from severstal_prep.dataset import CLASS_NAMES
from severstal_prep.images import read_image
from sise import bundle as bundles
from sise.errors import BundleError, OutputError
from training import line as line_module
from training.cli import main
from training.crops import read_recast
from training.errors import DataError, TrainingError
from training.line import export_line
from training.line_formats import FORMATS, Kind
from training.line_model import TOLERANCE

NAMES = ("normal", "a|b", "<b>`x`", "трещина", "}{0}")
KINDS = [
    pytest.param(
        kind,
        marks=pytest.mark.skipif(
            not all(map(find_spec, form.libraries)), reason=f"the extra {form.extra} is missing"
        ),
    )
    for kind, form in FORMATS.items()
]


def make_bundle(folder: Path, classes: tuple[str, ...] = NAMES) -> Path:
    """A small untrained network whose answers depend on its input, with a threshold amid them."""
    torch.manual_seed(1)
    network = bundles.build_network("squeezenet1_1", len(classes))
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    card = bundles.ModelCard(
        architecture="squeezenet1_1",
        classes=classes,
        input_size=(64, 64),
        mean=(0.4, 0.5, 0.6),
        std=(0.2, 0.25, 0.3),
        temperature=3.0,
        thresholds={classes[1]: 0.225, classes[3]: 0.3},
    )
    bundles.save(folder, card, network)
    return folder


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("тест dir") / "bundle")


def pytorch(bundle: Path, images: np.ndarray) -> np.ndarray:
    """The bundle's own probabilities."""
    read = bundles.load(bundle)
    with torch.no_grad():
        return read.model(read.preprocess(images)).softmax(dim=1).numpy()


# Loading ONNX's exporter alone takes seconds.
@pytest.mark.parametrize(
    "kind", [pytest.param(*KINDS[0].values, marks=[*KINDS[0].marks, pytest.mark.slow]), *KINDS[1:]]
)
def test_called_as_the_readme_says_it_answers_as_pytorch(
    kind: Kind, bundle: Path, tmp_path: Path
) -> None:
    out = tmp_path / "the line" / kind
    export_line(bundle, out, kind)
    generator = np.random.default_rng(0)
    levels = generator.integers(0, 200, (6, 1, 1, 3))
    images = (levels + generator.integers(0, 56, (6, 64, 64, 3))).astype(np.uint8)
    for number, image in enumerate(images):
        Image.fromarray(image).save(out / f"{number}.png")
    text = (out / "README.md").read_text("utf-8")
    (program,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (out / "classify.py").write_text(program, "utf-8")
    done = subprocess.run(
        [sys.executable, "classify.py", *(f"{number}.png" for number in range(6))],
        cwd=out, capture_output=True, text=True, check=True,
    )  # fmt: skip
    expected = pytorch(bundle, images)
    found = [json.loads(answer) for answer in done.stdout.splitlines()]
    np.testing.assert_allclose([row for _, _, row in found], expected, atol=TOLERANCE)
    assert [name for name, _, _ in found] == [NAMES[index] for index in expected.argmax(axis=1)]
    flags = ((expected[:, 1] >= 0.225) | (expected[:, 3] >= 0.3)).tolist()
    assert [flagged for _, flagged, _ in found] == flags
    assert set(flags) == {True, False}

    card = json.loads((out / "export.json").read_text("utf-8"))
    assert card["source"]["bundle_sha256"] == bundles.load(bundle).sha256
    assert (card["classes"], card["thresholds"]) == (list(NAMES), {"a|b": 0.225, "трещина": 0.3})
    assert card["input"]["shape"] == ["batch", 64, 64, 3]
    assert card["check"]["on"] == "generated images"
    assert card["check"]["largest_difference"] <= TOLERANCE
    assert set(card["files"]) == set(FORMATS[kind].files(int8=False))
    for name, entry in card["files"].items():
        content = (out / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == entry["sha256"]
        assert b"site-packages" not in content, "the file tells nothing of who made it"


class FakeFormat:
    """A format that writes a file of text, and answers as PyTorch does but for `error`."""

    def __init__(self, error: float = 0.0) -> None:
        self.error = error

    def write(self, model: Any, size: Any, file: Path) -> None:
        self.model = model
        file.write_text("model")

    def load(self, file: Path) -> Any:
        def answer(images: np.ndarray) -> np.ndarray:
            with torch.no_grad():
                return self.model(torch.from_numpy(images)).numpy() + np.float32(self.error)

        return answer

    def quantise(self, file: Path, out: Path, images: np.ndarray) -> None:
        self.calibrated = images
        out.write_text("int8")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeFormat:
    made = FakeFormat()
    form = replace(FORMATS["onnx"], libraries=(), write=made.write, load=made.load,
                   quantise=made.quantise)  # fmt: skip
    monkeypatch.setitem(line_module.FORMATS, "onnx", form)  # type: ignore[arg-type]
    return made


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_file_that_answers_otherwise_is_not_written(
    fake: FakeFormat, bundle: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    export_line(bundle, out, "onnx")
    before = files(out)
    assert set(before) == {".steel-sise", "README.md", "export.json", "model.onnx"}
    fake.error = 0.01
    with pytest.raises(
        TrainingError, match=r"otherwise than PyTorch on 16 generated .* up to 0.01"
    ):
        export_line(bundle, out, "onnx")
    assert files(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_an_earlier_export_left_goes_and_what_others_put_there_stays(
    fake: FakeFormat, bundle: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    export_line(bundle, out, "onnx")
    (out / "model-int8.onnx").write_text("old")
    (out / "crop.png").write_text("mine")
    export_line(bundle, out, "onnx")
    assert set(files(out)) == {
        ".steel-sise", "README.md", "export.json", "model.onnx", "crop.png"
    }  # fmt: skip


def test_on_a_dataset_it_is_checked_on_validation_crops_and_int8_is_measured(
    fake: FakeFormat, recast_root: Path, tmp_path: Path
) -> None:
    bundle = make_bundle(tmp_path / "bundle", CLASS_NAMES)
    card = export_line(bundle, tmp_path / "out", "onnx", recast_root, int8=True, num_workers=0)
    recast = read_recast(recast_root)
    crops = recast.crops("val")
    assert card["check"]["on"] == "validation crops"
    assert card["check"]["images"] == len(crops) == 11
    assert card["check"]["dataset_card_sha256"] == recast.sha256
    assert len(fake.calibrated) == card["int8"]["calibrated_on"] == 26
    expected = pytorch(bundle, np.stack([read_image(path) for path in crops.paths]))
    right = float((expected.argmax(axis=1) == crops.labels).mean())
    assert card["int8"]["before"]["top1"] == card["int8"]["after"]["top1"] == pytest.approx(right)
    assert card["int8"]["other_decisions"] == 0
    assert "`model-int8.onnx` computes in int8" in (tmp_path / "out" / "README.md").read_text()


def test_crops_and_classes_of_another_dataset_are_refused(
    fake: FakeFormat, bundle: Path, recast_root: Path, make_recast: Any, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="a model of other classes"):
        export_line(bundle, tmp_path / "out", "onnx", recast_root)
    larger = make_recast(tmp_path / "larger", side=80)
    ours = make_bundle(tmp_path / "bundle", CLASS_NAMES)
    with pytest.raises(DataError, match=r"crops of 80×80 px, but the bundle takes 64×64"):
        export_line(ours, tmp_path / "out", "onnx", larger, num_workers=0)
    assert not (tmp_path / "out").exists()


def test_a_network_that_cannot_be_written_is_one_line(
    fake: FakeFormat, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("no such operator\nand more")

    form = replace(line_module.FORMATS["onnx"], write=fail)
    monkeypatch.setitem(line_module.FORMATS, "onnx", form)  # type: ignore[arg-type]
    with pytest.raises(TrainingError) as refused:
        export_line(bundle, tmp_path / "out", "onnx")
    assert str(refused.value) == (
        "squeezenet1_1 cannot be written as onnx (no such operator); try --format openvino"
    )


def test_a_folder_of_others_and_a_bundle_that_is_missing_stop_before_any_work(
    fake: FakeFormat, bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "model.onnx").write_text("theirs")
    with pytest.raises(OutputError, match="holds files of others"):
        export_line(bundle, tmp_path / "theirs", "onnx")
    with pytest.raises(OutputError, match="lies in"):
        export_line(bundle, bundle / "line", "onnx")
    with pytest.raises(BundleError, match="no model bundle here"):
        export_line(tmp_path / "none", tmp_path / "out", "onnx")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "export needs either --checkpoint or --bundle"),
        (("--checkpoint", "c", "--bundle", "b"), "export needs either --checkpoint or --bundle"),
        (("--bundle", "b"), "--bundle is one already; give --format onnx or openvino"),
        (("--checkpoint", "c", "--int8"), "--int8 needs --format onnx or openvino"),
        (("--bundle", "b", "--format", "onnx", "--int8"), "--int8 needs --data.root: crops to"),
        (("--bundle", "b", "--format", "onnx", "--risk", "0.1"), "--thresholds, --costs and"),
    ],
)
def test_options_that_do_not_go_together(
    options: tuple[str, ...], words: str, fake: FakeFormat, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert main(["export", "--out", str(tmp_path / "out"), *options]) == 2
    assert capsys.readouterr().err.startswith(f"defect-train: {words}")
    assert not (tmp_path / "out").exists()


def test_the_command_takes_its_options_and_keeps_them(
    fake: FakeFormat, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["export", "--bundle", str(bundle), "--format", "onnx", "--out", str(out)]
    assert main(command) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("onnx: 16 generated images, probabilities within ")
    assert printed[-1] == str(out)
    assert main(["export", "--config", str(out / "config.yaml")]) == 0


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run of the demo's recipe on generated strips, and the dataset."""
    root = tmp_path_factory.mktemp("trained")
    strips, dataset = root / "strips", root / "dataset"
    program = [sys.executable, "-m"]
    for command in (
        ["severstal_prep", "sample", "--out", strips, "--strips", 60, "--holdout", 1],
        ["severstal_prep", "build", "--csv", strips / "train.csv", "--images",
         strips / "train_images", "--out", dataset],
        ["training", "fit", "--config", "demo", "--data.root", dataset, "--out", root / "run"],
    ):  # fmt: skip
        subprocess.run([*program, *map(str, command)], check=True, capture_output=True)
    return root / "run", dataset


@pytest.mark.slow(minutes=3)
@pytest.mark.parametrize("kind", KINDS)
def test_int8_costs_what_the_card_says(
    kind: Kind, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    if kind == "openvino" and not find_spec("nncf"):
        pytest.skip("the extra int8 is not installed")
    run, dataset = trained
    out = tmp_path / kind
    command = ["export", "--checkpoint", run / "checkpoints" / "best.ckpt", "--format", kind,
               "--int8", "--data.root", dataset, "--out", out, "--num-workers", "0"]  # fmt: skip
    assert main([str(word) for word in command]) == 0
    crops = read_recast(dataset).crops("val")
    images = np.stack([read_image(path) for path in crops.paths])
    before = pytorch(out / "bundle", images)
    card = json.loads((out / "export.json").read_text("utf-8"))
    after = FORMATS[kind].load(out / card["int8"]["file"])(images)
    for answers, told in ((before, "before"), (after, "after")):
        right = (answers.argmax(axis=1) == crops.labels).mean()
        assert card["int8"][told]["top1"] == pytest.approx(right)
    assert card["int8"]["largest_difference"] == pytest.approx(
        np.abs(after - before).max(), abs=0.02
    )
    assert (out / card["int8"]["file"]).stat().st_size < 0.8 * (
        out / card["file"]
    ).stat().st_size * (1 if kind == "onnx" else 3)
    assert np.abs(after - before).mean() < 0.1
