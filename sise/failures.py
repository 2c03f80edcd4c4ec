"""What the machine refused, in a line with its cure.

`severstal_prep` and `sise` import nothing of each other: each has this module, word for word.
"""

import errno
import os
import re
from pathlib import Path

MEMORY = "close other programs, or work on less at once"
SPACE = "no space is left there; free some, or name another place"
RIGHTS = "permission denied; have its rights changed, or name another place"
FULL = re.compile(
    r"no space left on device|os error 28\b|PytorchStreamWriter failed"
    r"|^\d+ requested and \d+ written$",  # of NumPy
    re.I,
)
NO_MEMORY = re.compile(r"can't allocate memory|not enough memory|out of memory", re.I)

CURES = {
    errno.ENOSPC: SPACE,
    errno.EDQUOT: "the quota is used up there; free some space, or name another place",
    errno.EFBIG: "the file system takes no file of this size; name another place",
    errno.EROFS: "the file system is read-only; name another place",
    errno.EACCES: RIGHTS,
    errno.EPERM: RIGHTS,
    errno.EISDIR: "a folder, where a file belongs; name a file",
    errno.ENOTDIR: "a part of this path is a file, where a folder belongs; name another place",
    errno.EEXIST: "something else is there already, where a folder belongs; name another place",
    errno.ENOTEMPTY: "the folder is not empty; name another place",
    errno.ENOENT: "no such file or folder; check the path",
    errno.ENAMETOOLONG: "the name is too long; name a shorter one",
    errno.ELOOP: "links that lead in a circle; name another place",
    errno.EMFILE: "too many files are open; raise the limit (ulimit -n 4096), or use fewer "
    "processes",
    errno.ENFILE: "too many files are open on this machine; close other programs",
    errno.EIO: "the drive failed (input/output error); check it, and run this again",
    errno.ESTALE: "the network drive lost the file; check it, and run this again",
    errno.ENOMEM: MEMORY,
}


def in_words(error: BaseException, memory: str = MEMORY) -> str | None:
    """The line for an error of the machine: of files, disks or memory; None for any other.

    `memory` is the cure for too little memory. A file's temporary name is given as its own.
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return f"out of memory; {memory}"
    text = " ".join(str(error).split())
    if isinstance(error, OSError):
        if error.errno == errno.ENOMEM:
            return f"out of memory; {memory}"
        cure = CURES.get(error.errno or 0) or error.strerror or text or type(error).__name__
        if not error.errno and FULL.search(text):
            cure = SPACE
        path = _own_name(error.filename if error.filename2 is None else error.filename2)
        return f"{path}: {cure}" if path else cure
    if FULL.search(text):
        return SPACE
    if isinstance(error, RuntimeError) and NO_MEMORY.search(text):
        return f"out of memory; {memory}"
    return None


def in_one_line(error: BaseException) -> str:
    """The message of an error, as a terminal shows it in one line: files and what stands in them
    may have names that end a line, or that move the cursor."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(error))


def check_replaceable(path: Path) -> None:
    """Raise OSError for a device, pipe or socket: a file renamed to its name would remove it."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OSError(errno.EINVAL, "no ordinary file; name another place", str(path))


def _own_name(path: object) -> str:
    if not isinstance(path, str | bytes | os.PathLike):
        return ""
    return re.sub(r"(^|/)\.([^/]+)\.partial$", r"\1\2", os.fsdecode(path))
