from pathlib import Path

import numpy as np
import pandas as pd

from severstal_prep.images import write_png
from severstal_prep.overview import GAP, OUTLINE, OUTLINE_WIDTH, SAMPLES, sample_row


def test_samples_are_spread_and_defects_outlined_from_outside(tmp_path: Path) -> None:
    mask = np.zeros((256, 256), dtype=np.uint8)
    mask[100:120, 50:60] = 255
    write_png(tmp_path / "mask.png", mask)
    for i in range(20):
        write_png(tmp_path / f"{i}.png", np.full((256, 256), 10 * i, dtype=np.uint8))
    crops = pd.DataFrame(
        {"crop_path": [f"{i}.png" for i in range(20)], "mask_path": ["mask.png", *[""] * 19]}
    )
    row = sample_row(tmp_path, crops)
    assert row.shape == (256, SAMPLES * 256 + (SAMPLES - 1) * GAP, 3)
    greys = [row[0, i * (256 + GAP), 0] for i in range(SAMPLES)]
    assert greys == [0, 20, 40, 60, 80, 100, 120, 140]  # every second of 20
    assert (row[:, 256 : 256 + GAP] == 255).all()
    outlined = (row[:, :256] == OUTLINE).all(axis=2)
    expected = np.zeros((256, 256), dtype=bool)
    w = OUTLINE_WIDTH
    expected[100 - w : 120 + w, 50 - w : 60 + w] = True
    expected[100:120, 50:60] = False
    np.testing.assert_array_equal(outlined, expected)


def test_few_or_no_crops_leave_white(tmp_path: Path) -> None:
    none = pd.DataFrame({"crop_path": [], "mask_path": []})
    assert (sample_row(tmp_path, none) == 255).all()
