from pathlib import Path

import pytest

from inspection.coil.facts import facts, read_coils
from inspection.errors import CoilError

STRIPS = ["a.png", "b.png", "c.png"]


def written(root: Path, content: str, name: str = "coil.yaml") -> Path:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(content)
    return root


def test_strips_one_after_another(tmp_path: Path) -> None:
    text = "coil: 48213\nheat: A7\nwidth_mm: 1250\nside: top\nmetres_per_strip: 0.5\n"
    (coil,) = read_coils(written(tmp_path, text), ["coil.yaml"], STRIPS[::-1])
    assert coil.strips == tuple(STRIPS)
    assert coil.starts == {"a.png": 0.0, "b.png": 0.5, "c.png": 1.0}
    assert facts(coil) == {
        "file": "coil.yaml", "sha256": coil.sha256, "coil": "48213", "heat": "A7", "grade": "",
        "customer": "", "width_mm": 1250.0, "side": "top", "direction": "forward", "shift": "",
    }  # fmt: skip


def test_the_nearest_file_holds(tmp_path: Path) -> None:
    written(tmp_path, "coil: all\nmetres_per_strip: 1")
    written(tmp_path, "coil: one\nmetres_per_strip: 2", "top/coil.yaml")
    strips = ["low.png", "top/cam/x.png", "top/y.png"]
    all_, one = read_coils(tmp_path, ["top/coil.yaml", "coil.yaml"], strips)
    assert (all_.name, all_.strips) == ("all", ("low.png",))
    assert (one.name, one.strips) == ("one", ("top/cam/x.png", "top/y.png"))
    assert one.starts == {"top/cam/x.png": 0.0, "top/y.png": 2.0}


def test_a_csv_tells_two_sides(tmp_path: Path) -> None:
    rows = "strip,coil,heat,side,start_m\nb.png,7,A,top,0\na.png,7,A,top,2.5\nc.png,7,B,bottom,1\n"
    top, bottom = read_coils(written(tmp_path, rows, "coil.csv"), ["coil.csv"], STRIPS)
    assert (top.name, top.told.side, top.told.heat) == ("7", "top", "A")
    assert top.starts == {"b.png": 0.0, "a.png": 2.5}
    assert (bottom.told.side, bottom.strips, bottom.starts) == (
        "bottom",
        ("c.png",),
        {"c.png": 1.0},
    )


def test_names_are_counted_as_people_do(tmp_path: Path) -> None:
    written(tmp_path, "coil: 7\nmetres_per_strip: 1")
    (coil,) = read_coils(tmp_path, ["coil.yaml"], ["10.png", "9.png", "2b.png", "2.png", "x1.png"])
    assert coil.strips == ("x1.png", "2.png", "2b.png", "9.png", "10.png")


def test_a_coil_without_places_has_none(tmp_path: Path) -> None:
    (coil,) = read_coils(written(tmp_path, "coil: 7"), ["coil.yaml"], STRIPS)
    assert (coil.strips, coil.starts) == (tuple(STRIPS), {})


HEAD = "strip,coil,start_m\n"


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("coil.yaml", "heat: 7", "coil: Field required"),
        ("coil.yaml", "coil: 7\nmetres_per_strip: 0,4", "metres_per_strip: Input should be a"),
        ("coil.yaml", "coil: 7\nmeters: 3", "meters: no entry of this name is known"),
        ("coil.yaml", "coil: 7\nside: left", "side: Input should be"),
        ("coil.yaml", "coil: 7\nstrips: {a.png: 0, x.png: 1}", "no strip 'x.png' lies there"),
        ("coil.yaml", "coil: 7\nstrips: {a.png: 0, b.png: 1}", "'c.png' lies there, but is not"),
        ("coil.yaml", "coil: 7\nstrips: {a.png: 0, b.png: 0, c.png: 1}", "a.png and b.png begin"),
        ("coil.yaml", "coil: 7\nmetres_per_strip: 1\nend_to_end: true", "give one of them"),
        ("coil.csv", "strip,coil\na.png,7\n", "the column start_m is missing"),
        (
            "coil.csv", HEAD + "a.png,7,0\nb.png,7,\"0,4\"\n",
            "row 3, start_m: '0,4' is no number; write 0.4",
        ),
        ("coil.csv", HEAD + "a.png,7,0\nb.png,7,0,4\n", "row 3: not as many cells as columns"),
        ("coil.csv", HEAD + "a.png,7,0\na.png,7,1\n", "row 3: a.png is there twice"),
        ("coil.csv", "strip,coil,start_m,hete\na.png,7,0,1\n", "no column 'hete' is known"),
        ("coil.csv", HEAD, "it has no rows"),
        (
            "coil.csv", "strip,coil,start_m,heat\na.png,7,0,A\nb.png,7,1,B\n",
            "row 3, heat: 'B', but 'A' above",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line_with_the_cure(
    tmp_path: Path, name: str, content: str, told: str
) -> None:
    with pytest.raises(CoilError) as refused:
        read_coils(written(tmp_path, content, name), [name], STRIPS)
    line = str(refused.value)
    assert line.startswith(f"{tmp_path / name}: ")
    assert told in line
    assert line.endswith("; docs/coil.md has examples")
    assert "\n" not in line


def test_two_files_in_a_folder_are_one_too_many(tmp_path: Path) -> None:
    with pytest.raises(CoilError, match=r"^coil\.yaml: coil\.csv is there, too; keep one of them$"):
        read_coils(tmp_path, ["coil.yaml", "coil.csv"], STRIPS)
