import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from training.cli import main


def run(capsys: pytest.CaptureFixture[str], *args: object) -> tuple[int, str]:
    """Exit code and stderr of `defect-train fit`."""
    code = main(["fit", *map(str, args)])
    return code, capsys.readouterr().err


def test_help_is_quick_and_loads_no_torch() -> None:
    program = (
        "import sys; from training.cli import main\n"
        "try: main({args})\n"
        "except SystemExit as end: assert not end.code\n"
        "assert not {'torch', 'pytorch_lightning', 'pandas', 'cv2'} & set(sys.modules)"
    )
    for args in (["--help"], ["fit", "--help"], ["test", "--help"], ["export", "-h"]):
        start = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", program.replace("{args}", repr(args))],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "usage: defect-train" in done.stdout
        assert time.monotonic() - start < 5, "well under a second on an idle machine"


def test_fit_help_lists_recipes_and_the_way_to_all_options(capsys) -> None:
    assert main(["fit", "-h"]) == 0
    text = capsys.readouterr().out
    for word in ("demo", "paper", "strong", "--help-all", "--data.root", "--out"):
        assert word in text
    assert max(len(line) for line in text.splitlines()) <= 100


def test_help_all_is_lightnings(capsys) -> None:
    with pytest.raises(SystemExit) as end:
        main(["fit", "--help-all"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    for option in ("--trainer.gradient_clip_val", "--data.augment.shift", "--monitor", "--out"):
        assert option in text


def test_print_config_is_the_resolved_recipe(capsys) -> None:
    with pytest.raises(SystemExit) as end:
        main(["fit", "--trainer.max_epochs", "7", "--config", "paper", "--print_config"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert "architecture: resnet101" in text
    assert "max_epochs: 7" in text, "an option wins over the recipe, wherever it stands"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model.architecture", "nonet"], "torchvision has no classifier named 'nonet'"),
        (["--data.augment.shift", "3"], "data.augment.shift must be 0 to 1, not 3"),
        (["--data.masking.alone", "2"], "data.masking.alone must be 0 to 1, not 2"),
        (
            ["--data.masking.fill", "green"],
            "--data.masking.fill green: give grey, mean, blur, inpa",
        ),
        (["--data.masking.alone", "0.1"], "has no mask"),
        (["--data.batch_size", "0"], "data.batch_size must be 1 or more"),
        (["--trainer.max_epochs", "x"], "--trainer.max_epochs"),
        (["--trainer.max_epochs", "-1"], "trainer.max_epochs must be 1 or more"),
        (["--trainer.devices", "2"], "only the command defect-train fit trains on several"),
        (["--trainer.fast_dev_run", "true"], "fast_dev_run writes no checkpoint"),
        (["--seed_everything", "-1"], "--seed_everything"),
        (["--monitor", "val/f1"], "--monitor"),
        (["--nonsense", "1"], "no option --nonsense"),
        (["--thresholds", '{"scratch": 0.5}'], "'scratch' is no defect class"),
        (["--model.weights", "gone.pth"], "gone.pth: there is no such file"),
        (["--model.schedule.init_args.warmup", "-1"], "WarmupCosine needs warmup >= 0"),
    ],
)
def test_wrong_options_are_one_line(recast_root, tmp_path, capsys, options, message) -> None:
    args = ["--config", "demo", "--data.root", recast_root, "--out", tmp_path / "run"]
    code, error = run(capsys, *args, *options)
    assert code == 2
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_unknown_recipe(capsys) -> None:
    code, error = run(capsys, "--config", "papre")
    assert (code, error.count("\n")) == (2, 1)
    assert "no such recipe or file; recipes: demo, paper, strong" in error


@pytest.mark.parametrize(
    ("crops", "message"),
    [
        ({"train": (2, 1, 1, 1, 1)}, "no crop in the split 'val'"),
        ({"train": (2, 1, 0, 1, 1), "val": (1, 1, 1, 1, 1)}, "class 2 has no training crop"),
    ],
)
def test_datasets_that_cannot_train(tmp_path, make_recast, capsys, crops, message) -> None:
    root = make_recast(tmp_path / "recast", crops)
    out = tmp_path / "run"
    code, error = run(capsys, "--config", "demo", "--data.root", root, "--out", out)
    assert (code, error.count("\n")) == (2, 1)
    assert message in error
    assert not out.exists()


def test_folders_that_are_no_dataset(tmp_path, capsys) -> None:
    for folder in (tmp_path / "gone", tmp_path):
        code, error = run(capsys, "--config", "demo", "--data.root", folder)
        assert (code, error.count("\n")) == (2, 1)
        assert f"{folder}: no recast dataset here" in error


def test_data_root_is_needed(capsys) -> None:
    code, error = run(capsys, "--config", "demo")
    assert (code, error.count("\n")) == (2, 1)
    assert "data.root" in error


def test_foreign_run_folder(recast_root, tmp_path: Path, capsys) -> None:
    (tmp_path / "thesis.txt").touch()
    code, error = run(capsys, "--config", "demo", "--data.root", recast_root, "--out", tmp_path)
    assert code == 2
    assert "not empty, and no run of defect-train fit" in error


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_gpu_that_is_not_there(recast_root, tmp_path, capsys) -> None:
    args = ["--config", "demo", "--data.root", recast_root, "--out", tmp_path / "run"]
    code, error = run(capsys, *args, "--trainer.accelerator", "gpu")
    assert (code, error.count("\n")) == (2, 1)
    assert error.startswith("defect-train: trainer: ")


def test_export_of_a_missing_checkpoint(tmp_path, capsys) -> None:
    assert main(["export", "--checkpoint", str(tmp_path / "x"), "--out", str(tmp_path / "b")]) == 2
    assert "there is no such checkpoint" in capsys.readouterr().err
