"""`defect-inspect figures`: a finished report's quality figures."""

from jsonargparse import ArgumentParser, Namespace

from inspection.commands.options import add_path, add_settings, report_parser


def parser() -> ArgumentParser:
    """The options of the command."""
    options = report_parser(
        "Print a finished report's quality figures as JSON (docs/quality.md): the rate "
        "of flagged patches against earlier reports, confidence, drift; with labels also escapes, "
        "overkill, confusion, reliability, and how well maps hit the true masks."
    )
    add_settings(options, "truth", "earlier", "by")
    add_path(
        options, "--bundle", "folder of the model bundle, whose card has the scores to compare with"
    )
    return options


def run(arguments: Namespace) -> int:
    """Print the figures. Raises an InspectionError, PrepError or BundleError."""
    import json

    from inspection.quality.figures import Request, as_json, figures
    from inspection.store.reading import open_report

    request = Request(arguments.truth, arguments.earlier, arguments.by, arguments.bundle)
    numbers = figures(open_report(arguments.report), request)
    print(json.dumps(as_json(numbers), indent=2, ensure_ascii=False, allow_nan=False))
    return 0
