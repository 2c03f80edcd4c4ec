"""`review indications`: a batch's indications with their decisions, for a spreadsheet."""

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from inspection.review.commands.options import new_parser


def parser() -> ArgumentParser:
    """Options of the command."""
    made = new_parser(
        "Write a batch's indications with decisions, places in mm, dispositions and releases."
    )
    made.add_argument(
        "--batch", type=str, required=True, help="its name, or its fingerprint's first digits"
    )
    made.add_argument("--out", type=Path, required=True, help="FILE.csv or FILE.xlsx")
    return made


def run(arguments: Namespace) -> int:
    """Write the file; print its path and the number of rows."""
    from inspection.review.audit import find_one
    from inspection.review.database import open_database
    from inspection.review.errors import SheetError
    from inspection.review.indications import COLUMNS, KINDS, sheets, write_sheets
    from sise.outputs import check_file

    out = arguments.out
    if out.suffix.lower() not in KINDS:
        raise SheetError(f"--out {out}: end the name with {' or '.join(KINDS)}")
    check_file(out, ",".join(COLUMNS[:4]).encode(), b"PK\x03\x04")
    with open_database(arguments.db).reading() as connection:
        made = sheets(connection, find_one(connection, arguments.batch))
    write_sheets(made, out)
    print(f"{out}: {len(made.indications)} indications")
    return 0
