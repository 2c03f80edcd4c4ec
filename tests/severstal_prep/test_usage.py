from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Literal

import pytest
from jsonargparse import ArgumentParser
from jsonargparse.typing import NonNegativeFloat, PositiveInt

from severstal_prep.usage import parse
from sise.usage import parse as sise_parse


def parser() -> ArgumentParser:
    whole = ArgumentParser(prog="tool", exit_on_error=False)
    commands = whole.add_subcommands(required=True, dest="command")
    run = ArgumentParser()
    run.add_argument("--config", action="config")
    run.add_argument("report", type=Path)
    run.add_argument("--bundle", type=Path, required=True)
    run.add_argument("--mm-per-px", type=float | None, default=None)
    run.add_argument("--budget", type=Literal["auto"] | PositiveInt | None, default=1)
    run.add_argument("--stride", type=PositiveInt, default=1)
    run.add_argument("--mu", type=NonNegativeFloat, default=0.0)
    run.add_argument("--fills", type=Literal["grey", "blur"], nargs="+", default=["grey"])
    run.add_argument("--by", type=Literal["strip", "coil"], default="strip")
    commands.add_subcommand("run", run)
    commands.add_subcommand("verify", ArgumentParser())
    return whole


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--bundel", "x"], "no option --bundel (did you mean --bundle?)"),
        (["--bundel=x"], "no option --bundel=x (did you mean --bundle?)"),
        (["--zzz"], "no option --zzz"),
        (
            ["--bundle", "my", "cold", "strips"],
            'strips: belongs to no option; put a name with spaces in quotes: "my cold strips"',
        ),
        ([], "needs REPORT, --bundle"),
        (["r", "--bundle", "b", "--mm-per-px", "0,4"],
         "--mm-per-px 0,4: give a number such as 0.4 or null"),
        (["r", "--bundle", "b", "--budget", "-3"],
         "--budget -3: give auto, a whole number above 0 or null"),
        (["r", "--bundle", "b", "--stride", "0"], "--stride 0: give a whole number above 0"),
        (["r", "--bundle", "b", "--mu", "-1"], "--mu -1: give a number, 0 or more"),
        (["r", "--bundle", "b", "--fills", "gray"], "--fills gray: give grey or blur"),
        (["r", "--bundle", "b", "--by", "batch"], "--by batch: give strip or coil"),
        (["r", "--bundle"], "argument --bundle: expected one argument"),
        (["--config", "/none.yaml"], "--config: File does not exist: '/none.yaml'"),
    ],
)  # fmt: skip
def test_wrong_options_are_one_line(
    options: Sequence[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse(parser(), ["run", *options])
    assert stopped.value.code == 2
    assert capsys.readouterr().err == f"tool run: {words}; see tool run --help\n"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([], "needs a command: run, verify"),
        (["verfy"], "no command verfy (did you mean verify?)"),
        (["zzz"], "no command zzz: run, verify"),
    ],
)
def test_wrong_commands_are_one_line(
    args: Sequence[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse(parser(), args)
    assert capsys.readouterr().err == f"tool: {words}; see tool --help\n"


def test_what_is_long_is_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("no configuration at all " * 100)
    with pytest.raises(SystemExit):
        parse(parser(), ["run", "--config", str(config)])
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert len(line) < 400


def _laughs() -> str:
    """Nine times nine times … of one word, by aliases of aliases."""
    lists = [f"{to}: &{to} [{', '.join([f'*{of}'] * 9)}]" for of, to in pairwise("abcdefghi")]
    return "\n".join(["a: &a [x]", *lists])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("stride: " + "[" * 100_000, "nested deeper than 50 levels"),
        (_laughs(), "more than 100000 values, counting what is referred to by *"),
        ("stride: &a [*a]", "stride: nested deeper than 50 levels"),
        ("stride: 1\nstride: 2", "stride: stands twice"),
        ("- 1", "expected `name: value` entries"),
        ("mu: .nan", "mu: not a finite number of 64 bits"),
        ("stride: " + "9" * 5000, "Exceeds the limit"),
        ("stride: ÿ".encode("latin-1"), "not UTF-8 at byte 8; save it as UTF-8"),
    ],
)
@pytest.mark.parametrize("form", ["--config {}", "--config={}", "--conf {}"])
@pytest.mark.parametrize("read", [parse, sise_parse])
def test_a_file_of_options_is_looked_at_before_it_is_read(
    content: str | bytes,
    words: str,
    form: str,
    read: Callable[[ArgumentParser, Sequence[str]], object],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "options.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SystemExit) as stopped:
        read(parser(), ["run", *form.format(file).split()])
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"tool run: --config {file}: ")
    assert words in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("read", [parse, sise_parse])
def test_entries_where_a_list_belongs_are_one_line(
    read: Callable[[ArgumentParser, Sequence[str]], object],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "options.yaml"
    file.write_text("bundle: b\nfills: {a: grey, b: blur}\n")
    with pytest.raises(SystemExit) as end:
        read(parser(), ["run", "r", "--config", str(file)])
    assert end.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
