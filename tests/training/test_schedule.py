import pytest

from training.errors import RecipeError
from training.schedule import Steps, WarmupCosine


def test_paper_halves_the_rate_every_five_epochs() -> None:
    factors = [Steps(every=5, gamma=0.5).factor(epoch, 40) for epoch in range(40)]
    assert factors == [0.5 ** (epoch // 5) for epoch in range(40)]
    assert factors[4:6] == [1.0, 0.5]
    assert factors[-1] == 1 / 128


def test_steps_hold_within_an_epoch() -> None:
    assert Steps().factor(4.99, 40) == 1.0
    assert Steps().factor(5.01, 40) == 0.5


def test_warmup_rises_linearly_from_one_percent() -> None:
    schedule = WarmupCosine(warmup=4)
    assert schedule.factor(0, 20) == pytest.approx(0.01)
    assert schedule.factor(1, 20) == pytest.approx(0.01 + 0.99 / 4)
    assert schedule.factor(4, 20) == pytest.approx(1.0)


def test_cosine_is_half_way_in_the_middle_and_ends_at_the_floor() -> None:
    schedule = WarmupCosine(warmup=4, floor=0.1)
    assert schedule.factor(12, 20) == pytest.approx(0.55)
    assert schedule.factor(20, 20) == pytest.approx(0.1)
    assert schedule.factor(25, 20) == pytest.approx(0.1), "past the end it stays"


def test_no_warmup_and_warmup_longer_than_the_training() -> None:
    assert WarmupCosine(warmup=0).factor(0, 10) == 1.0
    assert WarmupCosine(warmup=5).factor(1, 2) == pytest.approx(0.01 + 0.99 / 2)


@pytest.mark.parametrize("wrong", [lambda: Steps(every=0), lambda: Steps(gamma=0.0)])
def test_steps_refuse_nonsense(wrong: type) -> None:
    with pytest.raises(RecipeError, match="Steps needs"):
        wrong()


@pytest.mark.parametrize(
    "wrong", [lambda: WarmupCosine(warmup=-1), lambda: WarmupCosine(floor=1.5)]
)
def test_warmup_cosine_refuses_nonsense(wrong: type) -> None:
    with pytest.raises(RecipeError, match="WarmupCosine needs"):
        wrong()
