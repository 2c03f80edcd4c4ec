import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from lines import Line, MakeLine, use_toys


@pytest.fixture
def make_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeLine:
    """Makes a line with these options; its folder is `tmp_path / "in"`."""
    use_toys(monkeypatch)
    return lambda **options: Line(tmp_path, **options)


@pytest.fixture
def line(make_line: MakeLine) -> Line:
    return make_line()


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Gives a port that nobody listens on."""

    def find() -> int:
        with socket.create_server(("127.0.0.1", 0)) as server:
            return int(server.getsockname()[1])

    return find
