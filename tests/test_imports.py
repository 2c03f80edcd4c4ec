"""The packages' imports, read from their sources: those within functions too."""

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "severstal_prep": set[str](),
    "sise": set[str](),
    "training": {"severstal_prep", "sise"},
    "inspection": {"severstal_prep", "sise", "training"},
}
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in MAY_IMPORT
    for path in sorted((ROOT / package).rglob("*.py"))
}


@cache
def imports(module: str) -> set[str]:
    """Our modules that `module` imports."""
    named = set[str]()
    for node in ast.walk(ast.parse(FILES[module].read_text("utf-8"))):
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            named |= inside & FILES.keys() or {node.module}
    return named & FILES.keys() - {module}


def test_no_module_imports_itself_by_way_of_others():
    try:
        TopologicalSorter({module: imports(module) for module in FILES}).prepare()
    except CycleError as error:
        pytest.fail(" → ".join(reversed(error.args[1])))


def test_packages_import_one_way():
    uphill = [
        f"{module} imports {other}"
        for module in FILES
        for other in imports(module)
        if other.split(".")[0] not in {module.split(".")[0], *MAY_IMPORT[module.split(".")[0]]}
    ]
    assert uphill == []


def test_what_the_two_tests_above_read():
    assert "sise.engine" in imports("sise.methods.base")
    assert "severstal_prep.images" in imports("inspection.pipeline.strips")
