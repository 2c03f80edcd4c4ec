import pyarrow as pa
import pytest

from inspection.pipeline.explainer import EVIDENCE_COLUMNS
from inspection.pipeline.policy import probability_column
from inspection.store.fields import (
    FLAGGED_CSV,
    PATCH,
    STRIP,
    Column,
    columns,
    flagged_column,
    patch_schema,
    strip_schema,
)

CLASSES = ("class 1", "normal", "Rolled-in scale")


def test_a_column_for_each_class_stands_for_all_of_them_in_the_models_order() -> None:
    table = (
        Column("a", pa.string(), "first"),
        Column("p_{}", pa.float32(), "of {!r}", each="class"),
        Column("n_{}", pa.int32(), "of {}", each="defect"),
    )
    assert [(column.name, column.description) for column in columns(table, CLASSES)] == [
        ("a", "first"),
        ("p_class_1", "of 'class 1'"),
        ("p_normal", "of 'normal'"),
        ("p_rolled_in_scale", "of 'Rolled-in scale'"),
        ("n_class_1", "of class 1"),
        ("n_rolled_in_scale", "of Rolled-in scale"),
    ]


@pytest.mark.parametrize("table", [PATCH, STRIP])
def test_no_column_is_declared_twice(table: tuple[Column, ...]) -> None:
    names = [column.name for column in columns(table, CLASSES)]
    assert len(names) == len(set(names))


def test_names_of_columns_of_classes_are_those_of_the_tables() -> None:
    patch, strip = patch_schema(CLASSES).names, strip_schema(CLASSES).names
    assert {probability_column(name) for name in CLASSES} <= set(patch)
    assert {flagged_column(name) for name in CLASSES} - set(strip) == {"flagged_normal"}


def test_measures_are_columns_in_this_order() -> None:
    names = [column.name for column in PATCH]
    start = names.index(EVIDENCE_COLUMNS[0])
    assert tuple(names[start : start + len(EVIDENCE_COLUMNS)]) == EVIDENCE_COLUMNS


def test_flagged_csv_has_the_columns_that_it_always_had_and_then_new_ones() -> None:
    assert FLAGGED_CSV == (
        "strip_id", "coil", "left", "top", "size", "indicated", "score", "map_status", "drop",
        "region_area", "region_left", "region_top", "region_width", "region_height",
        "patch_key", "strip_sha256", "class_unsure", "side", "coil_m", "roll_mark",
    )  # fmt: skip
