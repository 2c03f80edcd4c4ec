"""`defect-inspect export`: the flagged regions of a report, for other programs."""

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from inspection.commands.options import report_parser


def parser() -> ArgumentParser:
    """The options of the command."""
    options = report_parser(
        "Write the flagged regions of a report as COCO JSON (regions.coco.json) and as "
        "a table for spreadsheets (regions.csv), both in px on the strip."
    )
    options.add_argument(
        "--out", type=Path, required=True, help="folder to write to, outside the report"
    )
    return options


def run(arguments: Namespace) -> int:
    """Write both files and print their paths. Raises ReportFolderError."""
    from inspection.report.exports import export
    from inspection.store.reading import open_report

    for path in export(open_report(arguments.report), arguments.out):
        print(path)
    return 0
