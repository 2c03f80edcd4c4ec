"""`review stats`: agreement of people and model."""

from jsonargparse import ArgumentParser, Namespace

from inspection.review.commands.options import new_parser


def parser() -> ArgumentParser:
    """Options of the command."""
    made = new_parser(
        "Cohen's kappa, overkill and escapes with Wilson intervals (95 %), over all, per class "
        "and per month; audits with their upper bound on escapes (Clopper-Pearson, 95 %)."
    )
    made.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return made


def run(arguments: Namespace) -> int:
    """Print the statistics."""
    import json

    from inspection.review.database import open_database
    from inspection.review.stats import as_json, as_text, statistics

    numbers = statistics(open_database(arguments.db))
    if arguments.json:
        print(json.dumps(as_json(numbers), indent=2, allow_nan=False))
    else:
        print(as_text(numbers))
    return 0
