"""Fetch the competition's files through Kaggle's own client, an optional extra."""

import contextlib
import io
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from severstal_prep.errors import DownloadError

COMPETITION = "severstal-steel-defect-detection"
LABELS_NAME = "train.csv"
IMAGES_NAME = "train_images"
WORK_NAME = ".download"

_NO_CLIENT = "install it with: pip install 'steel-sise[kaggle]'"
_NO_CREDENTIALS = (
    "no valid Kaggle credentials: create a token at https://www.kaggle.com/settings "
    "and save it as ~/.kaggle/kaggle.json"
)
_NO_RULES = (
    "Kaggle refuses (403): accept the competition's rules once at "
    f"https://www.kaggle.com/competitions/{COMPETITION}/rules"
)


def download(out: Path) -> bool:
    """Download and unpack the competition to `out`; False if it is there already.

    `out` then holds train.csv and train_images/. Raises DownloadError, with the cure, if the
    client or the credentials are missing, the rules were not accepted, the network fails, or
    the archive is damaged. What was downloaded before an interruption is kept.
    """
    if (out / LABELS_NAME).is_file() and (out / IMAGES_NAME).is_dir():
        return False
    if out.is_dir() and any(out.iterdir()) and not (out / WORK_NAME).is_dir():
        raise DownloadError(f"{out}: holds other files; name a new or empty folder")
    with _explained():
        client = _client()
    work = out / WORK_NAME
    work.mkdir(parents=True, exist_ok=True)
    archive = work / f"{COMPETITION}.zip"
    with _explained():
        client.competition_download_files(COMPETITION, path=str(work), quiet=False)
    _unpack(archive, out)
    shutil.rmtree(work)
    return True


def _client() -> Any:
    """Import and authenticate Kaggle's client, which prints and exits where it fails."""
    chatter = io.StringIO()
    try:
        with contextlib.redirect_stdout(chatter), contextlib.redirect_stderr(chatter):
            from kaggle.api.kaggle_api_extended import KaggleApi

            client = KaggleApi()
            client.authenticate()
    except ImportError as error:
        raise DownloadError(f"Kaggle's client is missing ({error}); {_NO_CLIENT}") from error
    except (OSError, ValueError, KeyError) as error:
        raise DownloadError(_NO_CREDENTIALS) from error
    return client


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    # The client raises its own, requests' and urllib3's errors, which differ by version and
    # cannot be imported without it; only the HTTP status tells them apart.
    try:
        yield
    except DownloadError:
        raise
    except SystemExit as error:
        raise DownloadError(_NO_CREDENTIALS) from error
    except Exception as error:
        raise DownloadError(_explain(error)) from error


def _explain(error: Exception) -> str:
    status = getattr(error, "status", None)
    status = status or getattr(getattr(error, "response", None), "status_code", None)
    if status == 401:
        return _NO_CREDENTIALS
    if status == 403:
        return _NO_RULES
    first_line = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
    if isinstance(error, OSError) and error.errno is not None and error.filename:
        return f"cannot write: {first_line}; free some space or name another --out"
    return f"Kaggle cannot be reached ({first_line}); check the network and run this again"


def _unpack(archive: Path, out: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as files:
            members = files.namelist()
            if LABELS_NAME not in members:
                raise DownloadError(f"{archive}: holds no {LABELS_NAME}; delete it and try again")
            # The labels come last: their presence says that the download is complete.
            members.sort(key=lambda name: name == LABELS_NAME)
            unpacked = archive.parent / "unpacked"
            files.extractall(unpacked, members)
    except (zipfile.BadZipFile, FileNotFoundError, EOFError) as error:
        archive.unlink(missing_ok=True)
        raise DownloadError(
            f"{archive.name}: arrived damaged ({error}); run this again to fetch it anew"
        ) from error
    for entry in sorted(unpacked.iterdir(), key=lambda path: path.name == LABELS_NAME):
        target = out / entry.name
        if target.is_dir():
            shutil.rmtree(target)
        entry.replace(target)
