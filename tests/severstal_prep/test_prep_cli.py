import json
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import yaml

from severstal_prep import build as build_module
from severstal_prep.build import Outcome, Request
from severstal_prep.cli import main
from severstal_prep.dataset import read_card
from severstal_prep.errors import PrepError


def test_help_needs_no_heavy_library() -> None:
    script = (
        "import sys\n"
        "from severstal_prep.cli import main\n"
        "try:\n    main(['build', '--help'])\n"
        "except SystemExit as stop:\n    assert stop.code == 0\n"
        "heavy = {'pandas', 'numpy', 'cv2', 'PIL', 'torch', 'matplotlib', 'scipy', 'imagehash'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--min-defect-pixels" in done.stdout


def test_stats_json(seven_strips: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stats", "--csv", str(seven_strips.csv), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["crops"] == {"0": 22, "1": 2, "2": 1, "3": 7, "4": 2}
    assert printed["multi_class_strips"] == 1


def test_stats_table(seven_strips: Any, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["stats", "--csv", str(seven_strips.csv), "--images", str(seven_strips.images)]
    assert main(arguments) == 0
    captured = capsys.readouterr()
    assert "class 3         3        7        4        3" in captured.out
    assert captured.err.startswith("reading strips: 6/6")


def build_arguments(folder: Any, out: Path, *more: str) -> list[str]:
    return ["build", "--csv", str(folder.csv), "--images", str(folder.images),
            "--out", str(out), *more]  # fmt: skip


def test_build_passes_every_option(
    seven_strips: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "выход dir"
    options = ["--split", "paper", "--seed", "0", "--normals", "all", "--offset", "5",
               "--min-defect-pixels", "41", "--black-threshold", "0.5", "--jobs", "1"]  # fmt: skip
    assert main(build_arguments(seven_strips, out, *options)) == 0
    settings = read_card(out)["settings"]
    del settings["csv_sha256"]
    assert settings == {
        "recipe": "paper", "offset": 5, "min_defect_pixels": 41, "normals": "all",
        "black_threshold": 0.5, "split": "paper", "seed": 0,
    }  # fmt: skip
    assert f"{out}: written" in capsys.readouterr().out
    assert main(build_arguments(seven_strips, out, *options)) == 0
    assert f"{out}: complete already, unchanged" in capsys.readouterr().out


def test_build_from_a_config_file(seven_strips: Any, tmp_path: Path) -> None:
    config = tmp_path / "build.yaml"
    config.write_text(yaml.safe_dump({"offset": 3, "images": str(seven_strips.images)}))
    out = tmp_path / "out"
    assert main(["build", "--config", str(config), "--csv", str(seven_strips.csv),
                 "--out", str(out)]) == 0  # fmt: skip
    assert read_card(out)["settings"]["offset"] == 3


def test_errors_are_one_line_and_exit_2(
    seven_strips: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seven_strips.rows[1] = "b.jpg,7,1 1"
    seven_strips.write()
    out = tmp_path / "out"
    assert main(build_arguments(seven_strips, out)) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        f"severstal-prep: {seven_strips.csv}, row 3: class '7': the classes are 1, 2, 3 and 4 "
        "(--on-error quarantine lists all problems and goes on)\n"
    )
    assert not out.exists()
    assert main(["stats", "--csv", str(tmp_path / "none.csv")]) == 2
    assert "there is no such file" in capsys.readouterr().err
    assert main(build_arguments(seven_strips, out, "--offset", "65")) == 2
    assert "--offset must be 0 to 64 px, not 65" in capsys.readouterr().err


def test_quarantine_exits_with_4_each_time(
    seven_strips: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seven_strips.rows[1] = "b.jpg,7,1 1"
    seven_strips.write()
    out = tmp_path / "out"
    for _ in range(2):
        assert main(build_arguments(seven_strips, out, "--on-error", "quarantine")) == 4
        assert f"1 strip could not be used: {out / 'rejected.csv'}" in capsys.readouterr().err
    lines = (out / "rejected.csv").read_text("utf-8").splitlines()
    assert lines == [
        "row,image,class,reason",
        "3,b.jpg,7,\"class '7': the classes are 1, 2, 3 and 4\"",
    ]


def test_a_folder_that_cannot_be_written_is_one_line(
    seven_strips: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    assert main(build_arguments(seven_strips, tmp_path / "file" / "out")) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "where a folder belongs" in error


def test_the_engine_takes_its_cluster_from_option_or_environment(
    seven_strips: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[str | None]()

    def build(request: Request) -> Outcome:
        asked.append(request.ray)
        raise PrepError("seen")

    monkeypatch.setattr(build_module, "build", build)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    arguments = build_arguments(seven_strips, tmp_path / "out")
    assert main(arguments) == 2
    assert main([*arguments, "--engine", "ray"]) == 2
    assert main([*arguments, "--engine", "ray", "--ray-address", "head:6379"]) == 2
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert main([*arguments, "--engine", "ray"]) == 2
    assert main(arguments) == 2
    assert asked == [None, "local", "head:6379", "10.0.0.1:6379", None]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--ray-address", "head:6379"],
         "--ray-address belongs to --engine ray: add that, or leave it out"),
        (["--engine", "ray", "--ray-address", "127.0.0.1:9"],
         "--ray-address 127.0.0.1:9: no Ray cluster answers there; start one there "
         "(ray start --head), or leave the option out to start one here"),
    ],
)  # fmt: skip
def test_a_cluster_that_cannot_be_is_one_line(
    seven_strips: Any,
    tmp_path: Path,
    options: list[str],
    told: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([*build_arguments(seven_strips, tmp_path / "out"), *options]) == 2
    assert capsys.readouterr().err == f"severstal-prep: {told}\n"


@pytest.mark.parametrize(
    "arguments",
    [[], ["build"], ["build", "--csv", "a"], ["stats", "--csv", "a", "--recipe", "mine"],
     ["build", "--csv", "a", "--images", "b", "--out", "c", "--split", "random"]],
)  # fmt: skip
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2


def test_sample_is_called_with_its_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = []

    def write_sample(out: Path, **options: int) -> str:
        calls.append((out, options))
        return "5 strips"

    module = types.ModuleType("severstal_prep.sample")
    module.write_sample = write_sample
    monkeypatch.setitem(sys.modules, "severstal_prep.sample", module)
    assert main(["sample", "--out", str(tmp_path), "--strips", "5", "--seed", "0"]) == 0
    assert calls == [(tmp_path, {"strips": 5, "holdout": 0, "seed": 0})]
    assert capsys.readouterr().out == "5 strips\n"
