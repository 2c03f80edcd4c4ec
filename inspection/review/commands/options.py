"""What the commands share."""

from jsonargparse import ArgumentParser


def new_parser(description: str) -> ArgumentParser:
    """A parser with --config and --db."""
    parser = ArgumentParser(description=description)
    parser.add_argument("--config", action="config", help="YAML file with these options")
    parser.add_argument(
        "--db",
        type=str,
        required=True,
        help="database URL: sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME",
    )
    return parser
