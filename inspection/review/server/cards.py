"""Where a patch's card is in its report."""

from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

from inspection.review.originals import place
from inspection.store.frames import in_card_order, records
from severstal_prep.parquet import read_table

_COLUMNS = ("strip_id", "left", "top", "width", "explained", "flagged")


def card_address(root: Path, batch_id: int, strip: str, left: int, flagged: bool) -> str:
    """The address of the patch's card, or of its strip's cards where it has none."""
    page = f"/reports/{batch_id}/index.html"
    table = root / "results.parquet"
    try:
        number = _numbers(table, table.stat().st_mtime_ns).get((strip, left))
    except (OSError, ValueError, KeyError):  # gone, or of another version
        number = None
    if number is None:
        return f"{page}#q={quote(strip)}"
    return f"{page}#card={number}{'' if flagged else '&show=all'}"


@lru_cache(maxsize=8)
def _numbers(table: Path, _changed: int) -> dict[tuple[str, int], int]:
    """The number of each card by strip and place."""
    cards = in_card_order(read_table(table, lambda name: name in _COLUMNS))
    return {(row["strip_id"], place(row)): n for n, row in enumerate(records(cards), 1)}
