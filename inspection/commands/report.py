"""`defect-inspect report`: a report as one file, or on paper."""

from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import PositiveInt

from inspection.commands.options import add_path, report_parser

if TYPE_CHECKING:
    from inspection.report.pdf import Given
    from inspection.store.reading import OpenedReport

RELEASE = "steel-sise release 1"


def parser() -> ArgumentParser:
    """The options of the command."""
    options = report_parser(
        "Make documents of a finished report: one HTML file with everything inside, "
        "or a PDF (printed by Chromium). They are written outside the report, which stays sealed."
    )
    add_path(
        options,
        "--single-file",
        "HTML file to write, with all pictures inside; refused above 40 MB (14 "
        "indications on 8 strips are 2 MB)",
    )
    add_path(options, "--pdf", "PDF file to write")
    add_path(options, "--decisions", "file of decisions to print, as the page exports it")
    add_path(
        options, "--release", "signed release to print, as review release --hand-over writes it"
    )
    options.add_argument(
        "--cards",
        type=PositiveInt,
        default=50,
        help="indications printed with their evidence; all of them are in the PDF's table, up to "
        "2,000",
    )
    return options


MARKS = (b'<meta name="generator" content="steel-sise">', b"% steel-sise report")
"""What our pages and prints hold; another file is not written over."""


def run(arguments: Namespace) -> int:
    """Write the documents and print their paths. Raises ReportFolderError and DocumentError."""
    from inspection.errors import DocumentError
    from inspection.report.pdf import print_pdf
    from inspection.report.single import write_single_file
    from inspection.store.reading import open_report
    from sise.outputs import check_file

    wanted = [path for path in (arguments.single_file, arguments.pdf) if path is not None]
    if not wanted:
        raise DocumentError("name what to make: --single-file FILE, --pdf FILE, or both")
    for path in wanted:
        check_place(path, arguments.report)
        check_file(path, *MARKS)
    report = open_report(arguments.report)
    if arguments.single_file is not None:
        size = write_single_file(report, arguments.single_file)
        print(f"{arguments.single_file} ({size / 2**20:.1f} MB)")
    if arguments.pdf is not None:
        given = given_along(report, arguments.decisions, arguments.release)
        print_pdf(report.root, arguments.pdf, arguments.cards, given)
        print(arguments.pdf)
    return 0


def given_along(report: "OpenedReport", decisions: Path | None, release: Path | None) -> "Given":
    """What is printed with a report, read from files.

    Raises DecisionError, and DocumentError for files of another batch.
    """
    from inspection.errors import DocumentError
    from inspection.report.pdf import Given
    from inspection.review.decisions import read_decisions
    from inspection.store.checksums import CHECKSUMS
    from severstal_prep.checked import read_json
    from severstal_prep.files import file_sha256

    entries, signed = [], None
    of = report.record["fingerprint"]
    if decisions is not None:
        read_decisions(decisions)
        content = read_json(decisions)
        entries = content["decisions"]
        if content["batch"]["fingerprint"] != of:
            raise DocumentError(f"--decisions {decisions}: of another batch than the report")
    if release is not None:
        try:
            signed = read_json(release)
            same = signed["format"] == RELEASE and signed["batch"]["fingerprint"] == of
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DocumentError(
                f"--release {release}: no release; review release --hand-over writes one"
            ) from error
        if not same:
            raise DocumentError(f"--release {release}: of another batch than the report")
    seal = report.root / CHECKSUMS
    return Given(entries, signed, file_sha256(seal) if seal.is_file() else "")


def check_place(path: Path, report: Path) -> None:
    """Raise DocumentError if a document cannot be written to `path`, or would break the seal."""
    from inspection.errors import DocumentError

    if path.resolve().is_relative_to(report.resolve()):
        raise DocumentError(f"{path}: inside the report, which is sealed; choose another place")
    if path.is_dir():
        raise DocumentError(f"{path}: a folder; name a file")
    if not path.parent.is_dir():
        raise DocumentError(f"{path}: there is no folder {path.parent}")
