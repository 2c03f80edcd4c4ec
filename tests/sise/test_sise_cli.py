import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sise import bundle as bundles
from sise.bundle import ModelCard
from sise.cli import main


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = bundles.build_network("squeezenet1_1", 2)
    card = ModelCard("squeezenet1_1", ("normal", "class 1"), (64, 64), (0.5,) * 3, (0.5,) * 3)
    bundles.save(tmp_path / "bundle", card, network)
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    return tmp_path


def explain(folder: Path, *options: str) -> int:
    return main(
        ["explain", "--bundle", str(folder / "bundle"), "--out", str(folder / "out"), *options]
    )


def test_explain_writes_a_map_and_says_where(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain(folder, "--image", str(folder / "a.png"), "--mu", "0.5") == 0
    printed = capsys.readouterr()
    assert f"{folder / 'a.png'}: " in printed.out
    assert printed.out.endswith(f"maps and overlays are in {folder / 'out'}\n")
    record = json.loads((folder / "out" / "a.json").read_text())
    assert record["settings"]["mu"] == 0.5
    assert np.load(folder / "out" / "a_map.npy").shape == (64, 64)


def test_an_unreadable_image_is_one_line_and_exit_code_4(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "b.png").write_text("text")
    images = [str(folder / "b.png"), str(folder / "a.png")]
    assert explain(folder, "--method", "gradcam", "--image", *images) == 4
    assert capsys.readouterr().err.splitlines() == [
        f"{folder / 'b.png'}: not an image; give JPEG or PNG files"
    ]
    assert (folder / "out" / "a_overlay.png").is_file()


def test_a_missing_bundle_is_one_line_and_exit_code_2(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["explain", "--bundle", "nowhere", "--image", "a.png", "--out", "out"]
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("sise explain: nowhere: no model bundle here")


@pytest.mark.parametrize(
    "options", [("--mu", "-1"), ("--batch-size", "0"), ("--stride", "0"), ("--method", "lime")]
)
def test_options_that_make_no_sense_are_exit_code_2(folder: Path, options: tuple[str, str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        explain(folder, "--image", "a.png", *options)
    assert stopped.value.code == 2


def test_help_does_not_wait_for_pytorch() -> None:
    code = (
        "import sys, sise.cli\n"
        "try: sise.cli.main(['explain', '--help'])\n"
        "except SystemExit as stop: assert stop.code == 0\n"
        "slow = {'torch', 'cv2', 'numpy', 'PIL', 'rich'} & set(sys.modules)\n"
        "sys.exit(f'imported {slow}' if slow else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--fusion {hard,soft}" in done.stdout
