from pathlib import Path

import pandas as pd

from inspection.store.folder import ReportFolder


def test_an_image_that_is_there_is_not_written_again(tmp_path: Path) -> None:
    folder = ReportFolder(tmp_path)
    (tmp_path / "img").mkdir()
    rows = pd.DataFrame({"key": ["a"]})
    folder.keep(folder.explanations, rows, {"img/a.jpg": b"one", "img/b.jpg": b"two"})
    before = {path.name: path.stat().st_ino for path in (tmp_path / "img").iterdir()}
    folder.keep(folder.explanations, rows, {"img/a.jpg": b"one", "img/b.jpg": b"2"})
    after = {path.name: path.stat().st_ino for path in (tmp_path / "img").iterdir()}
    assert after["a.jpg"] == before["a.jpg"]
    assert after["b.jpg"] != before["b.jpg"]
    assert (tmp_path / "img" / "b.jpg").read_bytes() == b"2"
    assert "a" in folder.explanations
