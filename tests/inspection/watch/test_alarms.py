"""The webhook: a receiver that a test scripts, on this machine."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from lines import Line

from inspection.errors import WatchError
from inspection.watch import alarms as module
from inspection.watch.alarms import Alarms, check_address


class Receiver:
    """Answers with `answers` in turn, then with 200; 0 is no answer at all."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.got: list[tuple[int, dict[str, Any]]] = []
        self.come = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with receiver.come:
                    answer = receiver.answers.pop(0) if receiver.answers else 200
                    receiver.got.append((answer, body))
                    receiver.come.notify_all()
                if answer:
                    self.send_response(answer)
                    self.send_header("Location", receiver.url)
                    self.end_headers()

            def do_GET(self) -> None:
                raise AssertionError("a POST was redirected")

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/alarms"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait_for(self, number: int) -> None:
        with self.come:
            assert self.come.wait_for(lambda: len(self.got) >= number, 60)


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setattr(module, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(module, "LONGEST_WAIT", 0.02)
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


def drained(alarms: Alarms) -> None:
    """Wait until nothing is left to be sent."""
    gone = threading.Event()
    for _ in range(6000):
        if not alarms.waiting:
            return
        gone.wait(0.01)
    raise AssertionError("alarms wait still")


def test_what_a_rule_proposes_is_sent_once_and_nothing_else(line: Line, receiver: Receiver) -> None:
    alarms = Alarms(line.out / "alarms", receiver.url, "any")
    line.watcher.alert = alarms.put
    alarms.start()
    line.write("coil/a.png", 40)
    line.write("good.png")
    (line.root / "void.png").write_bytes(b"")
    line.go(70)
    receiver.wait_for(1)
    drained(alarms)
    alarms.stop()
    ((_, alarm),) = receiver.got
    (judged,) = [one.judged for one in line.heard if one.judged.strip.strip_id == "coil/a.png"]
    assert judged.disposition != "accept"
    assert alarm["strip_id"] == "coil/a.png"
    assert alarm["coil"] == "coil"
    assert alarm["batch"] == "2026-11-27"
    assert alarm["disposition"] == judged.disposition
    assert alarm["rule"] == judged.rule
    assert alarm["flagged"] == {"class 1": 2}
    assert [patch["left"] for patch in alarm["patches"]] == [0, 44]
    assert {patch["class"] for patch in alarm["patches"]} == {"class 1"}
    assert len(alarm["id"]) == 64


def test_it_is_tried_again_until_it_is_taken(
    line: Line, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    receiver.answers = [500, 302, 0, 200]
    alarms = Alarms(line.out / "alarms", receiver.url, "any")
    line.watcher.alert = alarms.put
    line.write("a.png", 40)
    line.go()
    assert alarms.waiting == 1
    assert [one.judged.strip.strip_id for one in line.heard] == ["a.png"]  # it did not wait
    alarms.start()
    receiver.wait_for(4)
    drained(alarms)
    alarms.stop()
    assert [answer for answer, _ in receiver.got] == [500, 302, 0, 200]
    assert len({alarm["id"] for _, alarm in receiver.got}) == 1
    assert alarms.trouble == ""
    told = [text for text in capsys.readouterr().err.splitlines() if text.startswith("alarms")]
    host = receiver.url.split("/")[2]
    assert told[0] == f"alarms: {host} answers 500; it is tried again"
    assert told[1] == f"alarms: {host} answers 302; it is tried again"
    assert told[-1] == f"alarms: {host} takes them again"


def test_what_was_not_sent_is_sent_by_the_next_watcher(line: Line, receiver: Receiver) -> None:
    before = Alarms(line.out / "alarms", "http://127.0.0.1:1/", "any")
    line.watcher.alert = before.put
    for number, name in enumerate(["a.png", "b.png", "c.png"]):
        line.write(name, 40 + number)
        line.go()
    assert before.waiting == 3
    after = Alarms(line.out / "alarms", receiver.url, "any")
    after.start()
    receiver.wait_for(3)
    drained(after)
    after.stop()
    assert [alarm["strip_id"] for _, alarm in receiver.got] == ["a.png", "b.png", "c.png"]


def test_a_strip_inspected_again_has_the_same_alarm(line: Line) -> None:
    alarms = Alarms(line.out / "alarms", "http://127.0.0.1:1/", "any")
    line.watcher.alert = alarms.put
    line.write("a.png", 40)
    line.go()
    (file,) = (line.out / "alarms").iterdir()
    alarms.put(line.heard[0])
    assert list((line.out / "alarms").iterdir()) == [file]


@pytest.mark.parametrize("level", ["hold", "rework", "scrap", "any"])
def test_only_the_disposition_asked_for(line: Line, level: Any) -> None:
    alarms = Alarms(line.out / "alarms", "http://127.0.0.1:1/", level)
    line.watcher.alert = alarms.put
    line.write("a.png", 40)
    line.write("b.png", *range(30, 1500, 90), width=1600)
    line.go()
    sent = {json.loads(path.read_text())["strip_id"] for path in alarms.folder.glob("*")}
    proposed = {one.judged.strip.strip_id: one.judged.disposition for one in line.heard}
    assert sent == {name for name, disposition in proposed.items() if level in ("any", disposition)}
    assert len(set(proposed.values())) == 2


def test_addresses() -> None:
    for good in ("http://a:8/x", "https://hooks.example.com/secret?a=b", "http://[::1]:9/"):
        check_address(good)
    for wrong in (
        "a:8",
        "ftp://a/",
        "http://",
        "http://a:x/",
        "file:///etc/passwd",
        "",
        "http://a b/",
    ):
        with pytest.raises(WatchError, match="--webhook") as told:
            check_address(wrong)
        assert "\n" not in str(told.value)
    with pytest.raises(WatchError) as told:
        check_address("https://user:secret@host/")
    assert "secret" not in str(told.value).replace("the secret", "")
