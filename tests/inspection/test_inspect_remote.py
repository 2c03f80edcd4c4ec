"""defect-inspect where strips, bundle and report are in a bucket."""

import json
from pathlib import Path
from typing import Any

import pytest
from toys import CLASSES, lively_network, strip, write_strip

from inspection.cli import main
from inspection.store.folder import ReportFolder
from sise import bundle as bundles

RUN = (
    "run", "--bundle", "s3://steel/bundle", "--batch", "s3://steel/monday", "--out",
    "s3://steel/report", "--backend", "torch", "--precision", "fp32", "--budget", "20",
    "--runner-up", "false",
)  # fmt: skip


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small untrained network that flags all it sees."""
    folder = tmp_path_factory.mktemp("model") / "bundle"
    card = bundles.ModelCard(
        architecture="shufflenet_v2_x0_5",
        classes=CLASSES,
        input_size=(256, 256),
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
        thresholds=dict.fromkeys(CLASSES[1:], 0.0),
    )
    bundles.save(folder, card, lively_network())
    return folder


@pytest.fixture
def plant(bundle: Path, bucket: Any, tmp_path: Path) -> Any:
    """The bucket, with a bundle and a batch of one strip."""
    write_strip(tmp_path / "strips" / "coil" / "a.png", strip(256, bright=[100]))
    bucket.put(bundle, "bundle")
    bucket.put(tmp_path / "strips", "monday")
    return bucket


def test_a_report_that_was_interrupted_goes_on_elsewhere(
    plant: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def interrupted(*_: object) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ReportFolder, "finish", interrupted)
        assert main([*RUN]) == 130
    work = plant.keys("report/work/")
    shards = {key for key in work if key.endswith(".parquet")}
    assert len(shards) >= 2  # of predictions and of explanations
    assert not {"batch.json", "SHA256SUMS"} & plant.keys("report/").keys()
    capsys.readouterr()

    monkeypatch.setenv("STEEL_CACHE", str(tmp_path / "another machine"))
    assert main([*RUN]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1] == "s3://steel/report/index.html"
    assert str(tmp_path) not in printed.out + printed.err
    now = plant.keys("report/work/")
    assert {key: now[key] for key in shards} == {key: work[key] for key in shards}
    record = json.loads(plant.read("report/batch.json"))
    assert record["batch"] == "monday"
    assert record["batch_folder"] == "s3://steel/monday"
    assert record["bundle"]["folder"] == "s3://steel/bundle"
    assert [one["strip_id"] for one in record["inputs"]] == ["coil/a.png"]
    assert listed(plant).items() <= plant.sha256("report/").items()


def listed(plant: Any) -> dict[str, str]:
    """SHA-256 by name, from the report's list."""
    lines = plant.read("report/SHA256SUMS").decode().splitlines()
    return {line[66:]: line[:64] for line in lines}


@pytest.mark.slow
def test_a_report_is_up_to_date_verifies_and_is_renewed(
    plant: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    assert main([*RUN]) == 0
    sums = listed(plant)
    report = plant.keys("report/")
    assert main([*RUN]) == 0
    assert "(up to date)" in capsys.readouterr().out
    unchanged = {name: mark for name, mark in plant.keys("report/").items() if name in sums}
    assert unchanged == {name: report[name] for name in sums}

    verify = ("verify", "s3://steel/report")
    sources = ("--batch", "s3://steel/monday", "--bundle", "s3://steel/bundle")
    assert main([*verify, *sources]) == 0
    capsys.readouterr()
    assert main([*verify]) == 0
    told = capsys.readouterr().out
    assert "not here   batch   s3://steel/monday" in told
    assert "not here   bundle  s3://steel/bundle" in told
    plant.client.put_object(Bucket="steel", Key="report/index.html", Body=b"<p>all fine</p>")
    assert main([*verify, *sources]) == 3
    assert "changed    report  index.html" in capsys.readouterr().out

    write_strip(tmp_path / "more" / "coil" / "b.png", strip(256, black=[10]))
    plant.put(tmp_path / "more", "monday")
    monkeypatch.setenv("STEEL_CACHE", str(tmp_path / "another machine"))
    assert main([*RUN]) == 0
    assert [one["strip_id"] for one in json.loads(plant.read("report/batch.json"))["inputs"]] == [
        "coil/a.png",
        "coil/b.png",
    ]
    assert listed(plant).items() <= plant.sha256("report/").items()


@pytest.mark.parametrize(
    "command",
    [
        "watch s3://steel/monday --bundle s3://steel/bundle --out here",
        "watch here --bundle s3://steel/bundle --out s3://steel/monday",
        "review register --db sqlite:///here/r.db s3://steel/monday",
    ],
)
def test_what_cannot_work_on_a_copy_says_so(command: str, plant: Any, capsys: Any) -> None:
    keys = plant.keys()
    assert main(command.split()) == 2
    told = "defect-inspect: s3://steel/monday: an address, where a folder of this machine belongs"
    assert capsys.readouterr().err.splitlines()[-1] == told
    assert plant.keys() == keys


def test_a_place_of_others_is_refused(plant: Any, capsys: Any) -> None:
    plant.client.put_object(Bucket="steel", Key="report/index.html", Body=b"theirs")
    keys = plant.keys()
    assert main([*RUN]) == 2
    told = "s3://steel/report: not empty and no inspection report; choose another --out"
    assert capsys.readouterr().err.splitlines()[-1] == f"defect-inspect: {told}"
    assert plant.keys() == keys
