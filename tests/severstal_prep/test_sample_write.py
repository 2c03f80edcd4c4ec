import csv
import hashlib
import json
import re
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from severstal_prep import rle
from severstal_prep.annotations import read_annotations
from severstal_prep.errors import OptionError, PrepError
from severstal_prep.images import read_image, write_jpeg
from severstal_prep.sample import SampleError, SampleSummary, make_strip, write, write_sample
from severstal_prep.sample.write import PARTIAL_NAME, strip_name

Labels = dict[str, dict[int, str]]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> SampleSummary:
    return write_sample(tmp_path_factory.mktemp("data") / "тест dir", strips=20, holdout=8)


def labels(path: Path) -> Labels:
    rows: Labels = defaultdict(dict)
    with path.open(newline="", encoding="ascii") as stream:
        for row in csv.DictReader(stream):
            assert int(row["ClassId"]) not in rows[row["ImageId"]]
            rows[row["ImageId"]][int(row["ClassId"])] = row["EncodedPixels"]
    return dict(rows)


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_layout(sample: SampleSummary) -> None:
    assert sorted(path.name for path in sample.out.iterdir()) == [
        "sample.json",
        "test.csv",
        "test_images",
        "train.csv",
        "train_images",
    ]
    for part, strips in ((sample.train, 20), (sample.holdout, 8)):
        assert part is not None
        names = [path.name for path in part.images.iterdir()]
        assert len(names) == strips
        assert all(re.fullmatch(r"[0-9a-f]{9}\.jpg", name) for name in names)
        lines = part.labels.read_text("ascii").splitlines()
        assert lines[0] == "ImageId,ClassId,EncodedPixels"
        assert lines[1:] == sorted(lines[1:])
        assert {line.split(",")[0] for line in lines[1:]} <= set(names)


def test_summary_counts_what_was_written(sample: SampleSummary) -> None:
    for part in (sample.train, sample.holdout):
        assert part is not None
        rows = labels(part.labels)
        assert part.strips == len(list(part.images.iterdir()))
        assert part.annotated == len(rows)
        assert part.rows == sum(map(len, rows.values()))
        assert part.two_classes == sum(len(classes) == 2 for classes in rows.values())
        for class_id in (1, 2, 3, 4):
            assert part.class_strips[class_id] == sum(class_id in row for row in rows.values())


def test_summary_reads_well(sample: SampleSummary) -> None:
    text = str(sample)
    classes = ", ".join(f"class {c}: {n}" for c, n in sample.train.class_strips.items())
    assert text.splitlines()[:4] == [
        f"sample {sample.out} (seed 0, written)",
        f"training: 20 strips in {sample.out / 'train_images'}",
        f"  11 with defects ({classes}; 1 with two classes), 9 without",
        f"  12 rows in {sample.out / 'train.csv'}",
    ]
    assert f"holdout: 8 strips in {sample.out / 'test_images'}" in text


def test_images_and_masks_are_the_strips(sample: SampleSummary) -> None:
    rows = labels(sample.train.labels)
    listed = 0
    for index in range(20):
        name = strip_name(0, 0, index)
        classes = tuple(rows.get(name, ()))
        listed += bool(classes)
        if index < 6:
            strip = make_strip(np.random.SeedSequence(0, spawn_key=(0, 1, index)), classes)
            image = read_image(sample.train.images / name)
            assert image.shape == (256, 1600, 3)
            assert (image == image[..., :1]).all()  # grey
            difference = np.abs(image[..., 0].astype(int) - strip.grey)
            assert difference.mean() < 3  # JPEG
            for class_id, text in rows.get(name, {}).items():
                np.testing.assert_array_equal(
                    rle.decode(text, 256, 1600), strip.masks[class_id], strict=True
                )
    assert listed == len(rows)


def test_labels_pass_the_reader(sample: SampleSummary) -> None:
    annotations = read_annotations(sample.train.labels)
    assert not annotations.rejections
    assert len(annotations.strips) == sample.train.annotated


def test_card_holds_the_request_and_vouches_for_the_files(sample: SampleSummary) -> None:
    card = json.loads((sample.out / "sample.json").read_text("utf-8"))
    assert card["strips"] == 20
    assert card["seed"] == 0
    assert card["holdout"] == 8
    files = contents(sample.out)
    del files["sample.json"]
    assert card["files"] == files


def test_holdout_is_disjoint_from_training(sample: SampleSummary) -> None:
    files = contents(sample.out)
    train = {name: sha for name, sha in files.items() if name.startswith("train_images/")}
    test = {name: sha for name, sha in files.items() if name.startswith("test_images/")}
    assert not {Path(name).name for name in train} & {Path(name).name for name in test}
    assert not set(train.values()) & set(test.values())
    assert len(set(train.values())) == 20


def test_a_strip_depends_on_seed_and_number_alone(sample: SampleSummary, tmp_path: Path) -> None:
    fewer = write_sample(tmp_path / "fewer", strips=7)
    assert fewer.holdout is None
    assert not (tmp_path / "fewer" / "test.csv").exists()
    few, many = contents(fewer.out), contents(sample.out)
    images = [name for name in few if name.endswith(".jpg")]
    assert len(images) == 7
    assert {name: few[name] for name in images} == {name: many[name] for name in images}
    all_labels = labels(sample.train.labels)
    assert all(all_labels[name] == row for name, row in labels(fewer.train.labels).items())


def test_another_seed_gives_other_strips_and_zero_is_a_seed(tmp_path: Path) -> None:
    first, again, other = (
        contents(write_sample(tmp_path / name, strips=2, seed=seed).out)
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert first == again
    assert not set(first.values()) & set(other.values())


def test_names_are_unique() -> None:
    for seed in (0, 1, 2**40):
        names = {strip_name(seed, stream, i) for stream in (0, 1) for i in range(20_000)}
        assert len(names) == 40_000
        assert all(len(name) == 13 for name in names)


def test_a_second_run_writes_nothing(sample: SampleSummary) -> None:
    def times() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in sample.out.rglob("*")}

    before = times()
    second = write_sample(sample.out, strips=20, holdout=8)
    assert second.was_there
    assert second.train == sample.train
    assert "unchanged, written earlier" in str(second)
    assert times() == before


def test_another_request_for_the_same_folder_is_refused(sample: SampleSummary) -> None:
    before = contents(sample.out)
    with pytest.raises(SampleError, match=r"seed 0, not 1; choose another --out"):
        write_sample(sample.out, strips=20, holdout=8, seed=1)
    with pytest.raises(SampleError, match=r"strips 20, not 21"):
        write_sample(sample.out, strips=21, holdout=8)
    assert contents(sample.out) == before


@pytest.mark.parametrize("damage", ["missing", "changed", "added"])
def test_a_damaged_sample_is_named(damage: str, tmp_path: Path) -> None:
    out = write_sample(tmp_path / "s", strips=1).out
    image = out / "train_images" / strip_name(0, 0, 0)
    if damage == "missing":
        image.unlink()
    elif damage == "changed":
        image.write_bytes(image.read_bytes()[:-1])
    else:
        image = image.with_name("0.jpg")
        image.write_bytes(b"")
    with pytest.raises(SampleError, match=rf"{image.name}: missing, added or changed"):
        write_sample(out, strips=1)


def test_foreign_folders_are_left_alone(tmp_path: Path) -> None:
    note = tmp_path / "notes.txt"
    note.write_text("mine")
    with pytest.raises(SampleError, match=r"not empty \(notes.txt, …\); choose another --out"):
        write_sample(tmp_path, strips=1)
    with pytest.raises(SampleError, match="a file, not a folder"):
        write_sample(note, strips=1)
    with pytest.raises(SampleError, match="cannot be written"):
        write_sample(note / "inside", strips=1)
    assert contents(tmp_path) == {"notes.txt": hashlib.sha256(b"mine").hexdigest()}
    note.rename(tmp_path / "sample.json")
    with pytest.raises(SampleError, match="not the card of a sample"):
        write_sample(tmp_path, strips=1)


def test_an_interrupted_run_leaves_nothing_and_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []

    def interrupt_at_the_third(path: Path, array: np.ndarray, quality: int) -> None:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(path)
        write_jpeg(path, array, quality)

    out = tmp_path / "new"
    with monkeypatch.context() as patched:
        patched.setattr(write, "write_jpeg", interrupt_at_the_third)
        with pytest.raises(KeyboardInterrupt):
            write_sample(out, strips=4)
    assert len(written) == 2
    assert not any(tmp_path.iterdir())
    assert not write_sample(out, strips=4).was_there


def test_the_card_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = Path.replace

    def full_disk(source: Path, target: Path) -> Path:
        if source.name == "train_images":
            raise OSError(28, "No space left on device", str(target))
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", full_disk)
    with pytest.raises(SampleError, match=r"train_images: cannot be written \(No space left"):
        write_sample(tmp_path / "s", strips=1)
    assert not (tmp_path / "s" / "sample.json").exists()


def test_the_remains_of_a_killed_run_are_replaced(tmp_path: Path) -> None:
    half = tmp_path / PARTIAL_NAME / "train_images"
    half.mkdir(parents=True)
    (half / "000000000.jpg").write_bytes(b"half")
    summary = write_sample(tmp_path, strips=1)
    assert [path.name for path in summary.train.images.iterdir()] == [strip_name(0, 0, 0)]
    assert not (tmp_path / PARTIAL_NAME).exists()


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"strips": 0}, "--strips 0: give 1 or more"),
        ({"holdout": -1}, "--holdout -1: give 0 or more"),
        ({"seed": -1}, "--seed -1: give 0 or more"),
    ],
)
def test_numbers_out_of_range(numbers: dict[str, int], message: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=message) as caught:
        write_sample(tmp_path / "s", **numbers)
    assert caught.value.exit_code == 2
    assert not any(tmp_path.iterdir())


def test_errors_are_for_the_user() -> None:
    assert issubclass(SampleError, PrepError)
