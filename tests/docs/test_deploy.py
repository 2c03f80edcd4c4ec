"""The files for clusters in docs/deploy: what they name exists, what they run is what they say."""

import os
import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from inspection.commands.run import parser

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "docs/deploy"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
RAY = re.findall(r"^ray==(\S+)", (ROOT / "requirements.lock").read_text("utf-8"), re.M)[0]
EXTRAS = re.compile(r"whl\)?\)\[([\w,]+)\]")


def checked(command: str) -> Any:
    """The options of a `defect-inspect run …`, read by its own parser."""
    program, name, *options = shlex.split(command)
    assert (program, name) == ("defect-inspect", "run")
    return parser().parse_args(options)


@pytest.mark.parametrize("name", ["Dockerfile", "ray-up.yaml"])
def test_the_wheel_is_installed_with_extras_that_exist(name: str) -> None:
    (extras,) = EXTRAS.findall((DEPLOY / name).read_text("utf-8"))
    assert set(extras.split(",")) <= PROJECT["optional-dependencies"].keys()
    assert {"inspect", "ray"} <= set(extras.split(","))


def test_the_image_has_the_ray_and_python_of_the_lock() -> None:
    text = (DEPLOY / "Dockerfile").read_text("utf-8")
    (tag,) = re.findall(r"^FROM rayproject/ray:(\S+)$", text, re.M)
    assert tag == f"{RAY}-py311"


def test_ray_takes_the_file_for_ray_up(monkeypatch: pytest.MonkeyPatch) -> None:
    util = pytest.importorskip("ray.autoscaler._private.util")
    monkeypatch.chdir(ROOT)
    config = yaml.safe_load((DEPLOY / "ray-up.yaml").read_text("utf-8"))
    prepared = util.prepare_config(config)
    util.validate_config(prepared)
    assert prepared["max_workers"] == len(config["provider"]["worker_ips"])
    (kind,) = prepared["available_node_types"].values()
    assert kind["min_workers"] == 2


@pytest.mark.parametrize("name", ["ray-up.yaml", "slurm.sh"])
def test_options_of_ray_exist(name: str) -> None:
    scripts = pytest.importorskip("ray.scripts.scripts")
    text = (DEPLOY / name).read_text("utf-8").replace("\\\n", " ")
    ran = re.findall(r"\bray ((?:start|stop|symmetric-run)\b.*?)(?: -- .*)?$", text, re.M)
    assert len(ran) == {"ray-up.yaml": 4, "slurm.sh": 1}[name]
    for line in ran:
        command, *options = shlex.split(line)
        known = {one for name in {command, "start"} for p in scripts.cli.commands[name].params
                 for one in p.opts}  # fmt: skip
        assert {one.partition("=")[0] for one in options if one.startswith("--")} <= known


def test_the_job_for_kuberay_is_whole() -> None:
    job = yaml.safe_load((DEPLOY / "kuberay.yaml").read_text("utf-8"))
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    cluster = job["spec"]["rayClusterSpec"]
    assert cluster["rayVersion"] == RAY
    options = checked(job["spec"]["entrypoint"])
    head = cluster["headGroupSpec"]["template"]["spec"]
    (container,) = head["containers"]
    (mount,) = container["volumeMounts"]
    assert mount["name"] in {volume["name"] for volume in head["volumes"]}
    for path in (options.bundle, options.batch, options.out):
        assert path.is_relative_to(mount["mountPath"])
    assert options.engine == "ray"
    (workers,) = cluster["workerGroupSpecs"]
    (worker,) = workers["template"]["spec"]["containers"]
    assert worker["image"] == container["image"]
    assert workers["minReplicas"] <= workers["replicas"] <= workers["maxReplicas"]


FAKES = {
    "scontrol": 'test "$*" = "show hostnames gpu[1-2]" && printf "gpu1\\ngpu2\\n"',
    "srun": 'for option; do case $option in --*) shift;; *) break;; esac; done; exec "$@"',
    "ray": 'echo "$RAY_ADDRESS ray $*" >> "$TOLD"; while test "$1" != --; do shift; done; shift; '
    'exec "$@"',
    "defect-inspect": 'echo "defect-inspect $*" >> "$TOLD"; exit 4',
}


def test_the_job_for_slurm_runs_the_command_on_all_machines(tmp_path: Path) -> None:
    for name, body in FAKES.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{body}\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        ["bash", DEPLOY / "slurm.sh"],
        env={
            "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "TOLD": str(tmp_path / "told"),
            "HOME": "/home/a", "SLURM_JOB_NODELIST": "gpu[1-2]", "SLURM_JOB_NUM_NODES": "2",
            "SLURM_CPUS_PER_TASK": "16",
        },
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (4, "")
    started, ran = (tmp_path / "told").read_text().splitlines()
    assert started.startswith(
        "gpu1:6379 ray symmetric-run --address gpu1:6379 --min-nodes 2 --num-cpus 16 -- defect"
    )
    options = checked(ran)
    assert (options.engine, str(options.out)) == ("ray", "/home/a/report")
