import errno
import os
from pathlib import Path

import numpy as np
import pytest

from severstal_prep import console
from severstal_prep.errors import PrepError
from severstal_prep.failures import in_one_line, in_words


def caught(work) -> BaseException:
    with pytest.raises(BaseException) as told:  # noqa: PT011
        work()
    return told.value


def test_files_and_folders_in_each_others_place(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    for work, line in (
        (lambda: (file / "x").write_text(""), f"{file}/x: a part of this path is a file, where a"),
        (lambda: file.mkdir(), f"{file}: something else is there already, where a folder belongs"),
        (lambda: tmp_path.read_text(), f"{tmp_path}: a folder, where a file belongs"),
        (lambda: (tmp_path / "none/x").touch(), f"{tmp_path}/none/x: no such file or folder"),
        (lambda: (tmp_path / ("n" * 300)).touch(), f"{tmp_path}/{'n' * 300}: the name is too long"),
        (lambda: file.rename(tmp_path / "no/x"), f"{tmp_path}/no/x: no such file or folder"),
    ):
        words = in_words(caught(work))
        assert words is not None
        assert words.startswith(line)


def test_a_full_disk_by_whatever_says_so() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    error = caught(lambda: os.write(full, b"x"))
    os.close(full)
    for told in (
        error,
        OSError("Failed: [Errno 28] No space left on device"),
        RuntimeError("[enforce fail at inline_container.cc] PytorchStreamWriter failed writing"),
        Exception("I/O error: No space left on device (os error 28)"),
    ):
        assert in_words(told) == "no space is left there; free some, or name another place"


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "no space is left"),
        (errno.EDQUOT, "the quota is used up"),
        (errno.EROFS, "the file system is read-only"),
        (errno.EACCES, "permission denied"),
        (errno.EMFILE, "too many files are open; raise the limit (ulimit -n 4096)"),
        (errno.EIO, "the drive failed"),
        (errno.ENXIO, "No such device or address"),
    ],
)
def test_a_temporary_file_goes_by_its_own_name(number: int, words: str) -> None:
    error = OSError(number, os.strerror(number), "/out/.card.json.partial")
    line = in_words(error)
    assert line is not None
    assert line.startswith(f"/out/card.json: {words}")


def test_too_little_memory() -> None:
    class OutOfMemoryError(RuntimeError):
        """As torch calls it."""

    cure = "give a smaller --batch-size"
    for error in (
        MemoryError(),
        caught(lambda: np.zeros(2**55)),
        OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ):
        assert in_words(error, cure) == f"out of memory; {cure}"


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("x"), RuntimeError("shape"),
                                   RecursionError(), AssertionError()])  # fmt: skip
def test_errors_of_ours_are_none_of_the_machine(error: Exception) -> None:
    assert in_words(error) is None

    def fail() -> None:
        raise error

    with pytest.raises(type(error)):
        console.run("tool", fail, ())


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("тест dir/a b.png: no…", "тест dir/a b.png: no…"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x1b[2J\x85\u2028\ud800", r"\x1b[2J\x85\u2028\ud800"),
    ],
)
def test_a_message_is_one_line_whatever_it_names(said: str, line: str) -> None:
    assert in_one_line(ValueError(said)) == line


def test_an_error_that_names_a_line_break_is_printed_in_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail() -> int:
        raise PrepError("a\nb.csv: no")

    assert console.run("x", fail, (PrepError,)) == 2
    assert capsys.readouterr().err == "x: a\\nb.csv: no\n"
