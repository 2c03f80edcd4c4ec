"""The tables of columns in results.md, from where the columns are declared.

python docs/result_columns.py       write them anew
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from inspection.report.exports import COLUMNS
from inspection.store.fields import PATCH, SIMILAR, STRIP, Column, columns

CLASSES = ("normal", "class 1", "class 2", "class 3", "class 4")
PAGE = Path(__file__).with_name("results.md")


def renewed(page: str) -> str:
    """The page with its tables as the code has them, each the first one below its file's name.

    Raises ValueError if one of them is not there.
    """
    regions = ((f"`{name}`", meaning) for name, (meaning, _) in COLUMNS.items())
    page = _with(page, "results.parquet", ("column", "type", "meaning"), _typed(PATCH))
    page = _with(page, "strips.parquet", ("column", "type", "meaning"), _typed(STRIP))
    page = _with(page, "similar.parquet", ("column", "type", "meaning"), _typed(SIMILAR))
    return _with(page, "regions.csv", ("column", "meaning"), regions)


def _typed(table: Sequence[Column]) -> Iterable[tuple[str, ...]]:
    for column in columns(table, CLASSES):
        yield f"`{column.name}`", str(column.type), column.description


def _with(page: str, file: str, head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(row) + " |\n" for row in rows]
    start = re.escape(f"| {' | '.join(head)} |\n|{'---|' * len(head)}\n")
    table = re.compile(rf"(^## {re.escape(file)}\n(?:(?!^## ).*\n)*?{start})(?:\|.*\n)+", re.M)
    page, found = table.subn(lambda old: old[1] + "".join(lines), page)
    if found != 1:
        raise ValueError(f"{PAGE.name}: no table of columns below the heading {file}")
    return page


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text("utf-8")), "utf-8")
