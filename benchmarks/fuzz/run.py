"""Fuzz every parser, and count: `python benchmarks/fuzz/run.py STATE [--inputs 1000000]`.

Each target gets its share of the inputs that are still to come, a quarter from Hypothesis and the
rest from Atheris, in turns, until there are as many as asked for; each turn is a process with a
seed of its own. STATE/counts.json says after each turn how many inputs there were and by which
seeds; the same command goes on from there. `--replay` gives every input that was ever a finding to
its parser again; `--report FILE` writes what STATE counts.
"""

import argparse
import hashlib
import json
import math
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

from targets import TARGETS, Target
from worker import Judge, by_hypothesis, last_input, warm

DRIVERS = {"hypothesis": 0.25, "atheris": 0.75}
WORKER = Path(__file__).with_name("worker.py")
SLOWEST = 180
"""Seconds that a process may take longer than it was told: it loads PyTorch first."""

Counts = dict[str, dict[str, dict[str, Any]]]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("state", type=Path)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=60, help="of a turn, at most")
    parser.add_argument("--targets", nargs="*", default=[target.name for target in TARGETS])
    parser.add_argument("--replay", action="store_true")
    parser.add_argument("--check", type=int, metavar="N", help="N inputs each, in this process")
    parser.add_argument("--report", type=Path)
    given = parser.parse_args()
    given.state.mkdir(parents=True, exist_ok=True)
    chosen = [target for target in TARGETS if target.name in given.targets]
    if given.check:
        return check(chosen, given.check)
    if given.replay:
        return replay(given.state, chosen)
    if given.report:
        given.report.write_text(json.dumps(report(given.state), indent=2) + "\n", "utf-8")
        return 0
    while total(given.state) < given.inputs:
        before = total(given.state)
        for target in chosen:
            part = target.share / sum(one.share for one in chosen)
            take_turn(given.state, target, part * (given.inputs - before), given.seconds)
        if total(given.state) == before:
            break
    print_counts(given.state)
    return 0


def read_counts(state: Path) -> Counts:
    file = state / "counts.json"
    counts: Counts = json.loads(file.read_text()) if file.exists() else {}
    return counts


def total(state: Path) -> int:
    return sum(own["inputs"] for drivers in read_counts(state).values() for own in drivers.values())


def take_turn(state: Path, target: Target, inputs: float, seconds: float) -> None:
    """Give a target so many inputs, a part from each driver, or as many as `seconds` allow."""
    for driver, part in DRIVERS.items():
        counts = read_counts(state)
        own = counts.setdefault(target.name, {}).setdefault(
            driver, {"inputs": 0, "seconds": 0.0, "seeds": []}
        )
        seed = len(own["seeds"]) + 1
        begun = time.monotonic()
        done = _work(state, target, driver, seed, math.ceil(part * inputs), seconds)
        own["inputs"] += done
        own["seconds"] = round(own["seconds"] + time.monotonic() - begun, 1)
        own["seeds"].append(seed)
        temporary = state / "counts.json.partial"
        temporary.write_text(json.dumps(counts, indent=1))
        temporary.replace(state / "counts.json")


def _work(state: Path, target: Target, driver: str, seed: int, inputs: int, seconds: float) -> int:
    """A process of one target; what ends it in another way than by itself is a finding."""
    mapped = state / f"{target.name}.{driver}"
    mapped.unlink(missing_ok=True)
    command = [sys.executable, str(WORKER), target.name, driver, str(seed), str(inputs),
               str(seconds), str(state)]  # fmt: skip
    with (state / f"{target.name}.{driver}.log").open("wb") as log:
        try:
            code = subprocess.run(
                command, stdout=log, stderr=log, timeout=seconds + SLOWEST, check=False
            ).returncode
        except subprocess.TimeoutExpired:
            code = -14
    if not mapped.is_file():
        print(f"{target.name}, {driver}: did not start; see {log.name}", flush=True)
        return 0
    done, content = last_input(mapped)
    if code:
        name = hashlib.sha256(content).hexdigest()[:16]
        (state / "findings").mkdir(exist_ok=True)
        (state / "findings" / name).write_bytes(content)
        finding = {"target": target.name, "kind": f"exit {code}", "where": driver,
                   "what": f"the process ended with {code}", "input": name}  # fmt: skip
        with (state / "findings.jsonl").open("a") as stream:
            print(json.dumps(finding), file=stream)
    print(f"{target.name}, {driver}, seed {seed}: {done} inputs", flush=True)
    return done


def findings(state: Path) -> list[dict[str, str]]:
    file = state / "findings.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def replay(state: Path, targets: list[Target]) -> int:
    """Print which findings are still there; their number."""
    warnings.simplefilter("ignore")
    left = 0
    for target in targets:
        names = {one["input"] for one in findings(state) if one["target"] == target.name}
        if not names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            parse, errors = target.make(Path(folder))
            warm(target, parse, errors)
            judge = Judge(target, parse, errors)
            for name in sorted(names):
                judge((state / "findings" / name).read_bytes())
        for finding in judge.findings:
            print(f"{target.name}: {finding['where']} {finding['what']} ({finding['input']})")
        left += len(judge.findings)
    print(f"{left} of {len(findings(state))} findings are left")
    return left


def check(targets: list[Target], inputs: int) -> int:
    """Give each target so many inputs; print what broke the contract, and how many did."""
    warnings.simplefilter("ignore")
    left = 0
    for target in targets:
        with tempfile.TemporaryDirectory() as folder:
            parse, errors = target.make(Path(folder))
            warm(target, parse, errors)
            judge = Judge(target, parse, errors)
            by_hypothesis(target, judge, 0, inputs, 600)
        for finding in judge.findings:
            print(f"{target.name}: {finding['where']} {finding['what']}")
        print(f"{target.name}: {judge.inputs} inputs")
        left += len(judge.findings)
    return left


def report(state: Path) -> dict[str, Any]:
    """What was counted, by parser, and what was found."""
    counts = read_counts(state)
    names = ("hypothesis", "atheris", "pydantic", "pillow", "pyarrow", "torch", "numpy")
    return {
        "what": "inputs given to each parser by benchmarks/fuzz/run.py",
        "machine": f"{platform.machine()}, one niced process, {platform.python_version()}",
        "versions": {name: version(name) for name in names},
        "inputs": total(state),
        "parsers": {
            name: {driver: dict(own) for driver, own in drivers.items()}
            | {"inputs": sum(own["inputs"] for own in drivers.values())}
            for name, drivers in counts.items()
        },
        "findings": findings(state),
    }


def print_counts(state: Path) -> None:
    for name, drivers in read_counts(state).items():
        print(f"{name:20} {sum(own['inputs'] for own in drivers.values()):10,}")
    print(f"{'total':20} {total(state):10,}; {len(findings(state))} findings")


if __name__ == "__main__":
    sys.exit(main())
