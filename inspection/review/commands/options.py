"""What the commands share."""

from jsonargparse import ArgumentParser

from inspection.commands import options


def new_parser(description: str) -> ArgumentParser:
    """A parser with --config and --db."""
    parser = options.new_parser(description)
    parser.add_argument(
        "--db",
        type=str,
        required=True,
        help="database URL: sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME",
    )
    return parser
