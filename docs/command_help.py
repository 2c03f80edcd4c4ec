"""What the commands print with `--help`: for the site, and for the test of the pages' examples."""

import io
import os
import re
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from importlib import import_module
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import Directive

PROGRAMS = {
    "severstal-prep": "severstal_prep.cli",
    "defect-train": "training.cli",
    "sise": "sise.cli",
    "defect-inspect": "inspection.cli",
}


def help_text(command: list[str], option: str = "--help") -> str:
    """What `command --help` prints, 88 columns wide."""
    os.environ["COLUMNS"] = "88"
    printed = io.StringIO()
    with redirect_stdout(printed), suppress(SystemExit):
        import_module(PROGRAMS[command[0]]).main([*command[1:], option])
    return printed.getvalue()


def with_subcommands(command: list[str]) -> Iterator[tuple[list[str], str]]:
    """The command and all below it, each with its help."""
    text = help_text(command)
    yield command, text
    _, _, listed = text.partition("subcommands:")
    for name in re.findall(r"^    ([a-z][\w-]*) ", listed, re.MULTILINE):
        yield from with_subcommands([*command, name])


class CommandHelp(Directive):
    """`{command-help} PROGRAM`: a section for each of the program's commands."""

    required_arguments = 1
    option_spec: ClassVar = {}

    def run(self) -> list[nodes.Node]:
        """The sections."""
        (_, overall), *rest = with_subcommands([self.arguments[0]])
        made: list[nodes.Node] = [nodes.literal_block(overall, overall, language="text")]
        for command, text in rest:
            name = " ".join(command)
            section = nodes.section(ids=[nodes.make_id(name)], names=[name])
            section += nodes.title(text=name)
            section += nodes.literal_block(text, text, language="text")
            self.state.document.note_implicit_target(section)
            made.append(section)
        return made
