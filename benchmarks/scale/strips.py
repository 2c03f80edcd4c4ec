r"""Time and memory of inspections of more and more strips, each in a process of its own.

    python benchmarks/scale/strips.py --work /tmp/scale [--strips 1000 10000 100000] [--json]

Settings are cheap, so that what is measured is what the tool adds to the passes: noise of
64 × 256 px, a small untrained network at 64 px, five patches a strip. With --flagged, every patch
is flagged and explained without masks (evidence "none"), and a second run, which finds all maps
kept, tells what it takes to draw and to write a report of so many cards. Per batch: seconds,
strips a second, processor seconds a strip, and the peak of memory.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from severstal_prep.files import write_whole
from sise import bundle as bundles
from sise.devices import device_name

CLASSES = ("normal", "class 1", "class 2", "class 3", "class 4")
HEIGHT, WIDTH = 64, 256


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--work", type=Path, required=True, help="folder for strips and reports")
    options.add_argument("--strips", type=int, nargs="+", default=[1000, 10_000, 100_000])
    options.add_argument("--jobs", type=int, default=1)
    options.add_argument("--flagged", action="store_true", help="flag and explain every patch")
    options.add_argument("--json", action="store_true")
    chosen = options.parse_args()
    bundle = chosen.work / "bundle"
    if not bundle.exists():
        make_bundle(bundle)
    policy = chosen.work / "policy.yaml"
    threshold = 0.0 if chosen.flagged else 1.0
    policy.write_text(
        f"name: cheap\nversion: 1\ndefault_threshold: {threshold}\nany_defect_threshold: 1\n"
    )
    results = []
    for count in chosen.strips:
        batch = chosen.work / f"batch-{count}"
        make_strips(batch, count)
        out = chosen.work / f"report-{count}{'-flagged' if chosen.flagged else ''}"
        command = [
            sys.executable, "-m", "inspection", "run", "--bundle", bundle, "--batch", batch,
            "--out", out, "--policy", policy, "--evidence", "none", "--runner-up", "false",
            "--batch-size", "64", "--jobs", str(chosen.jobs), "--precision", "fp32",
            "--device", "cpu", "--backend", "torch",
        ]  # fmt: skip
        results.append({"strips": count, "jobs": chosen.jobs} | measured(command))
        if chosen.flagged:
            (out / "batch.json").unlink()
            results.append({"strips": count, "again": True} | measured(command))
        print(results[-1], file=sys.stderr, flush=True)
    said = {
        "date": datetime.now(UTC).date().isoformat(),
        "device": device_name(torch.device("cpu")),
        "cores": os.cpu_count(),
        "flagged": chosen.flagged,
        "runs": results,
    }
    print(json.dumps(said, indent=2) if chosen.json else table(results))


def measured(command: list[Any]) -> dict[str, float]:
    """Run a command: seconds, processor seconds, and the peak of memory in MiB."""
    begun = time.monotonic()
    child = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"{command[3]} ended with {os.waitstatus_to_exitcode(status)}")
    return {
        "seconds": round(time.monotonic() - begun, 1),
        "processor_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_mib": round(usage.ru_maxrss / 2**10),
    }


def make_bundle(folder: Path) -> None:
    """A small network whose output depends on its input."""
    torch.manual_seed(0)
    card = bundles.ModelCard(
        architecture="shufflenet_v2_x0_5",
        classes=CLASSES,
        input_size=(HEIGHT, HEIGHT),
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
    )
    network = bundles.build_network(card.architecture, len(CLASSES))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        network(torch.randn(8, 3, HEIGHT, HEIGHT))
    bundles.save(folder, card, network)


def make_strips(folder: Path, count: int) -> None:
    """`count` strips of noise, 500 a coil, each with another content."""
    header = f"P5 {WIDTH} {HEIGHT} 255\n".encode()
    for number in range(count):
        path = folder / f"coil-{number // 500:04d}" / f"{number:06d}.pgm"
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(number).integers(40, 220, (HEIGHT, WIDTH), np.uint8)
        write_whole(path, header + noise.tobytes())


def table(results: list[dict[str, Any]]) -> str:
    """The runs as Markdown."""
    lines = [
        "| strips | seconds | strips/s | processor ms/strip | peak MiB |",
        "|---|---|---|---|---|",
    ]
    for run in results:
        count = run["strips"]
        lines.append(
            f"| {count}{' (again)' if run.get('again') else ''} | {run['seconds']:.0f} "
            f"| {count / run['seconds']:.0f} | {1000 * run['processor_seconds'] / count:.1f} "
            f"| {run['peak_mib']} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
