"""The page on reliability names tests that exist."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text("utf-8")


def names_in(file: Path) -> set[str]:
    tree = ast.parse(file.read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_named_test_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", PAGE)
    assert len(named) > 30
    assert len(named) == PAGE.count("::test_")
    missing = [f"{file}::{name}" for file, name in named if name not in names_in(ROOT / file)]
    assert missing == []


def test_every_test_that_breaks_an_inspection_is_named_by_its_file() -> None:
    files = {f"tests/inspection/{file.name}" for file in ROOT.glob("tests/inspection/test_break_*")}
    assert files <= set(re.findall(r"tests/[\w/]+\.py", PAGE))
