"""What is in a batch: strips with their identity, and files that are no strips.

A strip is known by its path inside the batch folder, so that two cameras' equal file names
stay two strips; its content is known by its SHA-256.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from inspection.coil.facts import NAMES as COIL_FILES
from inspection.coil.facts import Coil, read_coils
from inspection.errors import BatchError
from severstal_prep.errors import UnreadableImageError
from severstal_prep.images import decode_image, looks_like_image, mirrored, read_bytes
from severstal_prep.training_crops import CROP_SIDE

AGAIN = "run again once it is written"
"""So ends the reason for a strip that was not there, or another, after it was listed."""
_LOOKED_INTO = 10_000
"""Files in a folder that is passed over, at most."""


@dataclass(frozen=True)
class StripFile:
    """An image file of the batch.

    `strip_id` is its POSIX path inside the batch folder, `coil` what a coil's file calls it, else
    the folder part of it ("" for a file at the top). `sha256` and `size` (bytes) are "" and 0 if
    the file cannot be opened.
    """

    strip_id: str
    coil: str
    path: Path
    sha256: str
    size: int


@dataclass(frozen=True)
class SkippedFile:
    """A file or folder that is no strip, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Batch:
    """A listed batch folder. `strips` are sorted by identity, `skipped` by name.

    `passed_over` are the names of those skipped that look like an image or hold one, `coils` what
    files beside the strips tell of theirs.
    """

    name: str
    root: Path
    strips: tuple[StripFile, ...]
    skipped: tuple[SkippedFile, ...]
    passed_over: tuple[str, ...] = ()
    coils: tuple[Coil, ...] = ()

    def digest(self) -> str:
        """SHA-256 over the identities and contents of all strips."""
        lines = (f"{strip.sha256} {strip.strip_id}\n" for strip in self.strips)
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def strip_rows(strips: Iterable[StripFile]) -> pd.DataFrame:
    """A row per strip: strip_id, coil, path, strip_sha256, bytes."""
    rows = [(s.strip_id, s.coil, str(s.path), s.sha256, s.size) for s in strips]
    return pd.DataFrame(rows, columns=["strip_id", "coil", "path", "strip_sha256", "bytes"])


def list_batch(folder: Path) -> Batch:
    """List a batch folder and all folders in it, and hash every strip.

    Strips are files that are images by their content, and those that are named as images.
    Links that lead out of the folder, linked folders and hidden files are skipped.
    Raises BatchError for a folder that is missing, cannot be listed, or holds no image, and
    CoilError for a coil's file that is wrong.
    """
    if not folder.is_dir():
        what = "a file" if folder.is_file() else "no such folder"
        raise BatchError(f"{folder}: {what}; --batch takes a folder of strip images")
    root = folder.resolve()
    strips: list[StripFile] = []
    skipped: list[SkippedFile] = []
    passed_over: list[str] = []
    coil_files: list[str] = []
    for path in _walk(root):
        if path.name in COIL_FILES and path.is_file() and not path.is_symlink():
            coil_files.append(_name(path, root))
            continue
        reason = _why_skipped(path, root)
        if reason is None:
            strips.append(_strip_file(path, root))
        else:
            holds_image = _holds_image(path)
            if holds_image:
                passed_over.append(_name(path, root))
                reason += "; it holds images" if path.is_dir() else "; it looks like an image"
            skipped.append(SkippedFile(_name(path, root), reason))
    if not strips:
        skipped.sort(key=lambda entry: (entry.name not in passed_over, entry.name))
        others = f" ({_others(skipped)})" if skipped else ""
        raise BatchError(
            f"{folder}: no strip images here{others}; expected JPEG, PNG, TIFF, BMP, PGM or WebP"
        )
    strips.sort(key=lambda strip: strip.strip_id)
    skipped.sort(key=lambda entry: entry.name)
    name = root.name or str(root)
    coils = read_coils(root, coil_files, [strip.strip_id for strip in strips])
    called = {strip_id: coil.name for coil in coils for strip_id in coil.strips}
    named = (replace(strip, coil=called.get(strip.strip_id, strip.coil)) for strip in strips)
    return Batch(name, root, tuple(named), tuple(skipped), tuple(sorted(passed_over)), coils)


def _walk(root: Path) -> Iterator[Path]:
    def fail(error: OSError) -> None:
        raise BatchError(f"{error.filename}: cannot be listed ({error.strerror})") from error

    for folder, folders, files in os.walk(root, onerror=fail, followlinks=False):
        here = Path(folder)
        yield from (here / name for name in files)
        left_out = [name for name in folders if _is_left_out(here / name)]
        yield from (here / name for name in left_out)
        folders[:] = [name for name in folders if name not in left_out]


def _is_left_out(folder: Path) -> bool:
    return folder.is_symlink() or folder.name.startswith(".")


def _others(skipped: list[SkippedFile]) -> str:
    first = skipped[0]
    more = f" and {len(skipped) - 1} more" if len(skipped) > 1 else ""
    return f"{first.name}: {first.reason}{more}"


def _why_skipped(path: Path, root: Path) -> str | None:
    if path.name.startswith("."):
        return "hidden"
    if path.is_symlink():
        if path.is_dir():
            return "link to a folder"
        try:
            if not path.resolve().is_relative_to(root):
                return "link out of the batch folder"
        except (OSError, RuntimeError):
            return "link that leads round in a circle"
    if path.exists() and not path.is_file():
        return "not a file, but a pipe or a device"
    if not looks_like_image(path):
        return f"not an image ({path.suffix or 'no suffix'})"
    return None


def _holds_image(path: Path) -> bool:
    """Whether a path looks like an image, or is a folder that holds one.

    Of a folder so large that its end is not soon reached, yes.
    """
    if not path.is_dir():
        return looks_like_image(path)
    files = (Path(here, name) for here, _, names in os.walk(path) for name in names)
    seen = 0
    for seen, file in enumerate(islice(files, _LOOKED_INTO), 1):  # noqa: B007
        if looks_like_image(file):
            return True
    return seen == _LOOKED_INTO


def _strip_file(path: Path, root: Path) -> StripFile:
    name = _name(path, root)
    coil = name.rpartition("/")[0]
    try:
        with path.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            size = stream.tell()
    except OSError:
        # Unreadable files belong in the report; `read` finds the reason again.
        return StripFile(name, coil, path, "", 0)
    return StripFile(name, coil, path, sha256, size)


def _name(path: Path, root: Path) -> str:
    """The path inside the batch as text; bytes that are no UTF-8 are escaped."""
    return os.fsencode(path.relative_to(root).as_posix()).decode("utf-8", "backslashreplace")


@dataclass(frozen=True, eq=False)
class ReadStrip:
    """A strip that was read: `pixels` (height, width, 3) uint8 RGB, or None where `reason`
    (otherwise "") tells why it cannot be inspected."""

    file: StripFile
    pixels: npt.NDArray[np.uint8] | None
    reason: str = ""


def read_strip(file: StripFile, side: int = CROP_SIDE) -> ReadStrip:
    """Stage "read": a strip's pixels, as `decode_strip`."""
    content = open_strip(file)
    return decode_strip(file, content, side) if isinstance(content, bytes) else content


def open_strip(file: StripFile) -> bytes | ReadStrip:
    """The content of a strip's file, or what is read of one that cannot be opened."""
    try:
        return read_bytes(file.path)
    except UnreadableImageError as error:
        gone = f"{error.reason}, though it was listed; {AGAIN}"
        return ReadStrip(file, None, gone if file.sha256 else error.reason)


def decode_strip(file: StripFile, content: bytes, side: int) -> ReadStrip:
    """The pixels of a strip's file. `side` is that of a patch in px.

    A strip that is smaller is mirrored at its right and lower edge, as `severstal-prep
    build-masks` does; one of less than half a patch cannot be inspected, nor one whose content
    is no longer what was listed.
    """
    if hashlib.sha256(content).hexdigest() != file.sha256:
        return ReadStrip(file, None, f"the file changed during the inspection; {AGAIN}")
    try:
        pixels = decode_image(content, file.path)
    except UnreadableImageError as error:
        return ReadStrip(file, None, error.reason)
    height, width = pixels.shape[:2]
    if 2 * min(height, width) < side:
        small = f"{width} × {height} px, less than half of the model's {side} px"
        return ReadStrip(file, None, small)
    return ReadStrip(file, mirrored(pixels, side))
