"""Files of decisions into the log: all of them or nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from inspection.review.database import Database
from inspection.review.decisions import read_decisions
from inspection.review.errors import DecisionError
from inspection.review.log import append, find_batch


@dataclass(frozen=True)
class Imported:
    """A file that was taken in; entries that the log had before are not added."""

    path: Path
    entries: int
    added: int


def import_decisions(database: Database, paths: Sequence[Path]) -> list[Imported]:
    """Append the decisions of files, in the order given, in one transaction.

    Raises DecisionError, naming file, entry and cure, for anything wrong in any of them.
    """
    files = [(path, read_decisions(path)) for path in paths]
    imported = []
    with database.writing() as connection:
        for path, content in files:
            try:
                batch = find_batch(connection, content.batch.fingerprint)
                added = append(connection, batch, content.decisions, "import")
            except DecisionError as error:
                raise DecisionError(f"{path}: {error}") from error
            imported.append(Imported(path, len(content.decisions), added))
    return imported
