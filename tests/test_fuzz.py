"""The harness of benchmarks/fuzz works, and no parser breaks its contract on a few inputs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).parents[1] / "benchmarks" / "fuzz"
sys.path.append(str(FUZZ))

from targets import TARGETS  # noqa: E402

QUICK = ("rle", "labels.csv", "BMP")


def run(*args: object) -> str:
    """What benchmarks/fuzz/run.py prints; it must find nothing. Targets change modules: apart."""
    done = subprocess.run(
        [sys.executable, str(FUZZ / "run.py"), *map(str, args)],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONHASHSEED": "0"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_parsers_are_named_once_and_have_valid_inputs() -> None:
    assert len({target.name for target in TARGETS}) == len(TARGETS) >= 35
    assert {target.name for target in TARGETS} >= set(QUICK)


def test_a_few_inputs_of_quick_parsers(tmp_path: Path) -> None:
    printed = run(tmp_path, "--check", 30, "--targets", *QUICK)
    for name in QUICK:
        assert f"{name}: 30 inputs" in printed


@pytest.mark.slow(minutes=2)
def test_a_few_hundred_inputs_of_each_parser(tmp_path: Path) -> None:
    printed = run(tmp_path, "--check", 300)
    counted = dict(line.rsplit(": ", 1) for line in printed.splitlines() if line.endswith("inputs"))
    assert counted.keys() == {target.name for target in TARGETS}
    # Hypothesis gives an input once: a small target has fewer.
    assert all(int(text.split()[0]) > 50 for text in counted.values()), counted


@pytest.mark.slow
def test_both_drivers_count_and_go_on(tmp_path: Path) -> None:
    pytest.importorskip("atheris")
    asked = (tmp_path, "--seconds", 20, "--targets", "rle")
    run(*asked, "--inputs", 400)
    first = json.loads((tmp_path / "counts.json").read_text())["rle"]
    assert first["hypothesis"]["seeds"][0] == first["atheris"]["seeds"][0] == 1
    assert first["atheris"]["inputs"] >= 300
    assert sum(own["inputs"] for own in first.values()) >= 400
    run(*asked, "--inputs", 800)
    second = json.loads((tmp_path / "counts.json").read_text())["rle"]
    assert second["atheris"]["seeds"][: len(first["atheris"]["seeds"])] == first["atheris"]["seeds"]
    assert sum(own["inputs"] for own in second.values()) >= 800
    run(tmp_path, "--report", tmp_path / "report.json")
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["inputs"] == report["parsers"]["rle"]["inputs"] >= 800
    assert report["findings"] == []
