r"""What a unit of work costs, stage by stage, and what many workers would make of it.

    python benchmarks/scale/workers.py --bundle run/bundle --batch strips --out /tmp/report [--json]

Measured here, on one thread: reading, passes and drawing of every unit of the batch, and what the
command's own process does with what comes of it (planning, receiving, writing). From these a
simulation tells what 1 to 1,024 workers do: each takes the next unit as it is free, and the one
process that writes takes what is done in turn. Assumed: workers as fast as this thread; a unit's
times as measured, drawn anew; what comes of it sent over one line of --gigabits; --watts a worker,
the rest of the machine counted in. Not in it: the start of workers, machines that die.
"""

import argparse
import heapq
import json
import pickle
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from inspection.pipeline.engines import (
    Done,
    Unit,
    Worker,
    WorkerOptions,
    draw_unit,
    make_worker,
    read_unit,
)
from inspection.pipeline.record import stride_of
from inspection.pipeline.run import make_report, resolve
from inspection.pipeline.settings import Settings
from sise.devices import device_name

WORKERS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


@dataclass(frozen=True)
class Cost:
    """A unit, measured: seconds of a worker, seconds of the process that writes, bytes sent."""

    kind: str
    read: float
    passes: float
    draw: float
    own: float
    sent: int

    @property
    def work(self) -> float:
        """Seconds of a worker."""
        return self.read + self.passes + self.draw


class Measuring:
    """An engine that does a unit at a time, and notes what each stage of it takes."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self.patches_at_once = worker.patches_at_once
        self.costs: list[Cost] = []

    def __call__(self, units: Iterator[Unit]) -> Iterator[Done]:
        side = self._worker.side
        remaining = iter(units)
        while True:
            begun = time.perf_counter()
            unit = next(remaining, None)
            if unit is None:
                return
            planned = time.perf_counter()
            read = read_unit(unit, side)
            there = time.perf_counter()
            computed = self._worker.compute(read)
            passed = time.perf_counter()
            done = draw_unit(computed, side)
            drawn = time.perf_counter()
            sent = pickle.dumps(done)
            received = time.perf_counter()
            pickle.loads(sent)  # noqa: S301
            yield done
            kept = time.perf_counter()
            self.costs.append(
                Cost(
                    kind=type(unit).__name__,
                    read=there - planned,
                    passes=passed - there,
                    draw=drawn - passed + received - drawn,
                    own=planned - begun + kept - received,
                    sent=len(sent),
                )
            )


def main() -> None:
    """Measure, simulate and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--bundle", type=Path, required=True)
    options.add_argument("--batch", type=Path, required=True)
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--backend", default="auto")
    options.add_argument("--gigabits", type=float, default=10.0)
    options.add_argument("--watts", type=float, default=10.0)
    options.add_argument("--json", action="store_true")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    counts, costs, rest = measure(chosen.bundle, chosen.batch, chosen.out, chosen.backend)
    scaled = [simulate(costs, n, chosen.gigabits, counts["strips"]) for n in WORKERS]
    said = {
        "date": datetime.now(UTC).date().isoformat(),
        "device": device_name(torch.device("cpu")),
        "counts": counts,
        "per_unit": {kind: mean([c for c in costs if c.kind == kind]) for kind in KINDS},
        "rest_seconds": rest,
        "gigabits": chosen.gigabits,
        "watts": chosen.watts,
        "workers": scaled,
    }
    print(json.dumps(said, indent=2) if chosen.json else table(said))


KINDS = ("Classify", "Explain")


def measure(
    bundle: Path, batch: Path, out: Path, backend: Any
) -> tuple[dict[str, int], list[Cost], float]:
    """What a batch has, the cost of its units, and the seconds of all that is done once."""
    settings = Settings(bundle=bundle, batch=batch, out=out, device="cpu", backend=backend)
    run = resolve(settings)
    model = run.model
    worker = make_worker(
        WorkerOptions(bundle, model, stride_of(settings, model), settings.sise, "auto", 1)
    )
    engine = Measuring(worker)
    begun = time.perf_counter()
    finished = make_report(replace(run, engine=engine), time.monotonic())
    whole = time.perf_counter() - begun
    rest = whole - sum(cost.work + cost.own for cost in engine.costs)
    counts = finished.record["counts"]
    names = ("strips", "patches", "flagged", "explained", "forwards")
    return {name: counts[name] for name in names}, engine.costs, round(rest, 2)


def mean(costs: Sequence[Cost]) -> dict[str, float]:
    """The mean unit of a kind."""
    names = ("read", "passes", "draw", "own", "sent")
    return {"units": len(costs)} | {
        name: round(sum(getattr(cost, name) for cost in costs) / max(1, len(costs)), 5)
        for name in names
    }


def simulate(costs: Sequence[Cost], workers: int, gigabits: float, strips: int) -> dict[str, Any]:
    """Two hundred units a worker, drawn from those measured: strips an hour, and the share of the
    time that workers work."""
    draw = random.Random(0)  # noqa: S311
    number = 200 * workers
    queue = [draw.choice(costs) for _ in range(number)]
    own = [cost.own + 8 * cost.sent / (gigabits * 1e9) for cost in queue]
    usual = sum(cost.work for cost in queue) / number
    # Which unit is done next, and when.
    done = [(queue[first].work, first) for first in range(workers)]
    heapq.heapify(done)
    following = workers
    writing = 0.0
    while done:
        now, unit = heapq.heappop(done)
        writing = max(writing, now) + own[unit]
        if following < number:
            # Three units a worker are under way: it waits where two of them wait to be written.
            begun = max(now, writing - 2 * usual)
            heapq.heappush(done, (begun + queue[following].work, following))
            following += 1
    seconds = max(writing, now)
    worked = sum(cost.work for cost in queue)
    share = strips / len(costs)  # of a strip in a unit
    return {
        "workers": workers,
        "strips_per_hour": round(number * share / seconds * 3600),
        "efficiency": round(worked / (workers * seconds), 3),
    }


def table(said: dict[str, Any]) -> str:
    """The same as Markdown."""
    lines = [f"{said['device']}, {said['counts']}, once {said['rest_seconds']} s", ""]
    lines += ["| unit | units | read ms | passes ms | draw ms | own ms | sent kB |",
              "|---|---|---|---|---|---|---|"]  # fmt: skip
    for kind, one in said["per_unit"].items():
        times = " | ".join(f"{1000 * one[name]:.1f}" for name in ("read", "passes", "draw", "own"))
        lines.append(f"| {kind} | {one['units']} | {times} | {one['sent'] / 1000:.0f} |")
    lines += ["", "| workers | strips an hour | efficiency |", "|---|---|---|"]
    lines += [
        f"| {one['workers']} | {one['strips_per_hour']:,} | {one['efficiency']:.0%} |"
        for one in said["workers"]
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
