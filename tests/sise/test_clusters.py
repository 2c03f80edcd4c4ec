import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sise.clusters import medoids, nearest


def sets(*rows: list[float]) -> tuple[torch.Tensor, torch.Tensor]:
    """Sets of numbers as points of one feature, padded to the longest."""
    most = max(map(len, rows))
    points = torch.zeros(len(rows), most, 1)
    valid = torch.zeros(len(rows), most, dtype=torch.bool)
    for index, row in enumerate(rows):
        points[index, : len(row), 0] = torch.tensor(row)
        valid[index, : len(row)] = True
    return points, valid


def test_the_middle_of_each_heap_is_chosen() -> None:
    points, valid = sets([0.0, 1.0, 2.0, 10.0, 11.0, 12.0])
    chosen = medoids(points, valid, torch.tensor([2]))
    assert chosen.nonzero()[:, 1].tolist() == [1, 4]


def test_sets_of_different_size_and_count_do_not_disturb_each_other() -> None:
    rows = [[0.0, 1.0, 2.0, 10.0, 11.0, 12.0], [5.0, 6.0, 7.0], [3.0, 9.0]]
    together = medoids(*sets(*rows), torch.tensor([2, 1, 0]))
    assert together[0].nonzero()[:, 0].tolist() == [1, 4]
    assert together[1].nonzero()[:, 0].tolist() == [1]
    assert not together[2].any()
    for row, count, expected in zip(rows, [2, 1, 0], together, strict=True):
        alone = medoids(*sets(row), torch.tensor([count]))[0]
        assert alone.nonzero()[:, 0].tolist() == expected.nonzero()[:, 0].tolist()


def test_points_that_coincide_need_no_more_than_one_medoid() -> None:
    points, valid = sets([4.0, 4.0, 4.0, 7.0])
    chosen = medoids(points, valid, torch.tensor([3]))
    assert sorted(points[0, chosen[0], 0].tolist()) == [4.0, 7.0]


@settings(max_examples=50)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 99))
def test_never_more_than_asked_for_and_all_of_them_members(
    size: int, count: int, seed: int
) -> None:
    points = torch.randn(1, 12, 3, generator=torch.Generator().manual_seed(seed))
    valid = torch.arange(12)[None] < size
    chosen = medoids(points, valid, torch.tensor([count]))
    assert 1 <= int(chosen.sum()) <= min(size, count)
    assert not (chosen & ~valid).any()
    if count >= size:
        assert int(chosen.sum()) == size  # random points are all distinct


def test_nearest_known_point() -> None:
    points, _ = sets([0.0, 4.0, 6.0, 10.0], [1.0, 2.0, 3.0, 4.0])
    known = torch.tensor([[True, False, False, True], [False, False, True, False]])
    assert nearest(points, known).tolist() == [[0, 0, 3, 3], [2, 2, 2, 2]]


def test_of_two_equally_near_the_first() -> None:
    points, _ = sets([0.0, 2.0, 4.0])
    assert nearest(points, torch.tensor([[True, False, True]])).tolist() == [[0, 0, 2]]
