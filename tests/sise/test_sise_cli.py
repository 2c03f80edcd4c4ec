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
from sise.commands.explain import OPTIONS_OF_METHODS
from sise.explain_files import Settings, record_of
from sise.registry import METHODS


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
        f"{folder / 'b.png'}: not an image of a known format; "
        "give JPEG, PNG, TIFF, BMP, PGM or WebP"
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
    "options", [("--mu", "-1"), ("--batch-size", "0"), ("--stride", "0"), ("--fill", "green")]
)
def test_options_that_make_no_sense_are_exit_code_2(folder: Path, options: tuple[str, str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        explain(folder, "--image", "a.png", *options)
    assert stopped.value.code == 2


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--method", "lime"), "method 'lime': one of sise, gradcam, "),
        (("--method", "rise", "--mu", "0"), "method rise has no option 'mu'; it has n_masks, "),
        (("--method", "gradcam", "--fill", "grey"), "method gradcam has no option 'fill'; it has "),
        (("--method", "sise:mu=1", "--mu", "1"), "'mu' is given twice"),
    ],
)
def test_what_a_method_does_not_know_is_one_line_and_exit_code_2(
    folder: Path, options: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # Before the bundle is looked for.
    (folder / "bundle").rename(folder / "elsewhere")
    assert explain(folder, "--image", str(folder / "a.png"), *options) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"sise explain: {complaint}")
    assert not (folder / "out").exists()


def test_options_go_to_a_method_that_knows_them(folder: Path) -> None:
    options = ("--method", "rise:n_masks=6", "--fill", "blur", "--batch-size", "4")
    assert explain(folder, "--image", str(folder / "a.png"), *options) == 0
    record = json.loads((folder / "out" / "a.json").read_text())
    assert record["tiles"][0]["forwards"] == 7
    said = {name: record["settings"][name] for name in ("method", "n_masks", "fill", "batch_size")}
    assert said == {"method": "rise", "n_masks": 6, "fill": "blur", "batch_size": 4}
    assert record["settings"]["precision"] == "auto"


def test_what_a_mask_is_worth_goes_to_sise(folder: Path) -> None:
    options = ("--evidence", "none", "--budget", "8")
    assert explain(folder, "--image", str(folder / "a.png"), *options) == 0
    record = json.loads((folder / "out" / "a.json").read_text())
    assert record["settings"]["evidence"] == "none"
    assert record["tiles"][0]["forwards"] == 1


def test_help_names_the_methods_of_the_registry() -> None:
    # What no method knows would be an option that nobody can give.
    known = {name for method in METHODS for name in record_of(Settings(method))}
    assert set(OPTIONS_OF_METHODS) < known


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
    assert "--fusion {hard,soft,geometric}" in done.stdout
