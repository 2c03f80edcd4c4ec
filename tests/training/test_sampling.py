from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import BatchSampler, SequentialSampler

from training.sampling import EpochSampler, SharedBatches, balanced_order

LABELS = np.repeat([0, 1, 3], [20, 3, 7])


def crops(sampler: EpochSampler, epoch: int) -> list[int]:
    sampler.set_epoch(epoch)
    return [draw.crop for draw in sampler]


def test_without_balance_every_crop_comes_once_in_an_order_of_its_own() -> None:
    sampler = EpochSampler(LABELS, "none", seed=0)
    first, second = crops(sampler, 0), crops(sampler, 1)
    assert sorted(first) == sorted(second) == list(range(30))
    assert first != second
    assert first != list(range(30))


def test_balanced_draws_every_class_equally_often() -> None:
    drawn = crops(EpochSampler(LABELS, "balanced", seed=0), 0)
    assert Counter(LABELS[drawn].tolist()) == {0: 10, 1: 10, 3: 10}
    rare = Counter(crop for crop in drawn if LABELS[crop] == 1)
    assert sorted(rare.values()) == [3, 3, 4], "a class's crops come in turn"


@pytest.mark.parametrize("balance", ["none", "balanced"])
def test_draws_depend_on_seed_and_epoch_alone(balance: str) -> None:
    one, two = (EpochSampler(LABELS, balance, seed=0) for _ in range(2))
    list(one)
    one.set_epoch(4)
    two.set_epoch(4)
    assert list(one) == list(two), "an interrupted run sees what it would have seen"
    assert list(one) == list(one)
    other = EpochSampler(LABELS, balance, seed=1)
    other.set_epoch(4)
    assert list(other) != list(one), "seed 0 is a seed like any other"


def test_every_draw_has_its_own_augmentation_seed() -> None:
    sampler = EpochSampler(np.zeros(200, int), "none", seed=0)
    first = [draw.seed for draw in sampler]
    sampler.set_epoch(1)
    assert len(set(first) | {draw.seed for draw in sampler}) == 400
    assert len(sampler) == 200


@pytest.mark.parametrize("balance", ["none", "balanced"])
def test_epoch_of_another_length_shows_no_crop_more_than_it_must(balance: str) -> None:
    short = EpochSampler(LABELS, balance, seed=0, length=9)
    assert len(short) == 9
    drawn = crops(short, 0)
    assert len(drawn) == len(set(drawn)) == 9
    long = crops(EpochSampler(LABELS, "none", seed=0, length=70), 0)
    assert sorted(Counter(long).values()) == [2] * 20 + [3] * 10


@given(
    counts=st.lists(st.integers(1, 40), min_size=1, max_size=5),
    length=st.integers(1, 90),
    seed=st.integers(0, 2**32 - 1),
)
def test_balanced_order_is_even_to_one(counts: list[int], length: int, seed: int) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    order = balanced_order(labels, length, np.random.default_rng(seed))
    assert len(order) == length
    drawn = np.bincount(labels[order], minlength=len(counts))
    assert drawn.max() - drawn.min() <= 1
    for class_id in range(len(counts)):
        repeats = Counter(int(i) for i in order if labels[i] == class_id)
        assert max(repeats.values(), default=0) - min(repeats.values(), default=0) <= 1


@given(st.integers(1, 90), st.integers(1, 20), st.integers(1, 6))
def test_shares_are_even_and_show_each_item_once(
    length: int, batch_size: int, processes: int
) -> None:
    processes = min(processes, batch_size, length)
    shares = [
        list(SharedBatches(range(length), batch_size, rank, processes)) for rank in range(processes)
    ]
    batches = len(SharedBatches(range(length), batch_size, 0, processes))
    assert {len(share) for share in shares} == {batches}
    assert sorted(item for share in shares for batch in share for item in batch) == list(
        range(length)
    )
    for together in zip(*shares, strict=True):
        sizes = [len(batch) for batch in together]
        assert min(sizes) >= 1
        assert max(sizes) - min(sizes) <= 1
        assert sum(sizes) < batch_size + processes


def test_one_process_has_the_batches_of_a_plain_loader() -> None:
    plain = BatchSampler(SequentialSampler(range(11)), batch_size=4, drop_last=False)
    assert list(SharedBatches(range(11), 4)) == list(plain)
