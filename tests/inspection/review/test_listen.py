import os
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from inspection.cli import main
from inspection.review.errors import ServeError
from inspection.review.server.listen import listen


def test_a_free_port_listens_at_once() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with listen("127.0.0.1", port) as server, socket.create_connection(("127.0.0.1", port)):
        assert server.getsockname() == ("127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "port", "words"),
    [
        ("127.0.0.1", 99999, "--port must be 1 to 65535, not 99999"),
        ("127.0.0.1", 0, "--port must be 1 to 65535, not 0"),
        ("no.such.host.invalid", 8765, "no such name here; give 127.0.0.1"),
        ("8.8.8.8", 8765, r"cannot be listened on \(Cannot assign requested address\)"),
        ("a" * 300, 8765, "no such name here"),
    ],
)
def test_addresses_that_cannot_be_had(host: str, port: int, words: str) -> None:
    with pytest.raises(ServeError, match=words):
        listen(host, port)


def test_a_port_that_needs_rights(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket, "create_server", refuse)
    with pytest.raises(ServeError, match="--port 80: ports below 1024 need an administrator"):
        listen("127.0.0.1", 80)


def test_a_port_in_use_is_told_before_any_address(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = tmp_path / "review.db"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["serve", "--db", f"sqlite:///{database}", "--port", port]) == 2
    assert capsys.readouterr().err == (
        f"defect-inspect: --port {port}: in use by another program, perhaps an earlier server; "
        "give another --port, or end that one\n"
    )
    assert not database.exists()


def test_a_locked_database_names_who_holds_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inspection.review.database.LOCK_SECONDS", 0.2)
    database = tmp_path / "review.db"
    hold = (
        f"import sqlite3, sys; c = sqlite3.connect({os.fspath(database)!r}, isolation_level=None);"
        "c.execute('create table t (x)'); c.execute('begin exclusive');"
        "print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        begun = time.monotonic()
        assert main(["review", "stats", "--db", f"sqlite:///{database}"]) == 2
        assert time.monotonic() - begun < 4
        holder.communicate()
    (line,) = capsys.readouterr().err.splitlines()
    assert "database is locked" in line
    if Path("/proc/self/fd").is_dir():
        assert f"locked by process {holder.pid} (python" in line
    assert sqlite3.connect(database).execute("select * from t").fetchall() == []
