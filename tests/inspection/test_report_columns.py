"""docs/report.md describes the tables that are written, column by column."""

from pathlib import Path

import pyarrow as pa
import pytest

from inspection.results import patch_schema, strip_schema
from severstal_prep.dataset import CLASS_NAMES

PAGE = (Path(__file__).parents[2] / "docs" / "report.md").read_text("utf-8")


@pytest.mark.parametrize("schema", [patch_schema(CLASS_NAMES), strip_schema(CLASS_NAMES)])
def test_every_column_is_documented_as_it_is(schema: pa.Schema) -> None:
    rows = [
        f"| `{field.name}` | {field.type} | {field.metadata[b'description'].decode()} |"
        for field in schema
    ]
    assert "\n".join(rows) in PAGE
