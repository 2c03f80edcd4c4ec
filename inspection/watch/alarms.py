"""Alarms: what a rule proposes against a strip, sent to a webhook.

They wait in a folder, a file each, so that neither a restart nor a receiver that is away loses one.
They are sent by a thread of their own: inspection never waits for it.
"""

import http.client
import os
import threading
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from inspection.errors import WatchError
from inspection.store.tables import content_key, write_json
from inspection.watch.watcher import Inspected
from severstal_prep.console import note

Level = Literal["hold", "rework", "scrap", "any"]

FIRST_WAIT, LONGEST_WAIT = 1.0, 300.0
"""Seconds after an alarm that was not taken, doubled from the first to the longest."""
ANSWER = 10.0
"""Seconds to wait for the receiver."""
MOST_PATCHES = 20
"""Flagged patches that an alarm lists."""


class _NoRedirect(HTTPRedirectHandler):
    """A redirected POST would become a GET, and the alarm would be lost."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def check_address(url: str) -> None:
    """Raise WatchError for what is no http or https address."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        good = False
    if not good or not url.isprintable() or " " in url:
        raise WatchError(f"--webhook {url!a}: give an address such as https://host/alarms")
    if parts.username is not None:
        raise WatchError(
            f"--webhook: {parts.hostname} is given with a user; put the secret into the path, or "
            "a proxy in front"
        )


def alarm_of(inspected: Inspected) -> dict[str, Any]:
    """An alarm as it is sent. Equal strips of a batch with equal proposals have one `id`."""
    judged = inspected.judged
    strip = judged.strip
    who = {
        "batch": str(inspected.batch),
        "strip_id": strip.strip_id,
        "strip_sha256": strip.sha256,
        "disposition": judged.disposition,
    }
    return {
        "id": content_key(**who),
        **who,
        "coil": strip.coil,
        "rule": judged.rule,
        "arrived": inspected.arrived.isoformat(timespec="milliseconds"),
        "inspected": inspected.inspected.isoformat(timespec="milliseconds"),
        "flagged": {name: number for name, number in judged.flagged.items() if number},
        "patches": list(judged.patches[:MOST_PATCHES]),
    }


class Alarms:
    """The alarms of a watcher. `trouble` says why the last one was not taken, "" if it was."""

    def __init__(self, folder: Path, url: str, level: Level) -> None:
        self.folder = folder
        self.url = url
        self.level = level
        self.trouble = ""
        self._opener = build_opener(_NoRedirect)
        self._host = urlsplit(url).netloc
        self._come, self._stopped = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._send_all, name="alarms", daemon=True)

    @property
    def waiting(self) -> int:
        """Alarms that are not yet taken."""
        return len(self._files())

    def put(self, inspected: Inspected) -> None:
        """Keep an alarm to be sent, if a rule proposes what is asked for. Raises OSError."""
        judged = inspected.judged
        asked = (
            judged.disposition != "accept"
            if self.level == "any"
            else judged.disposition == self.level
        )
        if judged.status != "inspected" or not asked:
            return
        alarm = alarm_of(inspected)
        self.folder.mkdir(exist_ok=True)
        write_json(self.folder / f"{alarm['id']}.json", alarm)
        self._come.set()

    def start(self) -> None:
        """Begin to send, what an earlier watcher left first."""
        self._thread.start()

    def stop(self) -> None:
        """Send no more; what waits is sent by the next watcher."""
        self._stopped.set()
        self._come.set()
        self._thread.join(timeout=1.0)

    def _files(self) -> list[Path]:
        """The alarms that wait, oldest first."""
        try:
            with os.scandir(self.folder) as entries:
                files = [
                    (entry.stat().st_mtime_ns, entry.path)
                    for entry in entries
                    if entry.name.endswith(".json")
                ]
        except FileNotFoundError:
            return []
        return [Path(path) for _, path in sorted(files)]

    def _send_all(self) -> None:
        wait = FIRST_WAIT
        while not self._stopped.is_set():
            self._come.clear()
            try:
                for file in self._files():
                    if self._stopped.is_set():
                        return
                    self._post(file.read_bytes())
                    file.unlink()
                    wait = FIRST_WAIT
                    self._say("")
            except (OSError, http.client.HTTPException) as error:
                self._say(_words(error))
                self._stopped.wait(wait)
                wait = min(2 * wait, LONGEST_WAIT)
                continue
            self._come.wait()

    def _post(self, alarm: bytes) -> None:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"steel-sise/{version('steel-sise')}",
        }
        request = Request(self.url, alarm, headers, method="POST")  # noqa: S310 - checked
        with self._opener.open(request, timeout=ANSWER):
            pass

    def _say(self, trouble: str) -> None:
        if trouble and trouble != self.trouble:
            note(f"alarms: {self._host} {trouble}; it is tried again")
        if self.trouble and not trouble:
            note(f"alarms: {self._host} takes them again")
        self.trouble = trouble


def _words(error: Exception) -> str:
    if isinstance(error, HTTPError):
        return f"answers {error.code}"
    reason = error.reason if isinstance(error, URLError) else error
    words = reason.strerror if isinstance(reason, OSError) and reason.strerror else str(reason)
    return f"does not answer ({' '.join(str(words).split()) or type(error).__name__})"
