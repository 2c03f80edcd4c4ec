"""`review sample`: accepted patches drawn at random, for an audit."""

from jsonargparse import ArgumentParser, Namespace

from inspection.review.commands.options import new_parser


def parser() -> ArgumentParser:
    """Options of the command."""
    made = new_parser(
        "Draw patches that were not flagged, at random, and store which. Prints them as CSV "
        "(strip, left in px). The same size and seed draw the same patches."
    )
    made.add_argument(
        "--batch",
        type=str,
        required=True,
        help="name of the batch, or its fingerprint's first digits",
    )
    made.add_argument("--size", type=int, required=True, help="patches to draw")
    made.add_argument("--seed", type=int, required=True, help="seed of the draw")
    return made


def run(arguments: Namespace) -> int:
    """Draw the sample; print it."""
    import csv
    import sys

    from inspection.review.audit import draw, find_one
    from inspection.review.database import open_database
    from inspection.store.tables import guard_cell

    with open_database(arguments.db).writing() as connection:
        batch = find_one(connection, arguments.batch)
        places = draw(connection, batch, arguments.size, arguments.seed)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["strip", "left"])
    writer.writerows((guard_cell(place.strip), place.left) for place in places)
    return 0
