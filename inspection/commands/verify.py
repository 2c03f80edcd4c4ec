"""`defect-inspect verify`: is a report, and what it was made from, still what it was?"""

from jsonargparse import ArgumentParser, Namespace

from inspection.commands.options import add_path, report_parser

COMPLETE, DIFFERENT, UNREADABLE = 0, 3, 4


def parser() -> ArgumentParser:
    """The options of the command."""
    options = report_parser(
        "Recompute every SHA-256 that a report records, and print a line for whatever "
        "changed, is missing or is new: in the report, in the batch's folder, in the bundle, "
        "in the policy, in the label file. Sources that are not on this machine are named and not "
        "counted against it. Exit codes: "
        "0 nothing differs; 2 no report, or wrong usage; 3 something changed, is missing or is "
        "new; 4 nothing differs, but something could not be read."
    )
    add_path(
        options, "--batch", "folder where the strips lie now; where the report says if left out"
    )
    add_path(
        options,
        "--bundle",
        "folder where the model bundle lies now; where the report says if left out",
    )
    options.add_argument(
        "--seal",
        type=str | None,
        default=None,
        help="SHA-256 of the report's SHA256SUMS, as written down when it was made: without it, "
        "whoever changes a report can change its list of hashes as well",
    )
    return options


def run(arguments: Namespace) -> int:
    """Print the findings; 0, 3 or 4. Raises ReportFolderError for a folder without a report."""
    from inspection.store.verify import DIFFERENT as STATES
    from inspection.store.verify import Request, as_text, verify

    request = Request(arguments.report, arguments.batch, arguments.bundle, arguments.seal)
    verification = verify(request)
    print("\n".join(as_text(verification)))
    if verification.having(*STATES):
        return DIFFERENT
    return UNREADABLE if verification.having("unreadable") else COMPLETE
