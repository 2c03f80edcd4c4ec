"""`review register`: a finished report becomes a batch of the review."""

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from inspection.commands.options import add_path
from inspection.review.commands.options import new_parser


def parser() -> ArgumentParser:
    """Options of the command."""
    made = new_parser(
        "Register finished reports. Makes the database if it is not there. A report that was "
        "moved is registered again to give its new place."
    )
    made.add_argument("reports", type=Path, nargs="+", help="report folders")
    add_path(
        made, "--strips", "folder where the strips of the (one) report lie now, if they were moved"
    )
    return made


def run(arguments: Namespace) -> int:
    """Register the reports; one line each on stdout."""
    from inspection.review.database import open_database
    from inspection.review.errors import RegistrationError
    from inspection.review.register import read_report, register
    from severstal_prep.remote import check_here

    check_here(*arguments.reports, arguments.strips)
    if arguments.strips is not None and len(arguments.reports) > 1:
        raise RegistrationError("--strips goes with one report; register them one by one")
    if arguments.strips is not None and not arguments.strips.is_dir():
        what = "a file" if arguments.strips.is_file() else "no such folder"
        raise RegistrationError(f"{arguments.strips}: {what}; --strips takes a folder")
    reports = [read_report(path) for path in arguments.reports]
    database = open_database(arguments.db, create=True)
    for path, report in zip(arguments.reports, reports, strict=True):
        new = register(database, report, arguments.strips)
        print(f"{path}: {'registered' if new else 'registered already, place renewed'}")
    return 0
