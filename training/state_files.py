"""What lies in a file of weights: PyTorch's, safetensors', NumPy's; known by what they hold."""

import argparse
import pathlib
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch

from training.errors import WeightsError

MAGIC = (
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself; run git lfs pull"),
    (b"<", "a web page, as a failed download leaves it; download the file again"),
    (b"{", "JSON text, not tensors; give the .pth or .safetensors file"),
    (b"\x1f\x8b", "compressed (gzip); unpack it first"),
    (b"BZh", "compressed (bzip2); unpack it first"),
    (b"\xfd7zXZ", "compressed (xz); unpack it first"),
    (b"\x28\xb5\x2f\xfd", "compressed (zstd); unpack it first"),
    (b"\x89HDF", "HDF5, of Keras perhaps; weights of PyTorch are needed"),
    (b"\x93NUMPY", "one array of NumPy; save all by name: numpy.savez(OUT, **arrays)"),
)
"""How files begin that people take for weights, and what to do about it."""

LEGACY_PICKLE = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19"
"""How files of torch.save begin that are no archives (before PyTorch 1.6)."""

MEMBERS_OF_TORCHSCRIPT = ("constants.pkl", "code/")
SAFETENSORS_HEADER = 100_000_000
DEPTH = 12
"""Dicts within dicts are looked through to here."""

HARMLESS = [
    argparse.Namespace,
    pathlib.PosixPath,
    np.dtype,
    (np._core.multiarray.scalar, "numpy.core.multiarray.scalar"),  # type: ignore[attr-defined]
    np._core.multiarray.scalar,  # type: ignore[attr-defined]
    *(type(np.dtype(name)) for name in ("float32", "float64", "int32", "int64", "bool")),
]
"""What checkpoints often hold beside tensors, and what runs no code of theirs."""

State = dict[str, torch.Tensor]


def read_tensors(path: Path) -> State:
    """Every tensor in a file, by its path through dicts and lists: "state_dict.module.fc.bias".

    A dict or tensor that stands at two places is read at the first one. Nothing of the file is
    run. Raises WeightsError, with the cure, for what is no file of tensors.
    """
    content = _read(path)
    tensors: State = {}
    _collect(content, "", tensors, set(), DEPTH)
    if not tensors:
        raise WeightsError(
            f"{path}: holds no state dict (tensors by name); save model.state_dict()"
        )
    return tensors


def _collect(value: Any, name: str, tensors: State, seen: set[int], depth: int) -> None:
    if isinstance(value, torch.Tensor):
        if name:
            tensors[name] = value.detach()
    elif isinstance(value, (dict, list, tuple)) and depth and id(value) not in seen:
        seen.add(id(value))
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        for key, entry in entries:
            _collect(entry, f"{name}.{key}" if name else str(key), tensors, seen, depth - 1)


def _read(path: Path) -> Any:
    if path.is_dir():
        inside = sorted(
            one.name for one in path.iterdir() if one.suffix in (".safetensors", ".pth")
        )
        named = f", {path / inside[0]} say" if inside else ""
        raise WeightsError(f"{path}: a folder; give the file of weights in it{named}")
    if not path.is_file():
        raise WeightsError(
            f"{path}: there is no such file; model.weights is none, imagenet or a file"
        )
    try:
        with path.open("rb") as stream:
            head = stream.read(512)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror})") from error
    reason = _foreign(head, path)
    if reason:
        raise WeightsError(f"{path}: not a weights file but {reason}")
    try:
        if _is_safetensors(head):
            return safetensors.torch.load_file(path)
        if head.startswith(b"PK") and _is_npz(path):
            return _arrays(path)
        # A stream, as torch.load goes by the suffix of a path.
        with torch.serialization.safe_globals(HARMLESS), path.open("rb") as stream:
            return torch.load(stream, map_location="cpu", weights_only=True)
    except Exception as error:
        # What a damaged file raises depends on where the damage is; UnpicklingError, KeyError,
        # EOFError, RuntimeError and SafetensorError among others.
        raise WeightsError(f"{path}: {_why(error, head)}") from error


def _foreign(head: bytes, path: Path) -> str | None:
    """What a file is instead, with the cure; None if it may be one of weights."""
    if not head:
        return "empty; copy or download it again"
    for magic, reason in MAGIC:
        if head.lstrip().startswith(magic):
            return reason
    if head[257:262] == b"ustar":
        return "a tar archive; unpack it first (written by PyTorch before 2017: save it anew there)"
    if head.startswith(b"PK"):
        return _foreign_archive(_members(path))
    if head[:1] == b"\x80" and not head.startswith(LEGACY_PICKLE) and not _is_safetensors(head):
        return "a pickle that torch.save did not write; where it is trusted, save it by torch.save"
    return None


def _foreign_archive(names: list[str]) -> str | None:
    inner = [name.partition("/")[2] for name in names]
    if any(name.startswith(MEMBERS_OF_TORCHSCRIPT) for name in inner):
        return (
            "a TorchScript archive; save its weights alone: "
            "torch.save(torch.jit.load(FILE).state_dict(), OUT)"
        )
    if "data.pkl" in inner or "data.pkl" in names:
        return None
    if all(name.endswith(".npy") for name in names):
        return None
    return f"a ZIP archive ({', '.join(names[:2])}, …); unpack it first"


def _members(path: Path) -> list[str]:
    """The names in a ZIP archive; none if it is damaged, which its reader will say."""
    try:
        with path.open("rb") as stream, zipfile.ZipFile(stream) as archive:
            return archive.namelist()
    except Exception:  # BadZipFile, NotImplementedError, UnicodeDecodeError, …
        return []


def _is_npz(path: Path) -> bool:
    return all(name.endswith(".npy") for name in _members(path))


def _arrays(path: Path) -> State:
    """The numbers in an .npz file by name; ValueError for objects, which are not unpickled."""
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
        return {name: torch.from_numpy(np.array(archive[name])) for name in archive.files}


def _is_safetensors(head: bytes) -> bool:
    return 2 <= int.from_bytes(head[:8], "little") <= SAFETENSORS_HEADER and head[8:9] == b"{"


def _why(error: Exception, head: bytes) -> str:
    name = re.search(r"GLOBAL (\S+)", str(error))
    if name:
        return (
            f"not a weights file that is safe to load: it holds {name[1]} too, not tensors alone; "
            "where it is trusted, save its state dict alone: "
            "torch.save(torch.load(FILE, weights_only=False).state_dict(), OUT), "
            "or that of its entry if it is a dict"
        )
    if "allow_pickle" in str(error):
        return "holds Python objects, not numbers alone; save arrays of numbers"
    if head.startswith(b"PK") or _is_safetensors(head):
        return f"damaged or cut off ({type(error).__name__}); copy or download it again"
    return (
        f"not a weights file that is safe to load ({type(error).__name__}); "
        "save a plain state dict, best as .safetensors"
    )
