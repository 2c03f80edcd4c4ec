"""`defect-inspect run`: a batch of strips to a report."""

from jsonargparse import ArgumentParser, Namespace

from inspection.commands.options import add_settings, new_parser
from inspection.pipeline.settings import Settings


def parser() -> ArgumentParser:
    """The options of the command."""
    options = new_parser(
        "Inspect a folder of strips (256 px high, at least 256 px wide), explain the "
        "flagged patches with SISE, and write a report that opens in any browser. Exit codes: 0 "
        "complete; 2 wrong usage; 3 a rule fired (--fail-on); 4 complete, but some strips could "
        "not be read or judged, or images were passed over; 130 interrupted (the same command "
        "continues)."
    )
    add_settings(options)
    return options


def run(arguments: Namespace) -> int:
    """Inspect the batch and print the summary; the exit code of its record.

    Raises an InspectionError, PrepError, BundleError or SiseError.
    """
    from inspection.commands.summary import not_inspected, summarise
    from inspection.pipeline.run import inspect
    from inspection.store.reading import open_report
    from sise.progress import note

    chosen = arguments.as_dict() | {"earlier": tuple(arguments.earlier)}
    chosen.pop("config", None)
    finished = inspect(Settings(**chosen))
    for line in not_inspected(open_report(finished.folder.root).strips):
        note(line)
    print(summarise(finished.record, finished.folder.index, finished.seconds, finished.up_to_date))
    return int(finished.record["exit_status"])
