"""How the process of a command ends, with stand-ins for the command."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
READY = "print('ready', flush=True)"
CALL = "from severstal_prep.guard import guarded; raise SystemExit(guarded('tool', 'home'))"


def heed_sigint() -> None:
    """In the child: the tests may run where SIGINT is ignored (nohup)."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def started(folder: Path, code: str, prepare=heed_sigint, **streams) -> Iterator[subprocess.Popen]:
    """A process whose `home` module is `code`, when it has printed that it is ready."""
    (folder / "home.py").write_text(textwrap.dedent(code))
    process = subprocess.Popen(
        [sys.executable, "-c", CALL],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{folder}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=prepare,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen, number: int = signal.SIGINT) -> tuple[int, str]:
    process.send_signal(number)
    _, errors = process.communicate(timeout=20)
    return process.returncode, errors


@pytest.mark.parametrize(
    ("number", "code", "line"),
    [
        (signal.SIGINT, 130, "tool: interrupted\n"),
        (signal.SIGTERM, 143, "tool: ended by SIGTERM\n"),
    ],
)
@pytest.mark.parametrize(
    "home",
    [
        f"import time; {READY}; time.sleep(60)",  # while modules load
        f"""
        def main():
            import time
            {READY}
            time.sleep(60)
        """,
        f"""
        def main():
            import time
            {READY}
            try:
                time.sleep(60)
            except KeyboardInterrupt:
                raise ImportError("numpy.core.multiarray failed to import")
        """,
        f"""
        import time
        class Lost:
            def __del__(self):
                {READY}
                time.sleep(60)
        def main():
            Lost()
            time.sleep(60)
        """,
    ],
    ids=["loading", "working", "made another error", "swallowed"],
)
def test_a_signal_is_one_line_and_no_traceback(
    tmp_path: Path, home: str, number: int, code: int, line: str
) -> None:
    with started(tmp_path, home) as process:
        assert ended(process, number) == (code, line)


def test_the_command_tidies_up_and_says_its_own_line(tmp_path: Path) -> None:
    home = f"""
    import time
    from pathlib import Path
    from severstal_prep import console
    from severstal_prep.files import replacing
    def work():
        with replacing(Path({str(tmp_path / "card.json")!r})) as temporary:
            temporary.write_text("half")
            {READY}
            time.sleep(60)
    def main():
        return console.run("tool", work, ())
    """
    with started(tmp_path, home) as process:
        code, errors = ended(process, signal.SIGTERM)
    assert code == 143
    assert errors == "tool: interrupted; run the same command again to continue\n"
    assert not list(tmp_path.glob("*card*"))


def test_a_second_signal_ends_what_hangs(tmp_path: Path) -> None:
    home = f"""
    import os, signal, time
    from severstal_prep import guard
    def main():
        guard._TOGETHER = 60
        try:
            {READY}
            time.sleep(60)
        finally:
            os.kill(os.getpid(), signal.SIGINT)  # handed on by a wrapper: the same one
            time.sleep(0.01)
            guard._TOGETHER = 0
            {READY}
            time.sleep(60)
    """
    with started(tmp_path, home) as process:
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "ready\n"
        assert ended(process) == (130, "")


def test_workers_and_nohup_ignore_ctrl_c(tmp_path: Path) -> None:
    home = f"""
    import os, signal, time
    def main():
        reading, writing = os.pipe()
        if os.fork() == 0:
            ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
            ended = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
            os.write(writing, b"well" if ignored and ended else b"ill")
            os._exit(0)
        assert os.read(reading, 4) == b"well"
        {READY}
        time.sleep(0.5)
        return 7
    """
    with started(tmp_path, home, lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)) as process:
        assert ended(process) == (7, "")


def shell(
    folder: Path, body: str, after: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    (folder / "home.py").write_text(f"def main():\n    {body}\n")
    return subprocess.run(
        ["bash", "-c", f'set -o pipefail; {sys.executable} -c "{CALL}" {after}'],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{folder}"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("body", ["print('line\\n' * 99999)", "raise SystemExit('word\\n' * 9999)"])
def test_a_reader_that_has_gone_is_no_error(tmp_path: Path, body: str) -> None:
    done = shell(tmp_path, body, "2>&1 | head -1")
    assert done.returncode in (1, 141)
    assert done.stdout in ("line\n", "word\n")
    assert done.stderr == ""


def test_a_reader_that_has_gone_is_no_error_where_nothing_is_buffered(tmp_path: Path) -> None:
    done = shell(
        tmp_path, "[print('line') for _ in range(99999)]", "| head -1", PYTHONUNBUFFERED="1"
    )
    assert (done.returncode, done.stdout, done.stderr) == (141, "line\n", "")


def test_output_that_cannot_be_written(tmp_path: Path) -> None:
    done = shell(tmp_path, "print('hello')", "> /dev/full")
    assert done.returncode == 2
    assert done.stderr == (
        "tool: standard output: No space left on device; nothing more was printed\n"
    )


def test_a_name_that_the_terminal_has_no_letters_for(tmp_path: Path) -> None:
    done = shell(tmp_path, r"print('сталь \udcff')", "| cat")
    assert done.returncode == 0
    assert done.stdout == "сталь \\udcff\n"


def test_errors_of_ours_keep_code_1_and_the_traceback(tmp_path: Path) -> None:
    done = shell(tmp_path, "raise ValueError('ours')", "")
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback")
    assert done.stderr.endswith("ValueError: ours\n")


@pytest.mark.parametrize("module", ["guard", "failures", "usage"])
def test_both_packages_have_the_same_module(module: str) -> None:
    own, other = (ROOT / package / f"{module}.py" for package in ("severstal_prep", "sise"))
    assert own.read_text("utf-8").replace("severstal_prep.", "") == (
        other.read_text("utf-8").replace("sise.", "")
    )
