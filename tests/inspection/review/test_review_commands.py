"""The commands as a person types them, on a report that a real run made."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from review_toys import entry, write_file
from toys import strip, write_strip

from inspection.cli import main
from inspection.errors import InspectionError
from inspection.review.commands import serve
from severstal_prep import console
from severstal_prep.dataset import read_manifest

Review = Callable[..., tuple[int, str, str]]


@pytest.fixture
def review(url: str, capsys: pytest.CaptureFixture[str]) -> Review:
    """Run a command on the database; exit code, stdout, stderr."""

    def call(command: str, *arguments: object) -> tuple[int, str, str]:
        argv = [command, "--db", url, *map(str, arguments)]
        status = main(["review", *argv])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return call


def test_from_report_to_dataset(inspect_toy: Any, review: Review, tmp_path: Path) -> None:
    batch = tmp_path / "партия"
    write_strip(batch / "coil 1" / "=1+1.png", strip(512, bright=[100]))
    write_strip(batch / "b.png", strip(512, black=[300]))
    report = tmp_path / "отчёт"
    inspect_toy(batch, report)
    assert review("register", report)[:2] == (0, f"{report}: registered\n")
    assert review("register", report)[1] == f"{report}: registered already, place renewed\n"

    file = write_file(
        tmp_path / "решения.json",
        report,
        entry(1, "confirm", "coil 1/=1+1.png", 0),
        entry(2, "reject", "b.png", 256),
    )
    assert review("import", file)[1] == f"{file}: 2 of 2 decisions added\n"
    assert review("import", file)[1] == f"{file}: 0 of 2 decisions added\n"

    _, out, _ = review("sample", "--batch", "партия", "--size", 3, "--seed", 0)
    lines = out.splitlines()
    assert lines[0] == "strip,left"
    assert lines[1:] == sorted(lines[1:])
    assert len(lines) == 4

    found = json.loads(review("stats", "--json")[1])
    assert found["comparison"]["overall"]["overkill"]["count"] == 1
    assert found["audits"][0]["size"] == 3
    assert "1/2 = 50.0%" in review("stats")[1]

    status, out, err = review("export", "--out", tmp_path / "набор")
    assert status == 0
    assert out.splitlines()[-1] == f"{tmp_path / 'набор'}: written"
    assert "no crop of" in err
    assert sorted(read_manifest(tmp_path / "набор")["class_id"]) == [0, 1]


def test_errors_are_one_line_and_exit_2(review: Review, tmp_path: Path) -> None:
    for command, argument in (
        ("import", [tmp_path / "none.json"]),
        ("stats", []),
        ("sample", ["--batch", "x", "--size", 1, "--seed", 0]),
        ("export", ["--out", tmp_path / "out"]),
        ("register", [tmp_path]),
        ("register", ["a", "b", "--strips", tmp_path]),
        ("register", ["a", "--strips", tmp_path / "none"]),
    ):
        status, out, err = review(command, *argument)
        assert (status, out, len(err.splitlines())) == (2, "", 1), command
    assert not list(tmp_path.iterdir())


def test_serve_refuses_before_it_opens_anything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = ["--db", f"sqlite:///{tmp_path / 'x.db'}"]
    for options in (["--host", "0.0.0.0"], ["--port", "0"]):  # noqa: S104
        parsed = serve.parser().parse_args([*base, *options])
        assert console.run("serve", lambda a=parsed: serve.run(a), (InspectionError,)) == 2  # type: ignore[misc]
        assert capsys.readouterr().err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_cells_that_a_spreadsheet_would_run_are_guarded(review: Review, tmp_path: Path) -> None:
    from review_toys import make_report

    review("register", make_report(tmp_path, {"=1+1.png": ["normal"], "a,\n.png": ["class 1"]}))
    assert review("sample", "--batch", "batch", "--size", 1, "--seed", 0)[1] == (
        "strip,left\n'=1+1.png,0\n"
    )


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from inspection.cli import main\n"
        "try: main(['review', 'import', '--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'pandas', 'sqlalchemy', 'pydantic', 'numpy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "decision files" in done.stdout


def test_the_server_needs_no_network() -> None:
    """It shows reports and decisions; PyTorch would cost it seconds and most of its memory."""
    code = "import sys, inspection.review.server.app; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
