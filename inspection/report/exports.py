"""The flagged regions for other programs: COCO JSON and CSV.

A region is a connected piece (4-neighbours) of a flagged patch's explained region, in px on the
strip. A flagged patch without a map is one region, the whole patch. Both files number the
regions alike. Columns and entries are described in docs/results.md.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from inspection.errors import ReportFolderError
from inspection.pipeline.outlines import polygons
from inspection.pipeline.policy import NORMAL
from inspection.store.frames import rows
from inspection.store.reading import OpenedReport, read_map
from inspection.store.tables import write_csv, write_json
from severstal_prep.training_crops import STRIP_HEIGHT
from sise.outputs import check_apart, check_file
from sise.status import OK

COCO_NAME = "regions.coco.json"
CSV_NAME = "regions.csv"

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Region:
    """A region: `number` from 1, `left` and `top` px on the strip, `mask` (height, width) the
    pixels of its box. `patch` is its row of results.parquet."""

    number: int
    patch: Any
    left: int
    top: int
    mask: Mask

    @property
    def area(self) -> int:
        """Pixels of the region."""
        return int(self.mask.sum())

    @property
    def box(self) -> list[int]:
        """left, top, width, height, px on the strip."""
        height, width = self.mask.shape
        return [self.left, self.top, width, height]


def explained_mask(heat: npt.NDArray[np.uint8], area: int) -> Mask:
    """The explained region of a map (H, W) uint8, not all 0: its highest pixels, `area` of them.

    The region was found on the map before it was rounded to 256 levels; taking the level that
    comes closest to its area gives it back up to the pixels of that one level.
    """
    counts = np.bincount(heat.ravel(), minlength=256)
    at_least = counts[::-1].cumsum()[::-1]
    level = 1 + int(np.abs(at_least[1 : int(heat.max()) + 1] - area).argmin())
    return heat >= level


def regions(report: OpenedReport) -> Iterator[Region]:
    """The regions of all flagged patches: by strip, then from left to right, then by size.

    Raises ReportFolderError if a map is missing or damaged.
    """
    number = 0
    for patch in rows(report.patches[report.patches["flagged"]]):
        for left, top, mask in _pieces(patch, report.root):
            number += 1
            yield Region(number, patch, int(patch.left) + left, int(patch.top) + top, mask)


def _pieces(patch: Any, root: Path) -> list[tuple[int, int, Mask]]:
    """Left, top (px in the patch) and mask of each connected piece, the largest first."""
    if patch.map_status != OK:
        return [(0, 0, np.ones((patch.size, patch.size), bool))]
    mask = explained_mask(read_map(root, patch.map_path), int(patch.region_area))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=4
    )
    by_size = sorted(range(1, count), key=lambda label: -int(stats[label, cv2.CC_STAT_AREA]))
    pieces = []
    for label in by_size:
        left, top, width, height = (int(value) for value in stats[label, :4])
        box = labels[top : top + height, left : left + width]
        pieces.append((left, top, np.asarray(box == label)))
    return pieces


def coco(report: OpenedReport, regions: Sequence[Region]) -> dict[str, Any]:
    """COCO's object detection format (cocodataset.org/#format-data) of regions.

    An image per inspected strip, a category per defect class by its place among the model's
    outputs, an annotation per region, with the patch's probability as score. Segmentations are
    polygons along the pixels' edges and give exactly the region's pixels. COCO's polygons know no
    holes: those of a region are cut open by slits of no width.
    """
    record = report.record
    inspected = report.strips[report.strips["status"] == "inspected"]
    images = {strip.strip_id: i for i, strip in enumerate(rows(inspected), 1)}
    return {
        "info": {
            "description": f"Indications of batch {record['batch']}: regions that explain why a "
            "patch was flagged. They are a model's, not confirmed by people.",
            "date_created": record["ended"],
            "report_fingerprint": record["fingerprint"],
            "bundle_sha256": record["bundle"]["sha256"],
        },
        "licenses": [],
        "images": [
            {
                "id": images[strip.strip_id],
                "file_name": strip.strip_id,
                "width": int(strip.width),
                "height": int(getattr(strip, "height", STRIP_HEIGHT)),
                "sha256": strip.strip_sha256,
                "coil": strip.coil,
            }
            for strip in rows(inspected)
        ],
        "categories": [
            {"id": i, "name": name, "supercategory": "indication"}
            for i, name in enumerate(report.classes)
            if name != NORMAL
        ],
        "annotations": [
            {
                "id": region.number,
                "image_id": images[region.patch.strip_id],
                "category_id": report.classes.index(region.patch.indicated),
                "bbox": region.box,
                "area": region.area,
                "segmentation": segmentation(region),
                "iscrowd": 0,
                "score": round(float(region.patch.score), 6),
                "patch_key": region.patch.patch_key,
                "map_status": region.patch.map_status,
            }
            for region in regions
        ],
    }


def segmentation(region: Region) -> list[list[int]]:
    """COCO's segmentation of a region: one polygon (x, y, x, y, …), px on the strip."""
    return [
        [value for x, y in polygon for value in (x + region.left, y + region.top)]
        for polygon in polygons(region.mask)
    ]


COLUMNS: Mapping[str, tuple[str, Callable[[Region], Any]]] = {
    "region": ("number from 1, that of the annotation in regions.coco.json", lambda r: r.number),
    "strip_id": ("path of the strip inside the batch folder", lambda r: r.patch.strip_id),
    "coil": ("folder part of strip_id; empty at the top", lambda r: r.patch.coil),
    "class": ("class that the patch indicates", lambda r: r.patch.indicated),
    "score": ("its calibrated probability, of the patch as a whole", lambda r: r.patch.score),
    "left": ("left edge of the region on the strip, px", lambda r: r.left),
    "top": ("top edge, px", lambda r: r.top),
    "width": ("px", lambda r: r.box[2]),
    "height": ("px", lambda r: r.box[3]),
    "area": ("pixels of the region", lambda r: r.area),
    "map_status": ("ok, or why the patch has no map", lambda r: r.patch.map_status),
    "patch_left": ("left edge of the patch on the strip, px", lambda r: r.patch.left),
    "patch_key": ("the patch's key in results.parquet", lambda r: r.patch.patch_key),
    "strip_sha256": ("SHA-256 of the strip's file", lambda r: r.patch.strip_sha256),
}
"""The columns of regions.csv: what each means, and its value for a region."""


def table(regions: Sequence[Region]) -> pd.DataFrame:
    """A row per region, for a spreadsheet: see `COLUMNS`."""
    return pd.DataFrame(
        {name: [value(region) for region in regions] for name, (_, value) in COLUMNS.items()}
    )


def export(report: OpenedReport, out: Path) -> tuple[Path, Path]:
    """Write both files into `out`, replacing earlier ones; return their paths.

    Raises ReportFolderError if `out` lies in the report, which is sealed as it is, and for
    maps that are missing or damaged.
    """
    if out.resolve().is_relative_to(report.root.resolve()):
        raise ReportFolderError(f"{out}: inside the report, which is sealed; choose another --out")
    if out.exists() and not out.is_dir():
        raise ReportFolderError(f"{out}: a file; --out takes a folder")
    check_apart(out, [Path(str(report.record.get("batch_folder", report.root)))])
    check_file(out / COCO_NAME, b'"report_fingerprint"')
    check_file(out / CSV_NAME, b"region,strip_id,")
    flagged = list(regions(report))
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / COCO_NAME, coco(report, flagged))
    write_csv(out / CSV_NAME, table(flagged))
    return out / COCO_NAME, out / CSV_NAME
