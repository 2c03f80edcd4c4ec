"""`severstal-prep check`: what is wrong with a recast dataset, in one table."""

import io
import json
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from severstal_prep import console, workers
from severstal_prep.checks import Check, Level, quick_checks, row_checks
from severstal_prep.crop_checks import decoded_checks
from severstal_prep.crop_facts import CropTask, measure
from severstal_prep.dataset import Card, card_sha256, class_counts, read_card, read_manifest
from severstal_prep.reference import Compared, Reference, compare, reference_check

FAILED = 3
STYLES = {"ok": "green", "warning": "yellow", "error": "bold red"}


@dataclass(frozen=True)
class Report:
    """What the checks of a dataset found. `compared` is empty without a reference."""

    root: Path
    card_sha256: str
    crops: int
    decoded: bool
    checks: tuple[Check, ...]
    compared: tuple[Compared, ...] = ()
    reference: str = ""

    def failed(self, level: Level) -> int:
        """How many checks of a level found something."""
        return sum(bool(check.found) for check in self.checks if check.level == level)


def check(root: Path, quick: bool, reference: Reference | None, jobs: int) -> Report:
    """Check the recast dataset at `root`; `quick` decodes no image.

    Rows that keep to no card or layout end it: nothing else could be said of them. Raises
    DatasetError for a folder that is no recast dataset, or whose card or manifest cannot be read.
    """
    card, sha256, manifest = read_card(root, Card), card_sha256(root), read_manifest(root)
    checks = row_checks(card["classes"], manifest)
    if any(one.found for one in checks):
        return Report(root, sha256, len(manifest), False, tuple(checks))
    checks += quick_checks(root, card, manifest)
    compared = list[Compared]()
    if reference is not None:
        classes = card["classes"]
        totals = class_counts(manifest, len(classes))["total"]
        compared = compare(classes, list(totals.values()), reference)
        checks.append(reference_check(compared, reference))
    if not quick:
        decoded = _decoded(root, card, manifest, jobs)
        named = {one.name for one in decoded}
        checks = [one for one in checks if one.name not in named] + decoded
    name = "" if reference is None else reference.name
    return Report(root, sha256, len(manifest), not quick, tuple(checks), tuple(compared), name)


def _decoded(root: Path, card: dict[str, Any], manifest: pd.DataFrame, jobs: int) -> list[Check]:
    tasks = [
        CropTask(root / crop, root / mask if mask else None)
        for crop, mask in zip(manifest["crop_path"], manifest["mask_path"], strict=True)
    ]
    with closing(workers.run(measure, tasks, jobs)) as measured:
        facts = list(console.track(measured, len(tasks), "checking crops"))
    return decoded_checks(card, manifest, facts)


def as_json(report: Report, examples: int) -> str:
    """The report for machines, with so many examples of each check."""
    content = {
        "dataset": str(report.root),
        "card_sha256": report.card_sha256,
        "crops": report.crops,
        "decoded": report.decoded,
        "errors": report.failed("error"),
        "warnings": report.failed("warning"),
        "checks": [
            {
                "name": one.name,
                "level": one.level,
                "found": one.found,
                "examples": [asdict(example) for example in one.examples[:examples]],
                "cure": one.cure,
            }
            for one in report.checks
        ],
        "reference": report.reference,
        "classes": [asdict(one) for one in report.compared],
    }
    return json.dumps(content, indent=2, allow_nan=False)


def print_report(report: Report, examples: int) -> None:
    """Print the report on stdout: tables on a terminal, plain lines elsewhere."""
    terminal = sys.stdout.isatty()
    out = Console() if terminal else Console(file=io.StringIO(), width=10_000)
    said = "" if report.decoded else "; images were not decoded"
    out.print(Text(f"{report.root}: {report.crops:,} crops{said}\n"), soft_wrap=True)
    out.print(_table(report.checks, examples, terminal))
    if report.compared:
        out.print(Text(f"\nreference: {report.reference}"), soft_wrap=True)
        out.print(_class_table(report.compared, terminal))
    out.print(f"\n{_summary(report)}", highlight=False, soft_wrap=True)
    if not terminal:
        lines = out.file.getvalue().splitlines()  # type: ignore[attr-defined]
        print("\n".join(line.rstrip() for line in lines))


def _summary(report: Report) -> str:
    errors, warnings = report.failed("error"), report.failed("warning")
    if not errors + warnings:
        return f"{len(report.checks)} checks, nothing found"
    return (
        f"{len(report.checks)} checks: {_number(errors, 'error')}, {_number(warnings, 'warning')}"
    )


def _number(count: int, of: str) -> str:
    return f"{count} {of}{'' if count == 1 else 's'}"


def _new_table(terminal: bool, *columns: str) -> Table:
    if terminal:
        return Table(*columns)
    return Table(*columns, box=None, pad_edge=False, padding=(0, 2, 0, 0))


def _table(checks: Sequence[Check], examples: int, terminal: bool) -> Table:
    table = _new_table(terminal, "check", "result", "found", "first examples, and the cure")
    table.columns[2].justify = "right"
    for one in checks:
        result = one.level if one.found else "ok"
        lines = [str(example) for example in one.examples[:examples]]
        if one.found > examples:
            lines.append(f"and {one.found - examples:,} more")
        lines += [f"→ {one.cure}"] * bool(one.found)
        table.add_row(
            Text(one.name),
            Text(result, STYLES[result]),
            Text(f"{one.found:,}" if one.found else ""),
            Text("\n".join(lines), overflow="fold"),
        )
    return table


def _class_table(compared: Sequence[Compared], terminal: bool) -> Table:
    table = _new_table(terminal, "class", "crops", "share", "reference", "share", "ratio", "")
    for column in table.columns[1:-1]:
        column.justify = "right"
    for one in compared:
        table.add_row(
            Text(one.class_name),
            f"{one.crops:,}",
            f"{100 * one.share:.2f} %",
            f"{one.reference_crops:,}",
            f"{100 * one.reference_share:.2f} %",
            f"{one.ratio:.2f}",
            "differs" if one.differs else "same" if one.crops == one.reference_crops else "",
        )
    return table
