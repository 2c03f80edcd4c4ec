"""`defect-inspect figures`: a finished report's quality figures."""

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from inspection.commands.comparison import add_comparison


def parser() -> ArgumentParser:
    """The options of the command."""
    options = ArgumentParser(
        description="Print a finished report's quality figures as JSON (docs/quality.md): the rate "
        "of flagged patches against earlier reports, confidence, drift; with labels also escapes, "
        "overkill, confusion, reliability, and how well maps hit the true masks."
    )
    options.add_argument("--config", action="config", help="YAML file with these options")
    options.add_argument("report", type=Path, help="folder of the report")
    add_comparison(options)
    options.add_argument(
        "--bundle",
        type=Path | None,
        default=None,
        help="folder of the model bundle, whose card has the scores to compare with",
    )
    return options


def run(arguments: Namespace) -> int:
    """Print the figures. Raises an InspectionError, PrepError or BundleError."""
    import json

    from inspection.quality.figures import Request, as_json, figures
    from inspection.report_reader import open_report

    request = Request(arguments.truth, arguments.earlier, arguments.by, arguments.bundle)
    found = figures(open_report(arguments.report), request)
    print(json.dumps(as_json(found), indent=2, ensure_ascii=False, allow_nan=False))
    return 0
