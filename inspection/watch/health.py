"""How a watcher is, told by HTTP: /healthz for people and watchdogs, /metrics for Prometheus."""

import json
import socket
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from inspection.watch.alarms import Alarms
from inspection.watch.watcher import Inspected, Watcher

STUCK = 300.0
"""Seconds in one step after which a watcher counts as stuck."""


def health(watcher: Watcher, alarms: Alarms | None) -> dict[str, Any]:
    """What /healthz says: `healthy`, and why not as `problems`."""
    problems = [f"{what}: {trouble.words}" for what, trouble in tuple(watcher.troubles.items())]
    if alarms is not None and alarms.trouble:
        problems.append(f"alarms: {alarms.trouble}")
    busy = watcher.clock.running() - watcher.beat
    if busy > STUCK:
        problems.append(f"in one step for {busy:.0f} s")
    last, current = watcher.last, watcher.current
    return {
        "healthy": not problems,
        "problems": problems,
        "batch": None if current is None else str(current.name),
        "queue": watcher.queue,
        "seconds_behind": round(watcher.behind, 3),
        "last_strip": None
        if last is None
        else {
            "strip_id": last.judged.strip.strip_id,
            "status": last.judged.status,
            "disposition": last.judged.disposition,
            "inspected": last.inspected.isoformat(timespec="milliseconds"),
        },
        "last_error": watcher.last_error,
        "model": watcher.inspector.model,
        "alarms_waiting": None if alarms is None else alarms.waiting,
    }


class Metrics:
    """What Prometheus is told, in a registry of its own. Counts begin with the process.

    Raises ImportError without prometheus-client.
    """

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self.registry = CollectorRegistry()

        def named(kind: Any, name: str, words: str, *labels: str, **options: Any) -> Any:
            return kind(f"steel_{name}", words, labels, registry=self.registry, **options)

        self.strips = named(Counter, "strips", "Strips by what came of them", "status")
        self.flagged = named(Counter, "flagged_patches", "Patches flagged", "class")
        self.dispositions = named(
            Counter, "dispositions", "Strips by the disposition proposed", "disposition"
        )
        buckets = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60, 120, 300)
        self.seconds = named(
            Histogram, "strip_seconds", "Seconds to inspect a strip", buckets=buckets
        )
        self.latency = named(
            Histogram,
            "latency_seconds",
            "Seconds from a file's last change until it is inspected",
            buckets=(*buckets, 900, 3600),
        )
        self.queue = named(Gauge, "queue_strips", "Strips seen and not yet inspected")
        self.behind = named(Gauge, "seconds_behind", "Seconds that the oldest strip has waited")
        self.healthy = named(Gauge, "healthy", "1 if /healthz says so, else 0")
        self.alarms = named(Gauge, "alarms_waiting", "Alarms that the webhook has not yet taken")
        self.last = named(Gauge, "last_strip_timestamp_seconds", "When the last was inspected")
        for status in ("inspected", "unreadable", "not judged"):
            self.strips.labels(status)

    def count(self, inspected: Inspected) -> None:
        """Count a strip."""
        judged = inspected.judged
        self.strips.labels(judged.status).inc()
        self.dispositions.labels(judged.disposition).inc()
        for name, number in judged.flagged.items():
            self.flagged.labels(name).inc(number)
        self.seconds.observe(inspected.seconds)
        late = (inspected.inspected - inspected.arrived).total_seconds()
        self.latency.observe(max(late, 0.0))
        self.last.set(inspected.inspected.timestamp())

    def text(self, state: dict[str, Any]) -> bytes:
        """The page that Prometheus reads; `state` as of `health`."""
        from prometheus_client import generate_latest

        self.queue.set(state["queue"])
        self.behind.set(state["seconds_behind"])
        self.healthy.set(state["healthy"])
        self.alarms.set(state["alarms_waiting"] or 0)
        return generate_latest(self.registry)


def serve(listening: socket.socket, state: Callable[[], dict[str, Any]], metrics: Metrics) -> None:
    """Answer on a listening socket, from a thread that ends with the process."""

    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            now = state()
            path = self.path.partition("?")[0]
            if path == "/healthz":
                content = (json.dumps(now, indent=2) + "\n").encode()
                self._answer(200 if now["healthy"] else 503, "application/json", content)
            elif path == "/metrics":
                self._answer(200, "text/plain; version=0.0.4; charset=utf-8", metrics.text(now))
            else:
                self._answer(404, "text/plain", b"/healthz or /metrics\n")

        def _answer(self, code: int, kind: str, content: bytes) -> None:
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            pass  # a client that went away

    server = Server(listening.getsockname()[:2], Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listening
    Thread(target=server.serve_forever, name="health", daemon=True).start()
