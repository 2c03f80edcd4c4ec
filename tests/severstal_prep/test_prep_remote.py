"""severstal-prep where strips and dataset are in a bucket."""

import json
from pathlib import Path
from typing import Any

import pytest
from built import contents

from severstal_prep import workfolder
from severstal_prep.cli import main


def prep(*arguments: object) -> int:
    return main([str(one) for one in arguments])


@pytest.fixture
def strips(seven_strips: Any, bucket: Any, quick_overview: None) -> Any:
    """The bucket, with the seven strips in its folder "strips"."""
    bucket.put(seven_strips.root, "strips")
    return bucket


BUILD = (
    "build", "--csv", "s3://steel/strips/train.csv", "--images", "s3://steel/strips/train_images",
    "--out", "s3://steel/recast", "--jobs", 1,
)  # fmt: skip


def test_generated_strips(bucket: Any, capsys: Any, tmp_path: Path) -> None:
    for out in (tmp_path / "here", "s3://steel/there"):
        assert prep("sample", "--out", out, "--strips", 2) == 0
    assert "s3://steel/there" in capsys.readouterr().out
    here = contents(tmp_path / "here")
    assert bucket.sha256("there/") == here


def test_a_dataset(strips: Any, seven_strips: Any, capsys: Any, tmp_path: Path) -> None:
    config = tmp_path / "build.yaml"
    config.write_text(
        "csv: s3://steel/strips/train.csv\nimages: s3://steel/strips/train_images\njobs: 1\n"
    )
    assert prep("build", "--config", config, "--out", "s3://steel/recast") == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1] == "s3://steel/recast: written"
    assert str(tmp_path / "cache") not in printed.out + printed.err
    local = ("--csv", seven_strips.csv, "--images", seven_strips.images, "--jobs", 1)
    assert prep("build", *local, "--out", tmp_path / "local") == 0
    assert strips.sha256("recast/") == contents(tmp_path / "local")

    keys = strips.keys("recast/")
    assert prep(*BUILD) == 0
    assert "complete already, unchanged" in capsys.readouterr().out
    assert prep("check", "s3://steel/recast", "--reference", "s3://steel/recast") in (0, 3)
    capsys.readouterr()
    assert prep(*BUILD, "--seed", 1) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith("severstal-prep: s3://steel/recast: was built with --seed 0, not 1")
    assert strips.keys("recast/") == keys


def test_an_interrupted_build_goes_on_elsewhere(
    strips: Any, seven_strips: Any, capsys: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, added = workfolder.Journal.add, []

    def stop_at_the_third(journal: workfolder.Journal, record: Any) -> None:
        if len(added) == 3:
            raise KeyboardInterrupt
        added.append(record.image)
        add(journal, record)

    monkeypatch.setattr(workfolder.Journal, "add", stop_at_the_third)
    assert prep(*BUILD) == 130
    told = capsys.readouterr().err.splitlines()[-1]
    assert told == "severstal-prep: interrupted; run the same command again to continue"
    left = strips.read("recast/.build/strips.jsonl").decode().split("\n")
    assert [json.loads(line)["image"] for line in left if line] == added
    assert "dataset.json" not in strips.keys("recast/")

    monkeypatch.setenv("STEEL_CACHE", str(tmp_path / "another machine"))
    monkeypatch.setattr(workfolder.Journal, "add", add)
    cut = []
    monkeypatch.setattr(workfolder.Journal, "add", lambda journal, record: cut.append(record.image))
    assert prep(*BUILD) == 0
    assert not set(cut) & set(added)
    local = ("--csv", seven_strips.csv, "--images", seven_strips.images, "--jobs", 1)
    assert prep("build", *local, "--out", tmp_path / "local") == 0
    assert strips.sha256("recast/") == contents(tmp_path / "local")


def test_a_place_of_others_is_refused(strips: Any, capsys: Any) -> None:
    strips.client.put_object(Bucket="steel", Key="recast/theirs", Body=b"1")
    keys = strips.keys()
    assert prep(*BUILD) == 2
    told = "severstal-prep: s3://steel/recast: holds other files; name a new or empty folder"
    assert capsys.readouterr().err.splitlines()[-1] == told
    assert strips.keys() == keys
