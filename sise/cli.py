"""The command line of `sise`."""

import sys
from collections.abc import Sequence
from importlib.metadata import version

from jsonargparse import ArgumentParser

from sise.commands import ablate, bench, blocks, evaluate, explain, sanity
from sise.errors import SiseError
from sise.failures import in_one_line, in_words
from sise.progress import note, track
from sise.remote import carried
from sise.usage import parse

CURABLE = 2
INTERRUPTED = 130
MEMORY = "give a smaller --batch-size, or close other programs"
COMMANDS = {
    "explain": (explain, "write maps and overlays of images"),
    "evaluate": (evaluate, "measure methods on a labelled dataset"),
    "ablate": (ablate, "measure what fewer forward passes cost SISE"),
    "sanity": (sanity, "check that maps depend on what the model has learnt"),
    "blocks": (blocks, "print the layers that SISE explains"),
    "bench": (bench, "measure what explanations cost here"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    parser = ArgumentParser(
        prog="sise",
        version=version("steel-sise"),
        description="Explain what a CNN sees in an image.",
        exit_on_error=False,
    )
    commands = parser.add_subcommands(required=True, dest="command")
    for name, (command, purpose) in COMMANDS.items():
        commands.add_subcommand(name, command.parser(), help=purpose)
    arguments = parse(parser, sys.argv[1:] if argv is None else argv)
    command, _ = COMMANDS[arguments.command]
    try:
        code: int = carried(command.run, arguments[arguments.command], track)
    except SiseError as error:
        note(f"sise {arguments.command}: {in_one_line(error)}")
        return error.exit_code
    except KeyboardInterrupt:
        note("sise: interrupted; run the same command again to continue")
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as error:
        words = in_words(error, MEMORY)
        if words is None:
            raise
        note(f"sise {arguments.command}: {words}")
        return CURABLE
    return code
