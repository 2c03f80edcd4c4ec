import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools.coco import COCO
from toy_reports import report_of
from toys import FakeExplainer, strip, write_strip

from inspection.commands import export as command
from inspection.errors import ReportFolderError
from inspection.report.exports import Region, explained_mask, export, segmentation, table
from inspection.store.reading import open_report, read_map

DOCS = (Path(__file__).parents[2] / "docs" / "results.md").read_text("utf-8")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three bright squares on one strip, a black one, whose map fails, on another."""
    root = tmp_path_factory.mktemp("тест dir")
    write_strip(root / "batch" / "=cmd()" / "a.png", strip(512, bright=[20, 120, 300]))
    write_strip(root / "batch" / "b.png", strip(256, black=[100]))
    write_strip(root / "batch" / "c.png", strip(256))
    (root / "batch" / "d.png").write_bytes(b"")
    report_of(root / "batch", root / "report", FakeExplainer(statuses={2: "constant map"}))
    return root / "report"


@pytest.fixture
def report(made: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "тест dir" / "report"
    shutil.copytree(made, copy)
    return copy


def loaded(path: Path, capsys: pytest.CaptureFixture[str]) -> COCO:
    dataset = COCO(path)
    capsys.readouterr()
    return dataset


def test_pycocotools_reads_the_regions_where_they_are(
    report: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.run(command.parser().parse_args([str(report), "--out", str(tmp_path)])) == 0
    assert capsys.readouterr().out.splitlines() == [
        str(tmp_path / "regions.coco.json"),
        str(tmp_path / "regions.csv"),
    ]
    coco = loaded(tmp_path / "regions.coco.json", capsys)
    assert {c["id"]: c["name"] for c in coco.loadCats(coco.getCatIds())} == {
        1: "class 1", 2: "class 2", 3: "class 3", 4: "class 4",
    }  # fmt: skip
    images = {image["id"]: image for image in coco.loadImgs(coco.getImgIds())}
    assert [(i["file_name"], i["width"], i["height"]) for i in images.values()] == [
        ("=cmd()/a.png", 512, 256),
        ("b.png", 256, 256),
        ("c.png", 256, 256),
    ]
    found = [
        (images[a["image_id"]]["file_name"], a["category_id"], a["bbox"], a["area"])
        for a in coco.loadAnns(coco.getAnnIds())
    ]
    # Patches of a.png start at 0, 224 and 256; each sees squares of its own part of the strip.
    assert found == [
        ("=cmd()/a.png", 1, [20, 96, 64, 64], 4096),
        ("=cmd()/a.png", 1, [120, 96, 64, 64], 4096),
        ("=cmd()/a.png", 1, [300, 96, 64, 64], 4096),
        ("=cmd()/a.png", 1, [300, 96, 64, 64], 4096),
        ("b.png", 2, [0, 0, 256, 256], 65536),
    ]
    first = coco.loadAnns(1)[0]
    expected = np.zeros((256, 512), np.uint8)
    expected[96:160, 20:84] = 1
    np.testing.assert_array_equal(coco.annToMask(first), expected)
    assert first["segmentation"] == [[20, 96, 84, 96, 84, 160, 20, 160]]
    assert (first["map_status"], coco.loadAnns(5)[0]["map_status"]) == ("ok", "constant map")
    patches = open_report(report).patches.set_index("patch_key")
    assert first["score"] == pytest.approx(patches.loc[first["patch_key"], "score"], abs=1e-6)


def test_the_csv_has_the_same_regions_and_no_formulas(report: Path, tmp_path: Path) -> None:
    _, path = export(open_report(report), tmp_path)
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    with path.open(encoding="utf-8-sig", newline="") as stream:
        lines = list(csv.DictReader(stream))
    places = [[int(line[name]) for name in ("left", "top", "width", "height")] for line in lines]
    annotations = json.loads((tmp_path / "regions.coco.json").read_text("utf-8"))["annotations"]
    assert places == [annotation["bbox"] for annotation in annotations]
    assert [line["region"] for line in lines] == ["1", "2", "3", "4", "5"]
    assert {line["strip_id"] for line in lines} == {"'=cmd()/a.png", "b.png"}
    assert lines[0]["coil"] == "'=cmd()"
    assert [line["patch_left"] for line in lines] == ["0", "0", "224", "256", "0"]
    assert {line["class"] for line in lines} == {"class 1", "class 2"}


def test_a_region_with_holes_is_one_polygon(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ring = np.ones((30, 20), bool)
    ring[10:20, 5:15] = ring[22:24, 6:8] = False
    region = Region(1, None, 300, 226, ring)
    annotation = {
        "id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0,
        "bbox": region.box, "area": region.area, "segmentation": segmentation(region),
    }  # fmt: skip
    images = [{"id": 1, "width": 512, "height": 256}]
    content = {"images": images, "annotations": [annotation], "categories": [{"id": 1}]}
    (tmp_path / "ring.json").write_text(json.dumps(content))
    coco = loaded(tmp_path / "ring.json", capsys)
    (polygon,) = coco.loadAnns(1)[0]["segmentation"]
    assert all(isinstance(value, int) for value in polygon)
    expected = np.zeros((256, 512), np.uint8)
    expected[226:256, 300:320] = ring
    np.testing.assert_array_equal(coco.annToMask(coco.loadAnns(1)[0]), expected)
    assert region.area == 496


@given(arrays(np.uint8, (6, 6)).filter(np.any), st.data())
def test_the_region_of_a_rounded_map_is_the_one_that_was_measured(
    heat: np.ndarray, data: st.DataObject
) -> None:
    level = data.draw(st.integers(1, int(heat.max())))
    mask = heat >= level
    np.testing.assert_array_equal(explained_mask(heat, int(mask.sum())), mask)


def test_a_region_smaller_than_the_top_level_is_not_lost() -> None:
    heat = np.array([[255, 255, 255], [0, 0, 9]], np.uint8)
    np.testing.assert_array_equal(explained_mask(heat, 1), heat == 255)


def test_nothing_is_written_into_a_report(report: Path) -> None:
    with pytest.raises(ReportFolderError, match="inside the report"):
        export(open_report(report), report / "sub" / "out")
    assert not (report / "sub").exists()


def test_a_lost_map_is_named_and_nothing_written(report: Path, tmp_path: Path) -> None:
    (lost,) = {*open_report(report).patches["map_path"].iloc[:1]}
    (report / lost).unlink()
    with pytest.raises(ReportFolderError, match=re.escape(lost)):
        export(open_report(report), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_maps_outside_the_report_are_not_read(report: Path) -> None:
    with pytest.raises(ReportFolderError, match="outside it"):
        read_map(report, "../batch/b.png")


def test_no_report_and_a_damaged_one_are_told_apart(report: Path, tmp_path: Path) -> None:
    with pytest.raises(ReportFolderError, match=r"no finished report here \(batch.json"):
        open_report(tmp_path / "absent")
    (report / "results.parquet").write_bytes(b"PAR1")
    with pytest.raises(ReportFolderError, match="damaged report"):
        open_report(report)


def test_every_column_of_the_tables_is_documented_as_it_is(report: Path) -> None:
    for name in ("results.parquet", "strips.parquet"):
        described = [
            f"| `{field.name}` | {field.type} | {field.metadata[b'description'].decode()} |"
            for field in written_schema(report / name)
        ]
        assert documented(name) == described


def test_every_column_of_the_csv_is_documented() -> None:
    names = [re.findall(r"`(\w+)`", line)[0] for line in documented("regions.csv")]
    assert names == list(table([]).columns)


def written_schema(path: Path) -> pa.Schema:
    return pq.read_schema(path)


def documented(heading: str) -> list[str]:
    """The table rows below a heading of docs/results.md."""
    section = DOCS.split(f"## {heading}\n")[1].split("\n## ")[0]
    return [line for line in section.splitlines() if line.startswith("| `")]
