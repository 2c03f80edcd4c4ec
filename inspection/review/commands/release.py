"""`review release`: sign what becomes of a coil."""

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from inspection.review.commands.options import new_parser


def parser() -> ArgumentParser:
    """Options of the command."""
    made = new_parser(
        "Sign what becomes of a coil: appended to the review with the report's seal. Prints it as "
        "JSON."
    )
    made.add_argument(
        "--batch", type=str, required=True, help="its name, or its fingerprint's first digits"
    )
    made.add_argument("--coil", type=str, default="", help="the coil (default: the whole batch)")
    made.add_argument(
        "--disposition",
        type=str,
        required=True,
        help="accept, hold, rework or scrap; withdrawn takes the last release back",
    )
    made.add_argument("--name", type=str, required=True, help="who signs")
    made.add_argument(
        "--reason",
        type=str,
        default="",
        help="why; asked for against the proposal, or with open indications",
    )
    made.add_argument(
        "--hand-over",
        type=Path | None,
        default=None,
        help="folder to write the release into, too, for another program",
    )
    return made


def run(arguments: Namespace) -> int:
    """Sign the release; print it."""
    import json

    from inspection.review.audit import find_one
    from inspection.review.database import open_database
    from inspection.review.releases import Request, hand_over, release

    asked = Request(arguments.coil, arguments.disposition, arguments.name, arguments.reason)
    with open_database(arguments.db).writing() as connection:
        told = release(connection, find_one(connection, arguments.batch), asked)
    print(json.dumps(told, indent=2, ensure_ascii=False))
    if arguments.hand_over is not None:
        hand_over(told, arguments.hand_over)
    return 0
