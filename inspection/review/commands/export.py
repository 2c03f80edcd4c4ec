"""`review export`: reviewed crops as a dataset."""

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from inspection.review.commands.options import new_parser


def parser() -> ArgumentParser:
    """Options of the command."""
    made = new_parser(
        "Write confirmed, reclassed and rejected (then normal) patches as a recast dataset that "
        "defect-train reads. Strips are read where they were inspected, and checked."
    )
    made.add_argument("--out", type=Path, required=True, help="folder of the dataset, new")
    made.add_argument("--seed", type=int, default=0, help="seed of the split")
    return made


def run(arguments: Namespace) -> int:
    """Export; the crops per class on stdout, what is missing on stderr."""
    from inspection.review.database import open_database
    from inspection.review.dataset import export
    from sise.progress import note

    exported = export(open_database(arguments.db), arguments.out, arguments.seed)
    width = max(8, *map(len, exported.classes))
    for class_id, name in enumerate(exported.classes):
        numbers = [f"{part} {counts[str(class_id)]}" for part, counts in exported.counts.items()]
        print(f"{name:{width}} {', '.join(numbers)}")
    print(f"{arguments.out}: written")
    if exported.disputed:
        note(f"left out: {exported.disputed} patches on which people disagree")
    if exported.absent:
        note(f"no crop of {', '.join(exported.absent)}: too few strips were reviewed")
    return 0
