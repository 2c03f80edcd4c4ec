"""The columns of a report's tables, each declared once; files, page and docs/results.md follow."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import pyarrow as pa

from inspection.pipeline.policy import NORMAL, probability_column

TEXT, BOOL, FLOAT, INT, LONG = pa.string(), pa.bool_(), pa.float32(), pa.int32(), pa.int64()
BINARY = pa.binary()


@dataclass(frozen=True)
class Column:
    """A column of a table: of the Parquet file, with its description, and of docs/results.md.

    With `page` the scripts of the report's page get it, too; `csv` is its place in flagged.csv, 0
    where it is not there. With `each`, it stands for a column per class, or per defect class: `{}`
    in the name becomes the class's as a part of a name, in the description as it is.
    """

    name: str
    type: pa.DataType
    description: str
    page: bool = False
    csv: int = 0
    each: Literal["class", "defect"] | None = None


PATCH = (
    Column("strip_id", TEXT, "path of the strip inside the batch folder", csv=1),
    Column("coil", TEXT, "the coil's name by its file, else the folder part of strip_id", csv=2),
    Column("side", TEXT, "top or bottom, by the coil's file; else empty", csv=18),
    Column("shift", TEXT, "by the coil's file; else empty"),
    Column(
        "coil_m",
        FLOAT,
        "where the marked area's centre, else the patch's, lies: m from the coil's head",
        page=True,
        csv=19,
    ),
    Column("roll_mark", INT, "number of the roll mark that it is of; 0: none", page=True, csv=20),
    Column("strip_sha256", TEXT, "SHA-256 of the strip's file", csv=16),
    Column("width", INT, "width of the strip, px"),
    Column("left", INT, "left edge of the patch on the strip, px", page=True, csv=3),
    Column("top", INT, "top edge of the patch on the strip, px", page=True, csv=4),
    Column("size", INT, "side of the square patch, px", page=True, csv=5),
    Column("patch_key", TEXT, "SHA-256 of 'strip_sha256 left top size'", csv=15),
    Column("black_fraction", FLOAT, "share of pixels darker than grey 15"),
    Column("p_{}", FLOAT, "calibrated probability of {!r}", page=True, each="class"),
    Column("steel", BOOL, "false where the patch is too black to be judged"),
    Column("predicted", TEXT, "most probable class"),
    Column(
        "flagged", BOOL, "whether a defect class, or all together, reach their threshold", page=True
    ),
    Column(
        "indicated", TEXT, "class of a flagged patch: the most probable that reaches its own", csv=6
    ),
    Column(
        "class_unsure",
        BOOL,
        "whether none does; indicated is the most probable defect class then",
        page=True,
        csv=17,
    ),
    Column("score", FLOAT, "probability of indicated, else of predicted", page=True, csv=7),
    Column("near", BOOL, "not flagged, but listed as unsure by the policy"),
    Column("unsure", BOOL, "whether the policy's rule unsure finds it so"),
    Column("explained", BOOL, "whether SISE was asked for a map"),
    Column("target", TEXT, "class the map explains", page=True),
    Column("map_status", TEXT, "ok, or why there is no map", csv=8),
    Column("forwards", INT, "forward passes spent on the map"),
    Column("whole_score", FLOAT, "target's probability on the whole patch"),
    Column("kept_score", FLOAT, "… on the map's top 15 %, the rest filled", page=True),
    Column("removed_score", FLOAT, "… with the map's top 15 % filled", page=True),
    Column("drop", FLOAT, "max(0, whole - kept) / whole, in [0, 1]", page=True, csv=9),
    Column(
        "region_area", INT, "pixels where the map exceeds its Otsu threshold", page=True, csv=10
    ),
    Column("region_left", INT, "their bounding box inside the patch, px", page=True, csv=11),
    Column("region_top", INT, "… top edge", page=True, csv=12),
    Column("region_width", INT, "… width", page=True, csv=13),
    Column("region_height", INT, "… height", page=True, csv=14),
    Column("region_contour", TEXT, "their outlines inside the patch, SVG path data", page=True),
    Column("agreement", FLOAT, "correlation with Grad-CAM's map, in [-1, 1]", page=True),
    Column("features", BINARY, "what it looks like to the network, float16, of length 1"),
    Column("removed_share", FLOAT, "removed_score / whole_score", page=True),
    Column("weak", BOOL, "whether the explanation is weak by the policy's rule", page=True),
    Column("weak_because", TEXT, "the tests that failed, or no map; else empty", page=True),
    Column("drop_percentile", FLOAT, "share of the batch's maps that do worse, %", page=True),
    Column("removed_percentile", FLOAT, "… by removed_share", page=True),
    Column("agreement_percentile", FLOAT, "… by agreement", page=True),
    Column("runner_up", TEXT, "most probable class but target", page=True),
    Column("runner_up_score", FLOAT, "its calibrated probability", page=True),
    Column("runner_up_status", TEXT, "ok, or why it has no map"),
    Column("runner_up_forwards", INT, "forward passes spent on its map"),
    Column("runner_up_similarity", FLOAT, "correlation of both maps, in [-1, 1]", page=True),
    Column("runner_up_map_path", TEXT, "its map, 8-bit grey PNG", page=True),
    Column("true_class", TEXT, "by the label file; normal or a defect class", page=True),
    Column("outcome", TEXT, "found, misnamed, escape, overkill, passed or unknown", page=True),
    Column("ebpg", FLOAT, "share of the map's energy on target's true mask", page=True),
    Column("bbox", FLOAT, "share of that mask's pixels among the map's top ones", page=True),
    Column("true_contour", TEXT, "outlines of that mask, SVG path data", page=True),
    Column("raw_path", TEXT, "the patch, JPEG", page=True),
    Column("overlay_path", TEXT, "the map over the patch, JPEG"),
    Column("map_path", TEXT, "the map, 8-bit grey PNG: 255 is 1", page=True),
)
"""results.parquet: a row per patch of every inspected strip."""

STRIP = (
    Column("strip_id", TEXT, "path of the strip inside the batch folder", page=True),
    Column(
        "coil", TEXT, "the coil's name by its file, else the folder part of strip_id", page=True
    ),
    Column("side", TEXT, "top or bottom, by the coil's file; else empty", page=True),
    Column("shift", TEXT, "by the coil's file; else empty"),
    Column("start_m", FLOAT, "where it begins: m from the coil's head", page=True),
    Column("length_m", FLOAT, "its length along the coil, m", page=True),
    Column("strip_sha256", TEXT, "SHA-256 of the file; empty if it cannot be read"),
    Column("bytes", LONG, "size of the file"),
    Column("width", INT, "px; null if not inspected", page=True),
    Column("height", INT, "px; null if not inspected", page=True),
    Column("status", TEXT, "inspected, unreadable or not judged", page=True),
    Column("reason", TEXT, "why it was not inspected, else empty", page=True),
    Column("patches", INT, "patches classified", page=True),
    Column("flagged", INT, "patches flagged", page=True),
    Column("flagged_{}", INT, "patches that indicate {!r}", each="defect"),
    Column("disposition", TEXT, "proposed by the policy", page=True),
    Column("rule", TEXT, "the rule that proposed it", page=True),
    Column("thumb_path", TEXT, "the strip, reduced", page=True),
    Column(
        "raw_path",
        TEXT,
        "the strip, JPEG; with strip_pictures: explained, only if a patch is",
        page=True,
    ),
    Column("overlay_path", TEXT, "maps of its explained patches over the strip", page=True),
)
"""strips.parquet: a row per strip found, inspected or not."""

SIMILAR = (
    Column("strip_id", TEXT, "strip of an explained patch"),
    Column("left", INT, "left edge of the patch on the strip, px"),
    Column("top", INT, "… top edge"),
    Column("similarity", FLOAT, "cosine of both patches' features, in [-1, 1]"),
    Column("batch", TEXT, "batch of the similar patch; empty for this one"),
    Column("similar_strip_id", TEXT, "its strip"),
    Column("similar_left", INT, "its left edge on that, px"),
    Column("similar_top", INT, "… top edge"),
    Column("similar_class", TEXT, "the class that its map explains"),
    Column("raw_path", TEXT, "its picture in this report, JPEG; empty if it could not be had"),
)
"""similar.parquet: for each explained patch the most alike, of this batch and of earlier ones."""

FLAGGED_CSV = tuple(
    column.name for column in sorted(PATCH, key=lambda column: column.csv) if column.csv
)
"""The columns of flagged.csv: those of results.parquet for a person; new ones come last."""


def columns(table: Sequence[Column], classes: Sequence[str]) -> Iterator[Column]:
    """A table's columns for a model's classes: none stands for several any more."""
    for column in table:
        if column.each is None:
            yield column
        else:
            named = (name for name in classes if column.each == "class" or name != NORMAL)
            yield from (_of_class(column, name) for name in named)


def _of_class(column: Column, class_name: str) -> Column:
    name = column.name.format(probability_column(class_name).removeprefix("p_"))
    return replace(column, name=name, description=column.description.format(class_name), each=None)


def flagged_column(class_name: str) -> str:
    """The column of strips.parquet that counts a class's flagged patches."""
    return next(_of_class(column, class_name).name for column in STRIP if column.each)


def patch_schema(classes: Sequence[str]) -> pa.Schema:
    """The Parquet schema of results.parquet."""
    return _schema(PATCH, classes)


def strip_schema(classes: Sequence[str]) -> pa.Schema:
    """The Parquet schema of strips.parquet."""
    return _schema(STRIP, classes)


def similar_schema() -> pa.Schema:
    """The Parquet schema of similar.parquet."""
    return _schema(SIMILAR, ())


def _schema(table: Sequence[Column], classes: Sequence[str]) -> pa.Schema:
    return pa.schema(
        [
            pa.field(column.name, column.type, metadata={"description": column.description})
            for column in columns(table, classes)
        ]
    )
