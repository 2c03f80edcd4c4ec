"""`defect-inspect watch` as a process that is stopped and killed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from lines import assert_same_tables
from toys import CLASSES, lively_network, strip, write_strip

from inspection.cli import main
from inspection.review.server.listen import listen
from sise import bundle as bundles

ROOT = Path(__file__).parents[3]
CHEAP = ("--backend", "torch", "--precision", "fp32", "--budget", "8", "--runner-up", "false")
STRIPS = 16


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small untrained network whose thresholds flag a patch or two of each strip."""
    folder = tmp_path_factory.mktemp("bundle") / "bundle"
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


def heed_sigint() -> None:
    """In the child: the tests may run where SIGINT is ignored (nohup)."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def watch(bundle: Path, root: Path, *options: str) -> subprocess.Popen[str]:
    """The process, once it watches."""
    command = ("watch", str(root / "in"), "--bundle", str(bundle), "--out", str(root / "out"))
    process = subprocess.Popen(
        [sys.executable, "-m", "inspection", *command, "--settle", "0.1", *CHEAP, *options],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_sigint,
    )
    assert process.stderr is not None
    assert process.stderr.readline().startswith("watching ")
    return process


def entries(root: Path) -> list[dict[str, str]]:
    """The whole lines of all journals."""
    texts = [path.read_bytes() for path in sorted((root / "out" / "journal").glob("*"))]
    lines = [line for text in texts for line in text[: text.rfind(b"\n") + 1].splitlines()]
    return [json.loads(line) for line in lines]


def wait_for(root: Path, process: subprocess.Popen[str], number: int) -> None:
    """Wait until so many strips are inspected."""
    for _ in range(6000):
        if Counter(one.get("event") for one in entries(root))["inspected"] >= number:
            return
        assert process.poll() is None
        time.sleep(0.02)
    raise AssertionError("it takes too long")


@pytest.mark.slow(minutes=1)
def test_killed_again_and_again_its_report_is_that_of_one_run(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    drawn = random.Random(0)  # noqa: S311
    for number in range(STRIPS):
        pixels = strip(256, bright=[drawn.randrange(192)], black=[drawn.randrange(192)])
        write_strip(tmp_path / "in" / f"coil {number % 3}" / f"{number:02}.png", pixels)
    for done in (1, 7):
        process = watch(bundle, tmp_path)
        wait_for(tmp_path, process, done)
        time.sleep(drawn.random() / 4)
        process.kill()
        process.communicate()
    process = watch(bundle, tmp_path, "--timezone", "UTC")
    wait_for(tmp_path, process, STRIPS)
    process.send_signal(signal.SIGTERM)
    told = process.communicate(timeout=120)[1].splitlines()
    assert process.returncode == 143
    assert told[-1] == "defect-inspect: interrupted; run the same command again to continue"
    events = Counter((one.get("event"), one.get("copy")) for one in entries(tmp_path))
    assert all(events[event] == 1 for event in events if event[1])
    assert len([event for event in events if event[0] == "inspected"]) == STRIPS
    (report, *rest) = sorted((tmp_path / "out").glob("20*"))
    assert rest == []  # unless it is run at midnight
    folders = ("--batch", str(tmp_path / "in"), "--out", str(tmp_path / "whole"))
    assert main(["run", "--bundle", str(bundle), *folders, *CHEAP]) == 0
    assert_same_tables(report, tmp_path / "whole")
    assert main(["verify", str(report)]) == 0
    again = ("--batch", str(tmp_path / "out" / "strips" / report.name), "--out", str(report))
    assert main(["run", "--bundle", str(bundle), *again, *CHEAP]) == 0
    assert_same_tables(report, tmp_path / "whole")


def test_what_cannot_be_is_one_line_and_leaves_nothing(
    bundle: Path,
    tmp_path: Path,
    free_port: Callable[[], int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "in").mkdir()
    taken = listen("127.0.0.1", free_port())
    port = str(taken.getsockname()[1])
    for options, words in (
        (("--port", port), f"--port {port}: in use by another program"),
        (("--bundle", "no"), "no: no model bundle here"),
        (("--timezone", "Mars"), "--timezone 'Mars': not known here"),
        (("--webhook", "here"), "--webhook 'here': give an address"),
        (("--port", "70000"), "--port must be 1 to 65535, not 70000"),
        (("--settle", "-1"), "--settle must be a number of seconds"),
        (("--policy", str(tmp_path / "no.yaml")), "no.yaml"),
    ):
        out = tmp_path / "out"
        given = [str(tmp_path / "in"), "--out", str(out), "--bundle", str(bundle), *options]
        assert main(["watch", *given]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("defect-inspect: ")
        assert words in line
        assert not out.exists()
    taken.close()
