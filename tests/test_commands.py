"""What all four commands have in common, as processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAMS = {
    "severstal_prep": "severstal-prep",
    "sise": "sise",
    "training": "defect-train",
    "inspection": "defect-inspect",
}


def heed_sigint() -> None:
    """In the child: the tests may run where SIGINT is ignored (nohup)."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.mark.parametrize("delay", [0.03, 0.06])
@pytest.mark.parametrize("package", PROGRAMS)
def test_ctrl_c_while_modules_load(package: str, delay: float, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", package, "--help"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_sigint,
    )
    assert process.stderr is not None
    for line in process.stderr:  # Python itself starts, then the module that heeds signals
        if line.rstrip().endswith(".guard"):
            break
    time.sleep(delay)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    told = [line for line in process.communicate(timeout=20)[1].splitlines()
            if not line.startswith("import time:")]  # fmt: skip
    assert (process.returncode, told) == (130, [f"{PROGRAMS[package]}: interrupted"])


@pytest.mark.parametrize("package", PROGRAMS)
def test_the_installed_command_is_the_guarded_one(package: str) -> None:
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    assert f'{PROGRAMS[package]} = "{package}.__main__:main"' in text
