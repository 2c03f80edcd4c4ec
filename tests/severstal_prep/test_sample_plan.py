from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from severstal_prep.sample.plan import deal


def plan(strips: int, seed: int = 0) -> list[tuple[int, ...]]:
    return deal(np.random.SeedSequence(seed), strips)


@given(st.integers(0, 2**32), st.integers(1, 90), st.integers(1, 90))
@settings(max_examples=40)
def test_a_longer_plan_begins_like_a_shorter_one(seed: int, a: int, b: int) -> None:
    short, long = sorted((a, b))
    assert len(plan(long, seed)) == long
    assert plan(long, seed)[:short] == plan(short, seed)


@pytest.mark.parametrize("seed", range(20))
def test_small_plans_show_every_class(seed: int) -> None:
    assert {1, 2, 3, 4} <= {class_id for classes in plan(8, seed) for class_id in classes}
    strips = plan(20, seed)
    counts = Counter(class_id for classes in strips for class_id in classes)
    assert min(counts[class_id] for class_id in (1, 2, 3, 4)) >= 2
    assert sum(len(classes) == 2 for classes in strips) == 1
    assert sum(not classes for classes in strips) == 9


def test_sixty_strips_by_hand() -> None:
    kinds = Counter("two" if len(classes) == 2 else classes for classes in plan(60))
    assert kinds == {(): 28, (1,): 6, (2,): 4, (3,): 15, (4,): 5, "two": 2}


def test_frequencies_of_many_strips() -> None:
    strips = plan(8020)
    annotated = [classes for classes in strips if classes]
    assert 1 - len(annotated) / len(strips) == pytest.approx(0.475, abs=0.005)
    pairs = Counter(classes for classes in annotated if len(classes) == 2)
    assert pairs.total() / len(annotated) == pytest.approx(1 / 21, abs=0.001)
    assert pairs.most_common(1)[0][0] == (3, 4)
    assert set(pairs) == {(3, 4), (1, 3), (1, 2), (2, 3)}
    counts = Counter(class_id for classes in annotated for class_id in classes)
    assert counts[3] > counts[1] > counts[4] > counts[2]


def test_seeds_differ_and_zero_is_a_seed() -> None:
    assert plan(60, 0) == plan(60, 0)
    assert plan(60, 0) != plan(60, 1)
