from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from severstal_prep.split import (
    GROUPED_SHARES,
    SPLITS,
    absent_classes,
    grouped_split,
    paper_counts,
    paper_split,
    with_every_class,
)


@pytest.mark.parametrize(
    ("crops", "train", "test"),
    [(23744, 16620, 7124), (1336, 935, 401), (210, 147, 63), (11666, 8166, 3500),
     (1388, 971, 417), (0, 0, 0), (1, 0, 1), (10, 7, 3)],
)  # fmt: skip
def test_sizes_are_those_of_table_3(crops: int, train: int, test: int) -> None:
    assert paper_counts(crops) == (train, test)


def test_paper_split_has_its_sizes_class_by_class() -> None:
    classes = [0] * 100 + [2] * 21
    names = [f"crop{i}" for i in range(121)]
    split = paper_split(names, classes, seed=3)
    counts = Counter(zip(classes, split, strict=True))
    # 100: 70 train, of which 14 validate. 21: 14 train, of which 2 validate.
    assert counts == {
        (0, "train"): 56, (0, "val"): 14, (0, "test"): 30,
        (2, "train"): 12, (2, "val"): 2, (2, "test"): 7,
    }  # fmt: skip


def test_paper_split_depends_on_seed_and_names_alone() -> None:
    names = [f"crop{i}" for i in range(50)]
    split = dict(zip(names, paper_split(names, [1] * 50, seed=0), strict=True))
    backwards = dict(zip(names[::-1], paper_split(names[::-1], [1] * 50, seed=0), strict=True))
    assert split == backwards
    assert split != dict(zip(names, paper_split(names, [1] * 50, seed=1), strict=True))
    # Ordered by `echo -n "0 crop3" | sha256sum`: it must not drift with any version.
    order = [2, 4, 5, 6, 1, 3, 8, 9, 7, 0]
    expected = dict.fromkeys(order[:1], "val") | dict.fromkeys(order[1:7], "train")
    split = paper_split([f"crop{i}" for i in range(10)], [1] * 10, seed=0)
    assert split == [expected.get(i, "test") for i in range(10)]


groups_of_crops = st.lists(
    st.lists(st.integers(0, 4), min_size=1, max_size=6), min_size=1, max_size=40
)


@given(groups_of_crops, st.integers(0, 3))
def test_groups_stay_together_whatever_they_hold(groups: list[list[int]], seed: int) -> None:
    names = [f"g{i}" for i, members in enumerate(groups) for _ in members]
    classes = [c for members in groups for c in members]
    split = grouped_split(names, classes, seed)
    assert len({*zip(names, split, strict=True)}) == len(groups)
    assert set(split) <= set(SPLITS)
    assert split == grouped_split(names, classes, seed)


@given(groups_of_crops)
def test_the_rarest_class_trains(groups: list[list[int]]) -> None:
    names = [f"g{i}" for i, members in enumerate(groups) for _ in members]
    classes = [c for members in groups for c in members]
    totals = Counter(classes)
    rarest = min(totals, key=lambda c: (totals[c], c))
    split = grouped_split(names, classes, seed=0)
    assert (rarest, "train") in zip(classes, split, strict=True)


@pytest.mark.parametrize(
    ("groups", "expected"),
    [(1, {"train": 1}), (2, {"train": 1, "test": 1}), (3, {"train": 2, "test": 1}),
     (4, {"train": 2, "val": 1, "test": 1}), (7, {"train": 4, "val": 1, "test": 2})],
)  # fmt: skip
def test_a_class_of_few_groups_by_hand(groups: int, expected: dict) -> None:
    names = [f"g{i}" for i in range(groups)]
    assert Counter(grouped_split(names, [2] * groups, seed=0)) == expected


def test_shares_are_met_in_every_class() -> None:
    # Like the real strips: most of class 3, and normal crops beside each defect.
    strips = [(3, 2, 3)] * 500 + [(1, 1, 5)] * 90 + [(4, 3, 2)] * 80 + [(2, 1, 4)] * 25
    names, classes = list[str](), list[int]()
    for i, (class_id, defects, normals) in enumerate(strips):
        names += [f"strip{i}"] * (defects + normals)
        classes += [class_id] * defects + [0] * normals
    for seed in (0, 1):
        counts = Counter(zip(classes, grouped_split(names, classes, seed), strict=True))
        for class_id, total in Counter(classes).items():
            for name, share in GROUPED_SHARES.items():
                assert abs(counts[class_id, name] / total - share) < 0.03, (class_id, name)


def test_seeds_give_different_groups() -> None:
    names = [f"strip{i}" for i in range(60)]
    first, second = (grouped_split(names, [1] * 60, seed) for seed in (0, 1))
    assert first != second
    assert Counter(first) == Counter(second)


def test_names_the_classes_that_a_split_lacks() -> None:
    assert absent_classes(["train", "test", "val", "train"], [0, 0, 0, 2]) == [
        (2, "val"), (2, "test"),
    ]  # fmt: skip


def test_every_class_is_in_every_part_that_it_has_groups_for() -> None:
    # Classes 1 and 2 of three and two groups of one crop, and class 0 of ten.
    groups = [f"g{i}" for i in range(15)]
    classes = [0] * 10 + [1] * 3 + [2] * 2
    before = ["train"] * 7 + ["val"] + ["test"] * 2 + ["train"] * 5
    after = with_every_class(before, groups, classes, seed=0)
    assert after[:10] == before[:10]
    assert Counter(after[10:13]) == {"train": 1, "val": 1, "test": 1}
    assert Counter(after[13:]) == {"train": 1, "test": 1}


def test_no_part_loses_a_class_to_another() -> None:
    # g1 has the only training crop of class 0: class 1 stays without validation.
    groups, classes = ["g0", "g1", "g1", "g2"], [1, 0, 1, 1]
    split = ["train", "train", "train", "test"]
    assert with_every_class(split, groups, classes, seed=0) == ["val", "train", "train", "test"]
    assert with_every_class(split[1:], groups[1:], classes[1:], seed=0) == split[1:]
