"""What a watcher tells by HTTP."""

import errno
import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from lines import SETTLE, Line
from prometheus_client.parser import text_string_to_metric_families

from inspection.review.errors import ServeError
from inspection.review.server.listen import listen
from inspection.watch import watcher as module
from inspection.watch.health import STUCK, Metrics, health, serve


class Page:
    """What is answered on a port."""

    def __init__(self, line: Line, port: int) -> None:
        metrics = Metrics()
        line.watcher.tell = metrics.count
        self.listening = listen("127.0.0.1", port)
        self.port = port
        serve(self.listening, lambda: health(line.watcher, None), metrics)

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.port}{path}", timeout=60
            ) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            return error.code, error.read().decode()

    def health(self) -> tuple[int, Any]:
        code, text = self.get("/healthz")
        return code, json.loads(text)

    def metrics(self) -> dict[str, float]:
        """The samples, by name and the values of their labels."""
        found = {}
        for family in text_string_to_metric_families(self.get("/metrics")[1]):
            for sample in family.samples:
                labels = [value for name, value in sample.labels.items() if name != "le"]
                if "le" not in sample.labels:
                    found["/".join([sample.name, *labels])] = sample.value
        return found


@pytest.fixture
def page(line: Line, free_port: Callable[[], int]) -> Page:
    return Page(line, free_port())


def test_what_is_counted(line: Line, page: Page) -> None:
    line.write("a.png", 40)
    line.write("b.png")
    (line.root / "void.png").write_bytes(b"")
    line.go(70)
    line.write("c.png")
    line.watcher.step()
    line.clock.wait(SETTLE / 2)
    found = page.metrics()
    assert found["steel_strips_total/inspected"] == 2
    assert found["steel_strips_total/unreadable"] == 1
    assert found["steel_strips_total/not judged"] == 0
    assert found["steel_flagged_patches_total/class 1"] == 2
    assert found["steel_flagged_patches_total/class 2"] == 0
    assert sum(value for name, value in found.items() if "dispositions_total" in name) == 3
    assert found["steel_strip_seconds_count"] == 3
    assert found["steel_latency_seconds_count"] == 3
    assert found["steel_queue_strips"] == 1
    assert found["steel_healthy"] == 1
    assert page.health()[1]["queue"] == 1


def test_red_while_something_is_refused_and_green_after(
    line: Line, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert page.health() == (
        200,
        {
            "healthy": True, "problems": [], "batch": None, "queue": 0, "seconds_behind": 0.0,
            "last_strip": None, "last_error": None, "model": "ab" * 32, "alarms_waiting": None,
        },
    )  # fmt: skip

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "x.png")

    line.write("a.png", 40)
    with monkeypatch.context() as patch:
        patch.setattr(module, "_write", full)
        line.go(20)
        code, told = page.health()
    assert (code, told["healthy"]) == (503, False)
    words = "x.png: no space is left there; free some, or name another place"
    assert told["problems"] == [f"inspection: {words}"]
    assert (told["batch"], told["queue"]) == ("2026-11-27", 1)
    assert 0 < told["seconds_behind"] <= 20
    assert page.metrics()["steel_healthy"] == 0
    line.go(70)
    code, told = page.health()
    assert (code, told["problems"], told["queue"]) == (200, [], 0)
    assert told["last_error"]["error"] == f"inspection: {words}"
    assert told["last_strip"]["strip_id"] == "a.png"
    assert told["last_strip"]["status"] == "inspected"


def test_red_when_stuck(line: Line, page: Page) -> None:
    line.go()
    line.clock.wait(STUCK + 1)
    code, told = page.health()
    assert code == 503
    assert told["problems"] == [f"in one step for {STUCK + 1:.0f} s"]
    line.go()
    assert page.health()[0] == 200


def test_other_paths_and_a_port_in_use(page: Page, tmp_path: Path) -> None:
    assert page.get("/")[0] == 404
    with pytest.raises(ServeError, match=f"--port {page.port}: in use by another program"):
        listen("127.0.0.1", page.port)
