"""The pages: links lead somewhere, commands in them exist, and the site builds in full."""

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

import sise

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(
    [
        ROOT / "README.md",
        ROOT / "benchmarks/results/README.md",
        *DOCS.rglob("*.md"),
        *DOCS.rglob("*.ipynb"),
    ]
)
PROGRAM = re.compile(
    r"(?:\S*/)?(severstal-prep|defect-train|sise|defect-inspect)((?: [a-z][a-z-]*)+)"
)


def text_of(page: Path) -> str:
    """A page's Markdown; of a notebook the cells, code fenced."""
    text = page.read_text("utf-8")
    if page.suffix == ".md":
        return text
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in json.loads(text)["cells"]]
    return "\n\n".join(
        source if kind == "markdown" else f"```\n{source}\n```" for kind, source in cells
    )


def without_code(text: str) -> str:
    return re.sub(r"`[^`\n]+`", "", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M))


@cache
def anchors(page: Path) -> set[str]:
    """Ids of a page's headings, as GitHub and MyST make them."""
    titles = re.findall(
        r"^#{1,6} (.+)$", re.sub(r"^```.*?^```", "", text_of(page), flags=re.S | re.M), re.M
    )
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    dead = []
    for link in re.findall(r"\]\(([^)\s]+)\)", without_code(text_of(page))):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert dead == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_and_names_of_the_code_exist(page: Path) -> None:
    """`sise/engine.py` is a file, `sise.metrics.measure` is defined in `sise/metrics`."""
    ours = "severstal_prep|training|sise|inspection|tests|benchmarks"
    code = re.findall(r"`([^`\n]+)`", text_of(page))
    paths = {name for name in code if re.fullmatch(rf"(?:{ours})/[\w/.*-]+", name)}
    missing = [name for name in paths if "NAME" not in name and not any(ROOT.glob(name))]
    for name in {found for text in code for found in re.findall(rf"^(?:{ours})(?:\.\w+)+", text)}:
        parts = name.split(".")
        if parts[-1] in ("py", "yaml"):
            continue
        depth = max(
            n for n in range(1, len(parts) + 1) if any(ROOT.glob("/".join(parts[:n]) + "*"))
        )
        home = [
            ROOT.joinpath(*parts[:depth]).with_suffix(".py"),
            ROOT.joinpath(*parts[:depth], "__init__.py"),
        ]
        source = "".join(file.read_text("utf-8") for file in home if file.exists())
        if depth < len(parts) and not re.search(rf"\b{parts[depth]}\b", source):
            missing.append(name)
    assert missing == []


@cache
def helper(name: str = "command_help") -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@cache
def known(program: str) -> dict[tuple[str, ...], str]:
    """Each command of a program, and its help."""
    return {tuple(command): text for command, text in helper().with_subcommands([program])}


def commands_in(text: str) -> Iterator[str]:
    """Command lines in code blocks and inline code, continued lines joined, comments off."""
    blocks = re.findall(r"^```(?:sh|bash)?\n(.*?)^```", text, re.S | re.M)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    lines += re.findall(r"^    (\S.*)$", text, re.M)
    lines += re.findall(
        r"(?<!`)`([^`\n]+)`(?!`)", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    )
    for line in lines:
        if PROGRAM.match(line.strip()):
            yield line.strip().partition(" # ")[0]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_their_options_exist(page: Path) -> None:
    wrong = []
    for line in commands_in(text_of(page)):
        program, words = PROGRAM.match(line).groups()  # type: ignore[union-attr]
        commands = known(program)
        named = (program, *words.split())
        command = next((named[:end] for end in (4, 3, 2) if named[:end] in commands), None)
        if command is None:
            wrong.append(line)
            continue
        options = re.findall(r"(?<!\S)\[?(--[a-z][\w.-]*)", line)
        wrong += [
            f"{line}: {option}"
            for option in options
            if not re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", commands[command])
        ]
    assert wrong == []


def test_what_a_test_of_examples_would_find() -> None:
    assert list(commands_in("```\nsise bench --a \\\n  --b  # c\nls\n```\n`sise blocks --c`")) == [
        "sise bench --a    --b ",
        "sise blocks --c",
    ]
    assert ("defect-inspect", "review", "sample") in known("defect-inspect")


def test_results_md_has_the_columns_that_the_code_declares() -> None:
    renewed = helper("result_columns").renewed
    page = (DOCS / "results.md").read_text("utf-8")
    assert page == renewed(page), "renew it with: python docs/result_columns.py"
    other = page.replace("| `weak` | bool |", "| `week` | bool |").replace("| `coil` |", "| `c` |")
    assert renewed(other) == page
    with pytest.raises(ValueError, match="no table of columns below the heading regions"):
        renewed(page.replace("## regions.csv", "## regions"))


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_without_a_network(tmp_path: Path) -> None:
    build = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-D",
        "nb_execution_mode=off",
    ]
    done = subprocess.run(
        [*build, "-d", tmp_path / "doctrees", DOCS, tmp_path / "site"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    pages = [page.read_text("utf-8") for page in (tmp_path / "site").rglob("*.html")]
    assert len(pages) > 30
    fetched = r"<(?:script|link|img|iframe)[^>]*(?:src|href)=\"(?:https?:)?//"
    assert [found for page in pages for found in re.findall(fetched, page)] == []
    api = (tmp_path / "site" / "api.html").read_text("utf-8")
    assert [name for name in sise.__all__ if f'id="sise.{name}"' not in api] == []
