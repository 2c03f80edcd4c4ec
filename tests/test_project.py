"""The project's own files say what pyproject.toml says."""

import re
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
LOCK = (ROOT / "requirements.lock").read_text("utf-8")


def test_the_lock_has_every_package_asked_for_in_a_version_that_will_do() -> None:
    locked: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==(\S+)", LOCK, re.MULTILINE):
        locked.setdefault(name, set()).add(version)
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    asked = [Requirement(line) for group in groups for line in group]
    names = {canonicalize_name(one.name) for one in asked} - {PROJECT["name"]}
    assert names <= locked.keys()
    wrong = [
        str(one)
        for one in asked
        for version in locked.get(canonicalize_name(one.name), ())
        if not one.specifier.contains(version)
    ]
    assert wrong == []


def test_the_lock_names_no_registry_and_a_hash_for_every_package() -> None:
    assert "://" not in LOCK
    packages = re.split(r"^(?=[a-z0-9])", LOCK, flags=re.MULTILINE)[1:]
    assert [one for one in packages if "--hash=sha256:" not in one] == []


def test_no_file_of_the_lint_of_scripts_names_a_host() -> None:
    files = [path for path in (ROOT / ".ci" / "js").iterdir() if path.is_file()]
    assert {"package.json", "package-lock.json", ".npmrc"} <= {path.name for path in files}
    assert [path.name for path in files if "://" in path.read_text("utf-8")] == []


def test_all_brings_every_extra_that_users_need() -> None:
    extras = PROJECT["optional-dependencies"]
    (whole,) = map(Requirement, extras["all"])
    assert whole.extras == set(extras) - {"all", "dev"}
    assert Requirement(extras["dev"][0]).extras == {"all"}


def test_the_version_stands_in_the_changelog() -> None:
    heading = f"## {PROJECT['version']} — "
    assert heading in (ROOT / "docs" / "CHANGELOG.md").read_text("utf-8")


def test_the_citation_names_this_software_and_the_paper() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation.keys() >= {"cff-version", "message", "title", "authors"}
    assert (citation["title"], citation["license"]) == (PROJECT["name"], PROJECT["license"])
    (paper,) = citation["references"]
    assert [author["family-names"] for author in paper["authors"]] == [
        "Sattarzadeh", "Sudhakar", "Lem", "Mehryar", "Plataniotis",
        "Jang", "Kim", "Jeong", "Lee", "Bae",
    ]  # fmt: skip


def test_what_runs_before_a_commit_is_what_make_runs() -> None:
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]
    assert repository["repo"] == "local"
    assert [hook["entry"] for hook in repository["hooks"]] == ["make lint"]
