"""Pictures of one's own steel, drawn here and known to the last pixel."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from severstal_prep import build_masks as module
from severstal_prep import overview
from severstal_prep.build_masks import MaskRequest, build_masks
from severstal_prep.cli import main
from severstal_prep.dataset import COLUMNS, read_card, read_manifest
from severstal_prep.errors import AnnotationError, DatasetError, OptionError, PrepError
from severstal_prep.images import read_image
from severstal_prep.masked_crops import MaskRules, covering
from tests.severstal_prep.built import contents, times

CROP = 64
RULES = MaskRules(crop=CROP)


@pytest.fixture(autouse=True)
def quick_overview(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "overview" not in request.node.name:
        monkeypatch.setattr(
            overview, "write_overview", lambda path, *_: path.write_bytes(b"picture")
        )


def add(
    root: Path,
    name: str,
    size: tuple[int, int] = (100, 100),
    box: tuple[int, int, int, int] | None = None,
    masked: bool = True,
    colour: bool = False,
) -> None:
    """An image CLASS/STEM of (height, width), its mask with a box (left, top, right, bottom)."""
    rng = np.random.default_rng(sum(name.encode()))
    shape = (*size, 3) if colour else size
    image, mask = root / "images" / f"{name}.png", root / "masks" / f"{name}.png"
    image.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rng.integers(60, 200, shape, dtype=np.uint8)).save(image)
    if masked:
        mask.parent.mkdir(parents=True, exist_ok=True)
        drawn = np.zeros(size, np.uint8)
        if box:
            drawn[box[1] : box[3], box[0] : box[2]] = 255
        Image.fromarray(drawn).save(mask)


@pytest.fixture
def steel(tmp_path: Path) -> Path:
    """Two defect classes of three images and a class without a defect.

    By hand, crops of 64 px on 100×100 px begin at 0 and 36: a box in columns and rows 0 to 35
    is in the first crop alone, one in 36 to 63 in all four.
    """
    root = tmp_path / "мой steel"
    for i in range(3):
        add(root, f"pit/p{i}", box=(0, 0, 5, 4))
        add(root, f"rolled in/r{i}", box=(40, 40, 50, 50))
        add(root, f"good/g{i}", masked=False)
    return root


def request(root: Path, **options: Any) -> MaskRequest:
    return MaskRequest(root, root.parent / "out", **{"rules": RULES} | options)


@pytest.mark.parametrize(
    ("length", "side", "starts"),
    [(200, 112, (0, 88)), (256, 256, (0,)), (257, 256, (0, 1)), (64, 256, (0,)),
     (650, 256, (0, 197, 394)), (224, 112, (0, 112))],
)  # fmt: skip
def test_the_fewest_crops_cover_evenly(length: int, side: int, starts: tuple[int, ...]) -> None:
    assert covering(length, side) == starts


def test_classes_are_the_folders_and_normal_comes_first(steel: Path) -> None:
    out = build_masks(request(steel)).out
    card, manifest = read_card(out), read_manifest(out)
    assert card["classes"] == ["normal", "pit", "rolled in"]
    # pit: one crop of four an image; rolled in: all four; normal: the rest, and all of "good".
    assert card["counts"]["total"] == {"0": 9 + 12, "1": 3, "2": 12}
    assert list(manifest.columns) == list(COLUMNS)
    for part in ("train", "val", "test"):  # three groups each
        assert all(card["counts"][part].values())
    assert card["absent"] == []
    assert manifest.groupby("group_id")["split"].nunique().eq(1).all()
    pit = manifest[(manifest["class_id"] == 1) & (manifest["strip_id"] == "pit/p0")].iloc[0]
    assert (pit["crop_id"], pit["left"], pit["defect_pixels"]) == ("pit_p0_x0_y0", 0, 20)
    image = np.asarray(Image.open(steel / "images" / "pit" / "p0.png"))
    np.testing.assert_array_equal(read_image(out / pit["crop_path"])[..., 0], image[:CROP, :CROP])
    mask = read_image(out / pit["mask_path"])[..., 0]
    assert mask[:4, :5].all()
    assert mask.sum() == 20 * 255
    assert (manifest["mask_path"] == "").equals(manifest["class_id"] == 0)


def test_what_contradicts_itself_is_dropped_with_its_reason(steel: Path) -> None:
    add(steel, "pit/unmasked", masked=False)
    add(steel, "pit/empty")
    add(steel, "pit/edge", box=(0, 0, 37, 1))  # one pixel beyond 36: crop 2 has just that
    add(steel, "good/bad", box=(0, 0, 2, 2))
    rules = MaskRules(crop=CROP, min_defect_pixels=2)
    card = build_masks(request(steel, rules=rules, normal="good")).card
    assert card["dropped"] == {
        "fewer defect pixels than the minimum": 1,
        "of a defect class, but the image has no mask": 4,
        "of a defect class, but the mask has no defect pixel": 4,
        "of the normal class, but the mask has defect pixels": 4,
    }
    assert card["counts"]["total"] == {"0": 9 + 12 + 2, "1": 4, "2": 12}


def test_black_normal_crops_are_dropped_and_colour_is_kept(steel: Path) -> None:
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(steel / "images" / "good" / "black.png")
    add(steel, "good/colour", (64, 64), masked=False, colour=True)
    out = build_masks(request(steel)).out
    assert read_card(out)["dropped"] == {"normal, but black": 1}
    manifest = read_manifest(out).set_index("crop_id")
    stored = read_image(out / manifest.loc["good_colour_x0_y0", "crop_path"])
    original = np.asarray(Image.open(steel / "images" / "good" / "colour.png"))
    np.testing.assert_array_equal(stored, original)


def test_small_images_are_mirrored_with_their_masks(steel: Path) -> None:
    add(steel, "pit/small", (64, 40), box=(38, 0, 39, 1))
    out = build_masks(request(steel)).out
    row = read_manifest(out).set_index("crop_id").loc["pit_small_x0_y0"]
    crop = read_image(out / row["crop_path"])[..., 0]
    original = np.asarray(Image.open(steel / "images" / "pit" / "small.png"))
    np.testing.assert_array_equal(crop[:, :40], original)
    np.testing.assert_array_equal(crop[:, 40:], original[:, 38:14:-1])  # without column 39
    mask = read_image(out / row["mask_path"])[..., 0]
    assert np.argwhere(mask).tolist() == [[0, 38], [0, 40]]
    assert row["defect_pixels"] == 2
    add(steel, "pit/tiny", (64, 31), box=(0, 0, 1, 1))
    with pytest.raises(AnnotationError, match=r"tiny\.png: 31x64 px, less than half a crop of 64"):
        build_masks(MaskRequest(steel, steel.parent / "other", RULES))


def test_groups_stay_on_one_side(steel: Path) -> None:
    lines = ["class,file,tile_group,exposure"]
    for name in ("pit", "rolled in", "good"):
        for path in (steel / "images" / name).iterdir():
            lines.append(f"{name},{path.name},{path.stem[1]},1")  # p0, r0 and g0: group 0
    (steel / "groups.csv").write_text("\n".join(lines) + "\n")
    manifest = read_manifest(build_masks(request(steel)).out)
    assert set(manifest["group_id"]) == {"0", "1", "2"}
    assert manifest.groupby("group_id")["split"].nunique().eq(1).all()
    assert set(manifest["split"]) == {"train", "val", "test"}


def test_copies_of_an_image_are_one_group(steel: Path) -> None:
    for kind in ("images", "masks"):
        original = steel / kind / "pit" / "p0.png"
        original.with_name("copy.png").write_bytes(original.read_bytes())
    manifest = read_manifest(build_masks(request(steel)).out)
    same = manifest[manifest["strip_id"].isin(["pit/p0", "pit/copy"])]
    assert set(same["group_id"]) == {"pit/copy"}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("class,name\n", "its columns are class, name; name them class, file, group"),
        ('class,"a\nb"\n', r"its columns are 'class, a\\nb'; name them class, file, group"),
        ("class,file,group\npit,p0.png\n", "row 2: 2 fields, 3 in the heading"),
        ("class,file,group\npit,p0.png,\n", "row 2: no group"),
        ("class,file,group\npit,p0.png,a\npit,p0.png,b\n", r"row 3: pit/p0.png is in group a"),
        ("class,file,group\npit,x.png,a\n", "names none of the images"),
    ],
)
def test_bad_groups_are_told(steel: Path, text: str, complaint: str) -> None:
    (steel / "groups.csv").write_text(text)
    with pytest.raises(AnnotationError, match=complaint):
        build_masks(request(steel))
    assert not (steel.parent / "out").exists()


def test_two_folders_without_a_mask_are_not_guessed(steel: Path) -> None:
    add(steel, "crazing/c0", masked=False)
    with pytest.raises(DatasetError, match="masks of crazing, good; say which of them"):
        build_masks(request(steel))
    with pytest.raises(DatasetError, match=r"crazing: no mask with a defect pixel.*add masks"):
        build_masks(request(steel, normal="good"))
    with pytest.raises(DatasetError, match="--normal fine: no folder of"):
        build_masks(request(steel, normal="fine"))


def test_wrong_folders_and_files_are_told(steel: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="there is no such folder; sort the files"):
        build_masks(request(tmp_path / "nothing"))
    (steel / "masks" / "Pit").mkdir()
    with pytest.raises(DatasetError, match="Pit: there is no "):
        build_masks(request(steel))
    (steel / "masks" / "Pit").rmdir()
    Image.new("L", (100, 100)).save(steel / "images" / "pit" / "p0.jpg")
    with pytest.raises(DatasetError, match="has the same name; rename one of them"):
        build_masks(request(steel))
    (steel / "images" / "pit" / "p0.jpg").unlink()
    with pytest.raises(DatasetError, match="in the folder of the images"):
        build_masks(MaskRequest(steel, steel / "out", RULES))
    Image.new("L", (99, 100)).save(steel / "masks" / "pit" / "p1.png")
    with pytest.raises(PrepError, match=r"p1.png: 99x100 px, its image 100x100 px"):
        build_masks(request(steel))


def test_a_class_of_which_no_crop_is_left_is_told(steel: Path) -> None:
    rules = MaskRules(crop=CROP, min_defect_pixels=50)
    with pytest.raises(DatasetError, match="leave no crop of 'pit'; change the options"):
        build_masks(request(steel, rules=rules))


def test_without_any_normal_crop_there_is_no_normal_class(tmp_path: Path) -> None:
    for i in range(3):
        add(tmp_path / "s", f"a/{i}", (64, 64), (0, 0, 9, 9))
        add(tmp_path / "s", f"b/{i}", (64, 64), (0, 0, 9, 9))
    out = build_masks(request(tmp_path / "s")).out
    assert read_card(out)["classes"] == ["a", "b"]
    assert (read_manifest(out)["mask_path"] != "").all()


def test_normal_crops_of_an_image_can_be_limited(steel: Path) -> None:
    rules = MaskRules(crop=CROP, normals_per_image=1)
    card = build_masks(request(steel, rules=rules)).card
    assert card["counts"]["total"] == {"0": 6, "1": 3, "2": 12}
    assert card["dropped"] == {"normal, but the image gives enough of them": 2 * 3 + 3 * 3}


def test_an_interrupted_build_continues_and_a_complete_one_is_checked(
    steel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = contents(build_masks(MaskRequest(steel, steel.parent / "whole", RULES)).out)
    out = steel.parent / "out"

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "finish", interrupted)
        with pytest.raises(KeyboardInterrupt):
            build_masks(request(steel))
    cut = times(out / ".build" / "crops")
    assert len(cut) == 36
    with monkeypatch.context() as patch:
        patch.setattr(module, "finish", interrupted)
        with pytest.raises(KeyboardInterrupt):
            build_masks(request(steel))
    assert times(out / ".build" / "crops") == cut
    with pytest.raises(DatasetError, match="was begun with --seed 0, not 1"):
        build_masks(request(steel, seed=1))
    assert contents(build_masks(request(steel)).out) == whole
    assert build_masks(request(steel)).was_complete
    add(steel, "pit/p1", box=(0, 0, 5, 5))
    with pytest.raises(DatasetError, match="was built from other images or masks"):
        build_masks(request(steel))


def test_the_command_quarantines_and_draws_an_overview(
    steel: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (steel / "images" / "pit" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    command = ["build-masks", "--data", str(steel), "--out", str(steel.parent / "out")]
    command += ["--crop", "64", "--jobs", "1"]
    assert main(command) == 2
    assert "broken.png" in capsys.readouterr().err
    assert main([*command, "--on-error", "quarantine"]) == 4
    printed = capsys.readouterr()
    assert "rolled in       12" in printed.out
    assert "no mask of 'good' has a defect pixel: its images are normal" in printed.err
    assert "1 image could not be used" in printed.err
    out = steel.parent / "out"
    assert (out / "rejected.csv").read_text().splitlines()[1].startswith(",pit/broken.png,pit,")
    with Image.open(out / "overview.png") as picture:
        assert picture.width > picture.height > 300


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"crop": 31}, "--crop must be 32"),
        ({"crop": 64, "min_defect_pixels": 4097}, "must be 1 to 4096"),
        ({"black_threshold": 1.1}, "--black-threshold must be 0 to 1"),
        ({"normals_per_image": -1}, "--normals-per-image must be 0 or more"),
    ],
)
def test_rules_out_of_range_are_told(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(OptionError, match=complaint):
        MaskRules(**options)


@pytest.mark.slow
def test_magnetic_tiles_are_recast(steel_data: Path, tmp_path: Path) -> None:
    rules = MaskRules(crop=112, normals_per_image=2)
    outcome = build_masks(MaskRequest(steel_data / "magnetic_tile", tmp_path / "out", rules))
    assert outcome.card["classes"] == ["normal", "blowhole", "break", "crack", "fray", "uneven"]
    assert outcome.card["absent"] == []
    manifest = read_manifest(outcome.out)
    assert manifest.groupby("group_id")["split"].nunique().eq(1).all()
    left = manifest["strip_id"].str.partition("/")[0]
    assert set(left[manifest["class_id"] == 0]) == {"free", *outcome.card["classes"][1:]}
