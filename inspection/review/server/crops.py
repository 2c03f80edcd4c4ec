"""Patches that the report has no picture of, cut from their strips for an audit."""

from typing import Any

import cv2
import numpy as np
import sqlalchemy as sa

from inspection.review.originals import read_strip, strip_path
from inspection.review.schema import patches, strips
from severstal_prep.training_crops import CROP_SIDE


def find_patch(
    connection: sa.Connection, batch_id: int, strip_number: int, left: int
) -> sa.Row[Any, Any] | None:
    """The strip (strip, sha256) of a patch of a batch, None if it has no such patch."""
    return connection.execute(
        sa.select(strips.c.strip, strips.c.sha256)
        .join(patches)
        .where(strips.c.batch_id == batch_id, strips.c.id == strip_number, patches.c.left == left)
    ).one_or_none()


def crop_png(strips_folder: str, strip: sa.Row[Any, Any], left: int) -> bytes:
    """The patch as PNG. Raises StripError if the strip is not the one that was inspected."""
    pixels = read_strip(strip_path(strips_folder, strip.strip), strip.sha256)
    blue_first = np.ascontiguousarray(pixels[:, left : left + CROP_SIDE, ::-1])
    return bytes(cv2.imencode(".png", blue_first)[1].tobytes())
