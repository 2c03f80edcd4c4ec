"""The wheel, installed outside the checkout beside nothing but what an extra asks for."""

import json
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PACKAGES = ("severstal_prep", "training", "sise", "inspection")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
PROGRAMS: dict[str, str] = PROJECT["scripts"]

pytestmark = pytest.mark.slow

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def source() -> list[str]:
    """The paths of the four packages that git knows."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", *PACKAGES], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return [path for path in listed.stdout.split("\0") if path and (ROOT / path).is_file()]


@pytest.fixture(scope="module")
def wheel(source: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "source"
    for path in [*source, "pyproject.toml", "README.md", "LICENSE", "NOTICE"]:
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        (copy / path).write_bytes((ROOT / path).read_bytes())
    code = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, folder], cwd=copy, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """The folder that holds the installed wheel, its programs in `bin`."""
    folder = wheel.parent / "installed"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target",
         folder, wheel],
        check=True,
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def run(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs a program of the wheel, or Python itself, where only some extras are installed."""
    folder = tmp_path_factory.mktemp("run")

    def with_extras(extras: str, *command: object, code: int = 0) -> subprocess.CompletedProcess:
        beside = folder / (extras or "core")
        if not beside.exists():
            link_packages(beside, extras.split())
        program, *arguments = map(str, command)
        done = subprocess.run(
            # -S: without the packages of the environment that runs the tests
            [sys.executable, "-S", *([str(installed / "bin" / program)] * (program != "python")),
             *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": f"{installed}{os.pathsep}{beside}"},
            capture_output=True,
            text=True,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        return done

    return with_extras


def link_packages(folder: Path, extras: list[str]) -> None:
    """Fill `folder` with links to the installed packages that steel-sise and `extras` bring."""
    folder.mkdir()
    site = Path(sysconfig.get_path("purelib"))
    waiting = [*PROJECT["dependencies"], *(line for extra in extras for line in EXTRAS[extra])]
    seen = set()
    while waiting:
        asked = Requirement(waiting.pop())
        for extra in {"", *asked.extras} - {old for name, old in seen if name == asked.name}:
            seen.add((asked.name, extra))
            if asked.name == PROJECT["name"]:
                waiting += EXTRAS.get(extra, [])
                continue
            try:
                package = distribution(asked.name)
            except PackageNotFoundError:
                assert asked.name == "opencv-python"  # its twin for machines without a screen
                continue
            waiting += [line for line in package.requires or [] if holds(line, extra)]
            for top in {file.parts[0] for file in package.files or []} - {"..", "__pycache__"}:
                if not (folder / top).exists():
                    (folder / top).symlink_to(site / top)


def holds(line: str, extra: str) -> bool:
    marker = Requirement(line).marker
    return marker is None or marker.evaluate({**default_environment(), "extra": extra})


def test_the_wheel_holds_every_file_of_the_packages(source: list[str], wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
        licences = {Path(name).name for name in archive.namelist() if "/licenses/" in name}
    assert held == set(source)
    assert licences == {"LICENSE", "NOTICE"}
    suffixes = {Path(name).suffix for name in held}
    assert suffixes >= {".py", ".typed", ".yaml", ".j2", ".css", ".js"}


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_plain_install_tells_its_version_and_helps(program: str, run: Run) -> None:
    assert run("", program, "--version").stdout == f"{program} {PROJECT['version']}\n"
    assert f"usage: {program} " in run("", program, "--help").stdout


def test_a_plain_install_explains(installed: Path, run: Run) -> None:
    code = """
        import sys, sise, torch
        [getattr(sise, name) for name in sise.__all__]
        layers = [torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
                  torch.nn.Conv2d(4, 4, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1),
                  torch.nn.Flatten(), torch.nn.Linear(4, 2)]
        model = torch.nn.Sequential(*layers).eval()
        print(*sise.SISE(model)(torch.rand(1, 3, 32, 32)).maps.shape, sise.__file__)
        print({"pandas", "fastapi", "pytorch_lightning", "matplotlib"} & set(sys.modules))
    """
    done = run("", "python", "-c", re.sub(r"^ {8}", "", code, flags=re.MULTILINE))
    assert done.stdout == f"1 32 32 {installed / 'sise' / '__init__.py'}\nset()\n"


@pytest.mark.parametrize(
    ("extra", "package", "left_out"),
    [
        ("", "sise", "evaluation|ablation|sanity"),
        ("evaluate", "sise", ""),
        ("prep", "severstal_prep", ""),
        ("train", "training", "tune"),
        ("train tune", "training", ""),
        ("inspect", "inspection", "review"),
        ("review", "inspection", "env"),
    ],
)
def test_every_module_imports_with_its_extra(
    extra: str, package: str, left_out: str, run: Run
) -> None:
    code = """
        import importlib, pkgutil, re, sys
        def walk(name):
            module = importlib.import_module(name)
            print(module.__file__)
            for one in pkgutil.iter_modules(getattr(module, "__path__", [])):
                if not re.fullmatch(sys.argv[2] or "-", one.name) and one.name != "__main__":
                    walk(f"{name}.{one.name}")
        walk(sys.argv[1])
    """
    code = re.sub(r"^ {8}", "", code, flags=re.MULTILINE)
    files = run(extra, "python", "-c", code, package, left_out).stdout.split()
    assert len(files) > 20
    assert not [file for file in files if file.startswith(str(ROOT))]


@pytest.mark.parametrize(
    ("command", "extra", "needs"),
    [
        ("severstal-prep build --csv c --images i --out o", "prep",
         "imagehash, matplotlib, pandas, pyarrow"),
        ("sise evaluate --bundle b --data d --out o", "evaluate",
         "matplotlib, pandas, pyarrow, scikit-image, scipy"),
        ("defect-train fit --config demo --data.root d", "train",
         "albumentations, matplotlib, pandas, pyarrow, pytorch-lightning, "
         "scipy, tensorboard, torchmetrics"),
        ("defect-inspect run --bundle b --batch s --out o", "inspect",
         "matplotlib, pandas, pyarrow, scikit-image, scipy"),
        ("defect-inspect watch s --bundle b --out o --port 9464", "watch",
         "matplotlib, pandas, prometheus-client, pyarrow, scikit-image, scipy"),
        ("defect-inspect serve --db sqlite:///r.db", "review",
         "alembic, argon2-cffi, authlib, fastapi, httpx, imagehash, itsdangerous, matplotlib, "
         "pandas, pyarrow, python-multipart, scikit-image, scipy, sqlalchemy, uvicorn, xlsxwriter"),
    ],
)  # fmt: skip
def test_a_missing_extra_is_one_line(command: str, extra: str, needs: str, run: Run) -> None:
    program, *options = command.split()
    done = run("", program, *options, code=2)
    assert done.stderr == f'{program} needs {needs}: pip install "steel-sise[{extra}]"\n'


def test_a_postgresql_database_without_its_extra_is_one_line(run: Run) -> None:
    stats = ("defect-inspect", "review", "stats", "--db", "postgresql://a@b/c")
    told = 'postgresql+psycopg://a@b/c: needs psycopg: pip install "steel-sise[postgresql]"'
    assert run("review", *stats, code=2).stderr == f"defect-inspect: {told}\n"


@pytest.mark.parametrize(
    ("form", "library"), [("onnx", "onnx, onnxruntime, onnxscript"), ("openvino", "openvino")]
)
def test_a_format_without_its_extra_is_one_line(form: str, library: str, run: Run) -> None:
    export = ("defect-train", "export", "--bundle", "b", "--format", form, "--out", "o")
    told = f'--format {form} needs {library}: pip install "steel-sise[{form}]"'
    assert run("train", *export, code=2).stderr == f"defect-train: {told}\n"


def test_an_address_without_its_extra_is_one_line(run: Run) -> None:
    told = 'severstal-prep: s3://b/d: needs pip install "steel-sise[remote]"\n'
    assert run("prep", "severstal-prep", "check", "s3://b/d", code=2).stderr == told


@pytest.mark.slow(minutes=2)
def test_each_command_works_with_its_extra(run: Run, tmp_path: Path) -> None:
    strips, dataset, trained, report = (tmp_path / name for name in ("s", "d", "t", "r"))
    bundle = trained / "bundle"
    run("prep", "severstal-prep", "sample", "--out", strips, "--strips", 24, "--holdout", 1)
    run("prep", "severstal-prep", "build", "--csv", strips / "train.csv", "--images",
        strips / "train_images", "--out", dataset, "--jobs", 1)  # fmt: skip
    run("train", "defect-train", "fit", "--config", "demo", "--data.root", dataset, "--out",
        trained, "--data.epoch_crops", 32, "--trainer.max_epochs", 1)  # fmt: skip
    for form in ("onnx", "openvino"):
        run(f"train {form}", "defect-train", "export", "--bundle", bundle, "--format", form,
            "--out", tmp_path / form)  # fmt: skip
        assert (tmp_path / form / "export.json").is_file()
    crop = next((dataset / "crops").rglob("*.png"))
    blocks = run("", "sise", "blocks", "--bundle", bundle)
    assert "1192 maps, each one forward pass at most" in blocks.stdout
    run("", "sise", "explain", "--bundle", bundle, "--image", crop, "--budget", 20, "--out",
        tmp_path / "maps")  # fmt: skip
    assert list((tmp_path / "maps").glob("*.png"))
    run("evaluate", "sise", "evaluate", "--bundle", bundle, "--data", dataset, "--limit", 2,
        "--methods", "gradcam", "noise", "--out", tmp_path / "e")  # fmt: skip
    assert (tmp_path / "e" / "summary.html").is_file()
    run("inspect", "defect-inspect", "run", "--bundle", bundle, "--batch", strips / "test_images",
        "--out", report)  # fmt: skip
    record = json.loads((report / "batch.json").read_text("utf-8"))
    assert record["versions"]["steel-sise"] == PROJECT["version"]
    database = f"sqlite:///{tmp_path / 'review.db'}"
    run("review", "defect-inspect", "review", "register", "--db", database, report)
    stats = run("review", "defect-inspect", "review", "stats", "--db", database)
    assert stats.stdout.startswith("1 batch; patches disputed 0, open again 0\n")
