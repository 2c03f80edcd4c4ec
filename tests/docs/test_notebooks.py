"""The notebooks run, and what they compute comes out."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell

NOTEBOOKS = Path(__file__).parents[2] / "docs" / "notebooks"
CHECKS = {
    "explain": "assert right == 16 and alike > 0.9 and on_scratch > 3, (right, alike, on_scratch)",
    "inspect": """
assert len(patches) == 28 and 3 <= len(flagged) <= 16, (len(patches), len(flagged))
assert set(flagged["map_status"]) == {"ok"}
assert (flagged["outcome"] != "overkill").mean() > 0.6, flagged["outcome"]
""",
}


def test_every_notebook_is_checked_and_stored_without_outputs() -> None:
    notebooks = {path.stem: nbformat.read(path, as_version=4) for path in NOTEBOOKS.glob("*.ipynb")}
    assert set(notebooks) == set(CHECKS)
    code = [cell for book in notebooks.values() for cell in book.cells if cell.cell_type == "code"]
    assert [cell for cell in code if cell.outputs or cell.execution_count] == []


@pytest.mark.slow(minutes=1)
@pytest.mark.parametrize("name", CHECKS)
def test_a_notebook_runs(name: str, tmp_path: Path) -> None:
    book = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    book.cells.append(new_code_cell(CHECKS[name]))
    where = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(book, timeout=600, kernel_name="python3", resources=where).execute()
