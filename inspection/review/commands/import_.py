"""`review import`: decisions that an offline report exported."""

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from inspection.review.commands.options import new_parser


def parser() -> ArgumentParser:
    """Options of the command."""
    made = new_parser(
        "Take in files of decisions: all of them or, if one entry is wrong, nothing. What was "
        "taken in before is passed over."
    )
    made.add_argument("files", type=Path, nargs="+", help="decision files (docs/review.md)")
    return made


def run(arguments: Namespace) -> int:
    """Import the files; one line each on stdout."""
    from inspection.review.database import open_database
    from inspection.review.import_decisions import import_decisions

    for imported in import_decisions(open_database(arguments.db), arguments.files):
        print(f"{imported.path}: {imported.added} of {imported.entries} decisions added")
    return 0
