"""Which crop trains, which validates, which tests.

`paper` draws crops one by one, as the paper did, so that parts of one strip train and test.
`grouped` keeps strips, and near-duplicates of strips, together. Both order crops by a hash
of seed and name: the same seed gives the same split with any version of any library.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence

from severstal_prep.dataset import SPLITS

GROUPED_SHARES = {"train": 0.56, "val": 0.14, "test": 0.30}
"""The paper's proportions: 70 % train, of which 20 % validate."""


def paper_counts(crops: int) -> tuple[int, int]:
    """Train (validation included) and test size of a class of `crops`: floor(0.7 n), the rest.

    Table 3 of the paper has these counts for all five classes.
    """
    train = crops * 7 // 10
    return train, crops - train


def paper_split(crop_ids: Sequence[str], classes: Sequence[int], seed: int) -> list[str]:
    """Split class by class: floor(0.7 n) train, the rest test; a fifth of train validates."""
    split = dict[str, str]()
    for class_id in set(classes):
        members = [crop_id for crop_id, c in zip(crop_ids, classes, strict=True) if c == class_id]
        members.sort(key=lambda crop_id: draw(seed, crop_id))
        train, _ = paper_counts(len(members))
        val = train // 5
        split |= dict.fromkeys(members[:val], "val")
        split |= dict.fromkeys(members[val:train], "train")
        split |= dict.fromkeys(members[train:], "test")
    return [split[crop_id] for crop_id in crop_ids]


def grouped_split(groups: Sequence[str], classes: Sequence[int], seed: int) -> list[str]:
    """Split so that all crops of a group are on one side, stratified by class.

    Iterative stratification (after Sechidis et al., ECML 2011) over groups: the class with
    the fewest undistributed crops goes first, largest group first, each group to the split
    where it brings the class counts nearest to GROUPED_SHARES. The only group of a class
    therefore trains.
    """
    counts = dict[str, Counter[int]]()
    for group, class_id in zip(groups, classes, strict=True):
        counts.setdefault(group, Counter())[class_id] += 1
    totals = Counter(classes)
    filled = {name: Counter[int]() for name in SPLITS}

    def worsening(name: str, added: Counter[int]) -> float:
        """Change of sum over classes of (filled - wanted)^2 / wanted, each over its total."""
        change = 0.0
        for class_id, crops in added.items():
            wanted = GROUPED_SHARES[name] * totals[class_id]
            excess = filled[name][class_id] - wanted
            change += (crops**2 + 2 * crops * excess) / wanted / totals[class_id]
        return change

    remaining = Counter(totals)
    split = dict[str, str]()
    while len(split) < len(counts):
        rarest = min((c for c in remaining if remaining[c] > 0), key=lambda c: (remaining[c], c))
        members = [group for group in counts if group not in split and counts[group][rarest]]
        members.sort(key=lambda group: (-counts[group][rarest], draw(seed, group)))
        for group in members:
            split[group] = min(SPLITS, key=lambda name: worsening(name, counts[group]))
            filled[split[group]].update(counts[group])
            remaining.subtract(counts[group])
    return [split[group] for group in groups]


def with_every_class(
    split: Sequence[str], groups: Sequence[str], classes: Sequence[int], seed: int
) -> list[str]:
    """A grouped split, changed so that every class is in every part that it has groups for.

    A part without a class is given that class's smallest group of a part that has several, unless
    another class would be missing there then. Classes of the fewest groups go first; one of two
    groups trains and tests.
    """
    part = dict(zip(groups, split, strict=True))
    counts = dict[str, Counter[int]]()
    for group, class_id in zip(groups, classes, strict=True):
        counts.setdefault(group, Counter())[class_id] += 1
    having = {c: [g for g in counts if counts[g][c]] for c in set(classes)}

    def spare(group: str, class_id: int) -> bool:
        return any(g != group and part[g] == part[group] for g in having[class_id])

    for class_id in sorted(having, key=lambda c: (len(having[c]), c)):
        for wanted in ("train", "test", "val"):
            if any(part[group] == wanted for group in having[class_id]):
                continue
            movable = [g for g in having[class_id] if all(spare(g, c) for c in counts[g])]
            if movable:
                smallest = min(movable, key=lambda g: (counts[g].total(), draw(seed, g)))
                part[smallest] = wanted
    return [part[group] for group in groups]


def absent_classes(split: Sequence[str], classes: Sequence[int]) -> list[tuple[int, str]]:
    """Classes of the dataset that a split has no crop of, as (class, split)."""
    present = set(zip(classes, split, strict=True))
    return [(c, name) for c in sorted(set(classes)) for name in SPLITS if (c, name) not in present]


def draw(seed: int, name: str) -> bytes:
    """What crops and groups are ordered by to be drawn."""
    return hashlib.sha256(f"{seed} {name}".encode()).digest()
