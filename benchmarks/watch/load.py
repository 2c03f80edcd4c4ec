"""A line at the machine's capacity: is a strip lost or inspected twice, and how late is it?

    python benchmarks/watch/load.py run/bundle strips/train_images --minutes 5

Measures how many strips a second `defect-inspect watch` inspects when many wait, then writes new
ones at a share of that rate: every second one in two pieces, the others by renaming. Each has a
comment of its own, so that no two have one content. With `--kills N` the watcher is killed (-9) and
started again meanwhile, so many times. At the end each strip must be in the journal as taken once
and as inspected once, in the report once, and its alarm must have come.

Latencies are seconds from a file's completion until the journal has it as inspected, and until its
alarm came; `--settle` is in them. Writer, watcher and receiver share the machine.
"""

import json
import os
import platform
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import torch
from jsonargparse import auto_cli

from sise.devices import device_name

Times = dict[str, float]


def main(
    bundle: Path,
    strips: Path,
    minutes: float = 5.0,
    share: float = 0.8,
    warm: int = 40,
    settle: float = 0.5,
    kills: int = 0,
    port: int = 9464,
    options: list[str] | None = None,
    json_file: Path | None = None,
) -> None:
    """Print, and write, what was lost and how late the rest was.

    Args:
        bundle: of a trained network.
        strips: folder of JPEG files to write again and again.
        minutes: for which the line writes.
        share: of the capacity that the line writes at.
        warm: strips by which the capacity is measured; the first third is not counted.
        settle: of the watcher, s.
        kills: of the watcher while the line writes.
        port: of the watcher.
        options: more of `defect-inspect watch`, such as --budget=24.
        json_file: to write the results to.
    """
    sources = [path.read_bytes() for path in sorted(strips.glob("*.jpg"))[:64]]
    with TemporaryDirectory() as name:
        root = Path(name)
        (root / "in").mkdir()
        alarms = Receiver()
        more = [f"--settle={settle}", f"--port={port}", *(options or [])]
        line = Line(root, bundle, [*more, f"--webhook={alarms.url}", "--alarm=any"])
        written = Times()
        for number in range(warm):
            write(root, written, number, sources)
        line.start()
        line.wait(warm)
        done = sorted(line.inspected().values())
        later = [one for one in done if one > done[warm // 3]]
        capacity = len(later) / (later[-1] - done[warm // 3])
        print(f"capacity: {capacity:.2f} strips a second", flush=True)

        load_before = os.getloadavg()[0]
        begun, number = time.time(), warm
        stops = [begun + 60 * minutes * (i + 1) / (kills + 1) for i in range(kills)]
        queue = []
        while (now := time.time()) < begun + 60 * minutes:
            if stops and now >= stops[0]:
                stops.pop(0)
                line.kill()
                threading.Thread(target=line.start).start()  # the line does not wait for it
            due = begun + (number - warm + 1) / (share * capacity)
            if now < due:
                time.sleep(min(due - now, 0.2))
                continue
            write(root, written, number, sources)
            number += 1
            if number % 20 == 0 and line.answers():
                queue.append(line.health(port)["queue"])
        line.wait(number)
        counts = line.metrics(port)
        line.stop()
        results = judged(root, written, line.inspected(), alarms, warm)
    results |= {
        "date": f"{date.today()}",
        "device": device_name(torch.device("cpu")),
        "processors": os.cpu_count(),
        "load_average": [round(load_before, 1), round(os.getloadavg()[0], 1)],
        "minutes": minutes,
        "capacity_per_s": round(capacity, 3),
        "written_per_s": round(share * capacity, 3),
        "settle_s": settle,
        "kills": kills,
        "options": options or [],
        "queue_most": max(queue, default=None),
        "counted_by_metrics": counts,
        "versions": {"python": platform.python_version()}
        | {library: version(library) for library in ("steel-sise", "torch", "openvino")},
    }
    text = json.dumps(results, indent=1)
    print(text)
    if json_file is not None:
        json_file.write_text(text + "\n", "utf-8")
    assert not results["lost"]
    assert not results["inspected_twice"]
    assert results["report_strips"] == results["strips"]
    assert results["alarms_missing"] == 0


class Receiver:
    """Takes alarms: when the first of each strip came, and how many came."""

    def __init__(self) -> None:
        self.first = Times()
        self.came = 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                alarm = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                receiver.first.setdefault(alarm["strip_id"], time.time())
                receiver.came += 1
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{server.server_address[1]}/"
        threading.Thread(target=server.serve_forever, daemon=True).start()


class Line:
    """The watcher, as a process."""

    def __init__(self, root: Path, bundle: Path, options: list[str]) -> None:
        self.root = root
        self.command = [sys.executable, "-m", "inspection", "watch", str(root / "in"), "--bundle",
                        str(bundle), "--out", str(root / "out"), *options]  # fmt: skip
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        process = subprocess.Popen(self.command, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        line = process.stderr.readline()
        assert line.startswith("watching "), line
        threading.Thread(target=process.stderr.read, daemon=True).start()
        self.process = process

    def kill(self) -> None:
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.wait()

    def stop(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait() == 143

    def answers(self) -> bool:
        return self.process is not None

    def health(self, port: int) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=60) as answer:
            return dict(json.load(answer))

    def metrics(self, port: int) -> float:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
            lines = answer.read().decode().splitlines()
        found = [line for line in lines if line.startswith("steel_strips_total{")]
        return sum(float(line.split()[-1]) for line in found)

    def entries(self) -> list[dict[str, str]]:
        journals = sorted((self.root / "out" / "journal").glob("*.jsonl"))
        texts = [path.read_bytes() for path in journals]
        whole = [text[: text.rfind(b"\n") + 1] for text in texts]
        return [json.loads(line) for text in whole for line in text.splitlines()]

    def inspected(self) -> Times:
        return {
            one["copy"]: datetime.fromisoformat(one["time"]).timestamp()
            for one in self.entries()
            if one.get("event") == "inspected"
        }

    def wait(self, number: int) -> None:
        """Wait until so many strips are inspected."""
        while len(self.inspected()) < number:
            time.sleep(1)


def write(root: Path, written: Times, number: int, sources: list[bytes]) -> None:
    """Write a strip of a content of its own, as a line may."""
    source = sources[number % len(sources)]
    comment = f"strip {number} {random.random()}".encode()  # noqa: S311
    marked = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
    content = source[:2] + marked + source[2:]
    name = f"coil-{number // 50:03}/{number:06}.jpg"
    path = root / "in" / name
    path.parent.mkdir(exist_ok=True)
    if number % 2:
        with path.open("wb") as stream:
            stream.write(content[: len(content) // 2])
            stream.flush()
            time.sleep(0.02)
            stream.write(content[len(content) // 2 :])
    else:
        path.with_suffix(".part").write_bytes(content)
        path.with_suffix(".part").rename(path)
    written[name] = time.time()


def judged(
    root: Path, written: Times, inspected: Times, alarms: Receiver, warm: int
) -> dict[str, Any]:
    """What became of the strips; latencies without those that the capacity was measured by."""
    journals = sorted((root / "out" / "journal").glob("*.jsonl"))
    lines = [json.loads(text) for path in journals for text in path.read_text().splitlines()]
    events = Counter((one.get("event"), one.get("copy")) for one in lines)
    reports = [pd.read_parquet(path) for path in (root / "out").glob("20*/strips.parquet")]
    rows = pd.concat(reports)
    alarming = rows[(rows["status"] == "inspected") & (rows["disposition"] != "accept")]
    measured = list(written)[warm:]
    return {
        "strips": len(written),
        "lost": [name for name in written if events["inspected", name] == 0],
        "inspected_twice": [name for name in written if events["inspected", name] > 1],
        "taken_twice": [name for name in written if events["taken", name] > 1],
        "report_strips": len(rows),
        "flagged_patches": int(rows["flagged"].sum()),
        "alarms": len(alarms.first),
        "alarms_repeated": alarms.came - len(alarms.first),
        "alarms_missing": len(set(alarming["strip_id"]) - set(alarms.first)),
        "to_inspected_s": percentiles(written, inspected, measured),
        "to_alarm_s": percentiles(
            written, alarms.first, [name for name in measured if name in alarms.first]
        ),
    }


def percentiles(begun: Times, ended: Mapping[str, float], names: list[str]) -> dict[str, float]:
    late = [ended[name] - begun[name] for name in names]
    cuts = np.percentile(late, [50, 95, 99, 100])
    return {
        name: round(float(cut), 2)
        for name, cut in zip(("p50", "p95", "p99", "most"), cuts, strict=True)
    }


if __name__ == "__main__":
    auto_cli(main)
