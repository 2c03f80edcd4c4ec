import importlib.abc
import sys
import types
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from severstal_prep.cli import main
from severstal_prep.download import COMPETITION, download
from severstal_prep.errors import DownloadError

NAMES = ("kaggle", "kaggle.api", "kaggle.api.kaggle_api_extended")


def forget_kaggle(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "kaggle"]:
        monkeypatch.delitem(sys.modules, name)


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[tuple]]:
    """Put a fake client in place of Kaggle's; its functions may raise, print and exit."""

    def put(fetch: Callable[[Path], None], authenticate: Callable[[], None] = lambda: None):
        calls: list[tuple] = []

        class KaggleApi:
            def authenticate(self) -> None:
                authenticate()

            def competition_download_files(self, competition: str, path: str, quiet: bool) -> None:
                calls.append((competition, path))
                fetch(Path(path))

        forget_kaggle(monkeypatch)
        for name in NAMES:
            monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
        sys.modules[NAMES[-1]].KaggleApi = KaggleApi
        return calls

    return put


def write_archive(folder: Path) -> None:
    with zipfile.ZipFile(folder / f"{COMPETITION}.zip", "w") as archive:
        archive.writestr("train.csv", "ImageId,ClassId,EncodedPixels\n")
        archive.writestr("train_images/a.jpg", b"strip a")
        archive.writestr("test_images/b.jpg", b"strip b")
        archive.writestr("../escaped.txt", b"out of the folder")


def test_downloads_unpacks_and_does_not_do_it_twice(install, tmp_path: Path) -> None:
    out = tmp_path / "тест dir"
    calls = install(write_archive)
    assert download(out)
    assert calls == [(COMPETITION, str(out / ".download"))]
    assert (out / "train_images" / "a.jpg").read_bytes() == b"strip a"
    assert (out / "test_images" / "b.jpg").read_bytes() == b"strip b"
    assert (out / "train.csv").is_file()
    assert not (tmp_path / "escaped.txt").exists()
    assert not (out / ".download").exists()
    assert not download(out)
    assert len(calls) == 1


def with_status(status: int) -> Callable[[Path], None]:
    class ApiError(Exception):  # as Kaggle's own client raises it
        pass

    def fail(path: Path) -> None:
        error = ApiError(f"({status})\nReason: Forbidden\nHTTP response headers: ...")
        error.status = status
        raise error

    return fail


def with_response(status: int) -> Callable[[Path], None]:
    class HTTPError(OSError):  # as requests raises it, in newer clients
        pass

    def fail(path: Path) -> None:
        error = HTTPError(f"{status} Client Error: for url: https://...")
        error.response = types.SimpleNamespace(status_code=status)
        raise error

    return fail


def no_network(path: Path) -> None:
    raise ConnectionError("HTTPSConnectionPool: Max retries exceeded\nmore")


def full_disk(path: Path) -> None:
    raise OSError(28, "No space left on device", str(path / "x.zip"))


def half_an_archive(path: Path) -> None:
    write_archive(path)
    archive = path / f"{COMPETITION}.zip"
    archive.write_bytes(archive.read_bytes()[:-40])


def nothing(path: Path) -> None:
    pass


def exits(*_: Path) -> None:
    print("Could not find kaggle.json. Make sure it's located in ...")
    sys.exit(1)


FAILURES = {
    "rules (older client)": (with_status(403), "accept the competition's rules"),
    "rules (newer client)": (with_response(403), "accept the competition's rules"),
    "token (older client)": (with_status(401), "no valid Kaggle credentials"),
    "token (newer client)": (with_response(401), "no valid Kaggle credentials"),
    "exit": (exits, "no valid Kaggle credentials"),
    "server": (with_response(503), "cannot be reached (503 Client Error"),
    "network": (no_network, "check the network"),
    "disk": (full_disk, "No space left on device"),
    "archive": (half_an_archive, "arrived damaged"),
    "no archive": (nothing, "arrived damaged"),
}


@pytest.mark.parametrize(("fetch", "complaint"), FAILURES.values(), ids=FAILURES.keys())
def test_failures_are_one_line_and_exit_2(
    install, tmp_path: Path, capsys: pytest.CaptureFixture[str], fetch, complaint: str
) -> None:
    install(fetch)
    assert main(["download", "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("severstal-prep: ")
    assert error.count("\n") == 1
    assert complaint in error
    assert not (tmp_path / "train.csv").exists()


def test_a_damaged_archive_is_fetched_anew(install, tmp_path: Path) -> None:
    install(half_an_archive)
    with pytest.raises(DownloadError):
        download(tmp_path)
    assert list((tmp_path / ".download").iterdir()) == []
    install(write_archive)
    assert download(tmp_path)


def raise_os_error() -> None:
    raise OSError("Could not find kaggle.json")


@pytest.mark.parametrize("authenticate", [exits, raise_os_error])
def test_missing_credentials(
    install, tmp_path: Path, capsys: pytest.CaptureFixture[str], authenticate
) -> None:
    calls = install(write_archive, authenticate)
    assert main(["download", "--out", str(tmp_path / "out")]) == 2
    captured = capsys.readouterr()
    assert "no valid Kaggle credentials" in captured.err
    assert captured.out == ""  # the client's own chatter is kept back
    assert calls == []
    assert not (tmp_path / "out").exists()


class Importer(importlib.abc.MetaPathFinder):
    """Makes `import kaggle` do what `action` does."""

    def __init__(self, action: Callable[[], None]) -> None:
        self.action = action

    def find_spec(self, fullname: str, *_: object) -> None:
        if fullname.split(".")[0] == "kaggle":
            self.action()


def missing() -> None:
    raise ModuleNotFoundError("No module named 'kaggle'")


@pytest.mark.parametrize(
    ("action", "complaint"),
    [(missing, "pip install 'steel-sise[kaggle]'"), (exits, "no valid Kaggle credentials"),
     (raise_os_error, "no valid Kaggle credentials")],
)  # fmt: skip
def test_import_that_fails_exits_or_raises(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, action, complaint: str
) -> None:
    forget_kaggle(monkeypatch)
    monkeypatch.setattr(sys, "meta_path", [Importer(action), *sys.meta_path])
    with pytest.raises(DownloadError) as caught:
        download(tmp_path / "out")
    assert complaint in str(caught.value)
