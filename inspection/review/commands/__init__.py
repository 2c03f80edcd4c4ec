"""The command line of `defect-inspect review`: one module per command.

Each has `parser()` and `run(arguments)`, and imports what is heavy inside `run`.
"""

from jsonargparse import ArgumentParser, Namespace

from inspection.review.commands import (
    export,
    import_,
    indications,
    register,
    release,
    sample,
    stats,
    user,
)

_COMMANDS = {
    "register": (register, "make a finished report known to the review"),
    "import": (import_, "take in decisions that an offline report exported"),
    "export": (export, "write reviewed crops as a dataset to train on"),
    "indications": (indications, "indications with decisions, for a spreadsheet"),
    "release": (release, "sign what becomes of a coil"),
    "stats": (stats, "agreement of people and model, and audits"),
    "sample": (sample, "draw accepted patches at random, for an audit"),
    "user": (user, "who may sign in at the server"),
}


def parser() -> ArgumentParser:
    """The parser of `review`, to which `add_commands` adds the commands.

    jsonargparse wants a parser's own place among subcommands settled before it gets any.
    """
    return ArgumentParser(description="What people decide about reports, and what it teaches.")


def add_commands(whole: ArgumentParser) -> None:
    """Add a subcommand per command (dest `review_command`)."""
    commands = whole.add_subcommands(required=True, dest="review_command")
    for name, (module, help_text) in _COMMANDS.items():
        own = module.parser()
        commands.add_subcommand(name, own, help=help_text)
        if module is user:
            user.add_commands(own)


def run(arguments: Namespace) -> int:
    """Run the command chosen; returns its exit code."""
    name = arguments.review_command
    module, _ = _COMMANDS[name]
    return int(module.run(arguments[name]))
