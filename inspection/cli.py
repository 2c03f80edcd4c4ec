"""The command line of `defect-inspect`."""

import sys
from collections.abc import Sequence
from importlib.metadata import version

from jsonargparse import ArgumentParser

from inspection.commands import export, figures, report, run, verify, watch
from inspection.errors import InspectionError
from inspection.review import commands as review
from inspection.review.commands import serve
from severstal_prep import console
from severstal_prep.errors import PrepError
from severstal_prep.remote import carried
from severstal_prep.usage import parse
from sise.errors import SiseError

PROGRAM = "defect-inspect"
EXPECTED = (InspectionError, PrepError, SiseError)
MEMORY = "give a smaller --batch-size, or close other programs"
COMMANDS = {
    "run": (run, "inspect a folder of strips, write a report"),
    "watch": (watch, "inspect strips as a line writes them"),
    "report": (report, "make one file or a PDF of a report"),
    "verify": (verify, "check that nothing in a report changed"),
    "export": (export, "write the flagged regions as COCO and CSV"),
    "figures": (figures, "print quality figures of a report as JSON"),
    "review": (review, "decisions of people, and what they teach"),
    "serve": (serve, "the review in a browser"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    parser = ArgumentParser(
        prog=PROGRAM,
        version=version("steel-sise"),
        description="Inspect batches of steel strips and explain every indication.",
        exit_on_error=False,
    )
    commands = parser.add_subcommands(required=True, dest="command")
    for name, (command, purpose) in COMMANDS.items():
        own = command.parser()
        commands.add_subcommand(name, own, help=purpose)
        if command is review:
            review.add_commands(own)
    arguments = parse(parser, sys.argv[1:] if argv is None else argv)
    chosen = arguments[arguments.command]
    work = COMMANDS[arguments.command][0].run
    return console.run(PROGRAM, lambda: carried(work, chosen, console.track), EXPECTED, MEMORY)
