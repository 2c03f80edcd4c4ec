"""Drop, Increase, insertion and deletion: what the model is asked, and what its answers give."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sise.baselines import masked
from sise.choices import FillName
from sise.metrics import (
    MetricInput,
    ModelQuery,
    PerturbationScores,
    Score,
    area,
    drop,
    increase,
    left,
    measure,
)

NAN = float("nan")
MODELS = ("drop", "increase", "left", "insertion", "deletion")
FILLS: tuple[FillName, ...] = ("grey", "mean", "blur", "inpaint")


def model(images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean of the first channel for class 0, of its negative for class 1."""
    return images[:, 0].mean(dim=(1, 2)) * (1 - 2 * targets)


def steep(images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """A probability that is not linear in the pixels."""
    return torch.sigmoid(
        3 * images[:, 0].mean(dim=(1, 2)) - images[:, 2].amax(dim=(1, 2)) + targets
    )


@dataclass
class Counted:
    """A score that keeps what it was asked, a list of images per call."""

    score: Score
    asked: list[torch.Tensor] = field(default_factory=list)

    def __call__(self, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        assert len(images) == len(targets)
        self.asked.append(images.clone())
        return self.score(images, targets)

    @property
    def images(self) -> torch.Tensor:
        return torch.cat(self.asked)


def some(count: int, size: tuple[int, int] = (8, 10)) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    images = torch.randn(count, 3, *size, generator=generator)
    return images, torch.rand(count, *size, generator=generator)


def test_drop_and_increase_by_hand() -> None:
    whole = torch.tensor([0.8, 0.8, 0.5, 0.5, 0.0, 0.5, NAN])
    kept = torch.tensor([0.2, 0.9, 0.5, 0.0, 0.1, NAN, 0.5])
    assert drop(whole, kept).tolist() == pytest.approx([0.75, 0, 0, 1, NAN, NAN, NAN], nan_ok=True)
    assert increase(whole, kept).tolist() == pytest.approx([0, 1, 0, 0, 1, NAN, NAN], nan_ok=True)


def test_left_by_hand() -> None:
    whole = torch.tensor([0.8, 0.5, 0.5, 0.0, 0.0, 0.5, NAN])
    removed = torch.tensor([0.2, 0.5, 0.75, 0.1, 0.0, NAN, 0.5])
    expected = [0.25, 1, 1, NAN, NAN, NAN, NAN]
    assert left(whole, removed).tolist() == pytest.approx(expected, nan_ok=True)


def test_area_by_hand() -> None:
    curve = torch.tensor([[0.0, 1.0, NAN], [0.4, 1.0, 0.5], [1.0, 1.0, 0.5]])
    # A quarter of the pixels at the second point: 0.25 · 0.2 + 0.75 · 0.7.
    assert area(curve, [0, 5, 20]).tolist() == pytest.approx([0.575, 1, NAN], nan_ok=True)


def test_the_top_15_percent_are_kept() -> None:
    # 20 pixels, of which the map ranks the three of 8 first; all else is 1: the mean is 2.05.
    image = torch.ones(3, 4, 5)
    image[:, 1, :3] = 8.0
    maps = (image[0] == 8).float()[None]
    found = measure(
        MetricInput(maps, query=ModelQuery(image[None], torch.tensor([0]), model)), ("grey", "mean")
    )
    assert found["drop"].item() == pytest.approx(1 - 24 / 41)
    assert found["increase"].item() == 0
    assert found["left"].item() == pytest.approx(17 / 41)  # 17 of the pixels are 1
    assert found["left@mean"].item() == pytest.approx((17 + 3 * 2.05) / 41)
    # With the image's own mean in place of grey the rest does not vanish, and the score rises.
    assert found["drop@mean"].item() == 0
    assert found["increase@mean"].item() == 1
    negative = measure(MetricInput(maps, query=ModelQuery(-image[None], torch.tensor([1]), model)))
    assert negative["drop"].item() == pytest.approx(1 - 24 / 41)


def test_insertion_and_deletion_by_hand() -> None:
    # In the map's order the pixels are 4, 2, 1, 1: inserted on grey 0, 1, 1.5, 1.75, 2.
    image = torch.tensor([[[1.0, 4.0], [2.0, 1.0]]]).expand(3, 2, 2)
    maps = torch.tensor([[[0.2, 0.9], [0.5, 0.1]]])
    inputs = MetricInput(maps, query=ModelQuery(image[None], torch.tensor([0]), model))
    scores = PerturbationScores(inputs, steps=4)
    assert scores.counts == [0, 1, 2, 3, 4]
    assert scores.inserted[:, 0].tolist() == [0, 1, 1.5, 1.75, 2]
    assert scores.deleted[:, 0].tolist() == [2, 1, 0.5, 0.25, 0]
    found = measure(inputs, steps=4)
    assert found["insertion"].item() == pytest.approx(5.25 / 4)
    assert found["deletion"].item() == pytest.approx(2.75 / 4)
    # In steps of two pixels: 0, 1.5, 2 and 2, 0.5, 0.
    coarse = measure(inputs, steps=2)
    assert coarse["insertion"].item() == pytest.approx(5 / 4)
    assert coarse["deletion"].item() == pytest.approx(3 / 4)
    # On the image's own mean, 2: a pixel adds what it has above it, a quarter of 2, 0, -1, -1.
    filled = PerturbationScores(inputs, "mean", steps=4)
    assert filled.inserted[:, 0].tolist() == [2, 2.5, 2.5, 2.25, 2]
    assert filled.deleted[:, 0].tolist() == [2, 1.5, 1.5, 1.75, 2]


def test_ties_are_inserted_in_reading_order() -> None:
    image = torch.arange(1.0, 7.0).view(1, 2, 3).expand(3, 2, 3)
    maps = torch.zeros(1, 2, 3)
    maps[0, 1, 1] = 1
    scores = PerturbationScores(
        MetricInput(maps, query=ModelQuery(image[None], torch.tensor([0]), model)), steps=6
    )
    assert (6 * scores.inserted[:, 0]).tolist() == pytest.approx([0, 5, 6, 8, 11, 15, 21])


def test_one_step_asks_only_about_the_ends() -> None:
    images, maps = some(2)
    score = Counted(steep)
    scores = PerturbationScores(
        MetricInput(maps, query=ModelQuery(images, torch.tensor([0, 1]), score)), steps=1
    )
    ends = torch.stack([scores.inserted, scores.deleted.flip(0)])
    assert len(score.images) == 4
    expected = torch.stack([steep(torch.zeros_like(images), torch.tensor([0, 1])), scores.whole])
    torch.testing.assert_close(ends, expected.expand(2, 2, 2))


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("steps", [3, 20, 100])
def test_against_a_plain_loop(fill: FillName, steps: int) -> None:
    images, maps = some(3, (7, 9))
    maps = (4 * maps).round()  # ties
    targets = torch.tensor([0, 1, 0])
    found = measure(
        MetricInput(maps, query=ModelQuery(images, targets, steep)), (fill,), MODELS, steps
    )

    for index in range(3):
        one, target = images[index : index + 1], targets[index : index + 1]
        order = sorted(range(63), key=lambda pixel: -maps[index].flatten()[pixel].item())

        def score(
            kept: list[int], image: torch.Tensor = one, label: torch.Tensor = target
        ) -> float:
            mask = torch.zeros(63)
            mask[kept] = 1
            return steep(masked(image, mask.view(1, 7, 9), fill), label).item()

        counts = [round(step * 63 / steps) for step in range(steps + 1)]
        whole, top = score(order), score(order[:9])
        for name, curve in {
            "insertion": [score(order[:count]) for count in counts],
            "deletion": [score(order[count:]) for count in counts],
        }.items():
            expected = sum(
                (after - before) / 63 * (low + high) / 2
                for before, after, low, high in zip(
                    counts, counts[1:], curve, curve[1:], strict=False
                )
            )
            assert found[name][index].item() == pytest.approx(expected, abs=1e-6)
        assert found["drop"][index].item() == pytest.approx(max(0, whole - top) / whole, abs=1e-6)
        assert found["increase"][index].item() == float(top > whole)
        rest = min(1, score(order[9:]) / whole)
        assert found["left"][index].item() == pytest.approx(rest, abs=1e-6)


@given(st.integers(1, 9), st.integers(2, 9), st.integers(1, 30), st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_of_a_linear_model_insertion_and_deletion_sum_up_to_the_score(
    height: int, width: int, steps: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(2, 3, height, width, generator=generator, dtype=torch.float64)
    maps = torch.rand(2, height, width, generator=generator)
    best = images[:, 0]  # what each pixel adds to the score
    query = ModelQuery(images, torch.tensor([0, 0]), model)
    some_order, best_order = (
        measure(MetricInput(one, query=query), names=MODELS, steps=steps) for one in (maps, best)
    )
    torch.testing.assert_close(some_order["insertion"] + some_order["deletion"], query.whole)
    assert (best_order["insertion"] >= some_order["insertion"] - 1e-12).all()
    assert (best_order["deletion"] <= some_order["deletion"] + 1e-12).all()


def test_maps_of_one_image_need_it_once() -> None:
    images, maps = some(1)
    many = torch.cat([maps, maps.flip(1), maps.roll(3, 2)])
    shared, repeated = Counted(steep), Counted(steep)
    target = torch.tensor([1])
    once = measure(MetricInput(many, query=ModelQuery(images, target, shared)), FILLS)
    thrice = measure(
        MetricInput(
            many, query=ModelQuery(images.expand(3, -1, -1, -1), target.expand(3), repeated)
        ),
        FILLS,
    )
    assert list(once) == list(thrice)
    for name, values in once.items():
        torch.testing.assert_close(values, thrice[name])
    # The whole image, and per fill nothing of it and 19 points of either curve.
    assert len(shared.images) == 1 + 4 * (1 + 3 * 2 * 19)
    assert len(repeated.images) == 3 + 4 * (3 + 3 * 2 * 19)


def test_nothing_is_asked_twice() -> None:
    images, maps = some(2)
    score = Counted(model)
    measure(MetricInput(maps, query=ModelQuery(images, torch.tensor([0, 1]), score)), ("mean",))
    assert len(score.images) == 2 + 2 + 2 * 2 * 19
    assert len(score.images.flatten(1).unique(dim=0)) == len(score.images)


@pytest.mark.parametrize(
    ("names", "asked"),
    [(("drop",), 2), (("increase", "drop"), 2), (("left", "drop"), 3), (("deletion",), 21)],
)
def test_only_what_is_wanted_is_asked(names: tuple[str, ...], asked: int) -> None:
    images, maps = some(1)
    score = Counted(model)
    found = measure(
        MetricInput(maps, query=ModelQuery(images, torch.tensor([0]), score)), names=names
    )
    assert set(found) == set(names)
    assert len(score.images) == asked


def test_drop_keeps_15_percent_whatever_the_steps() -> None:
    images, maps = some(2)
    inputs = MetricInput(maps, query=ModelQuery(images, torch.tensor([0, 1]), steep))
    few, many = (measure(inputs, steps=steps) for steps in (7, 20))
    assert few["drop"].tolist() == pytest.approx(many["drop"].tolist())
    assert few["insertion"].tolist() != pytest.approx(many["insertion"].tolist())
    alone = measure(inputs, names=("insertion",), steps=7)
    torch.testing.assert_close(alone["insertion"], few["insertion"])


def test_a_batch_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    images, maps = some(12)
    targets = torch.arange(12) % 2
    expected = measure(MetricInput(maps, query=ModelQuery(images, targets, steep)), FILLS)
    monkeypatch.setattr("sise.metrics.inputs.auto_batch_size", lambda size, device: 5)
    score = Counted(steep)
    found = measure(MetricInput(maps, query=ModelQuery(images, targets, score)), FILLS)
    assert max(len(asked) for asked in score.asked) == 5
    for name, values in expected.items():
        torch.testing.assert_close(found[name], values)


@pytest.mark.parametrize("level", [0.0, 0.5])
def test_a_map_without_order_is_not_asked_about(level: float) -> None:
    images, maps = some(3)
    maps[1] = level
    score = Counted(steep)
    found = measure(MetricInput(maps, query=ModelQuery(images, torch.tensor([0, 1, 0]), score)))
    for name in MODELS:
        assert found[name].isnan().tolist() == [False, True, False]
    assert len(score.images) == 3 + 3 + 2 * 2 * 19
    alone = measure(MetricInput(maps[1:2], query=ModelQuery(images[1:2], torch.tensor([1]), score)))
    assert all(alone[name].isnan().all() for name in MODELS)
    beside = measure(MetricInput(maps[:1], query=ModelQuery(images[:1], torch.tensor([0]), steep)))
    assert {name: found[name][0].item() for name in MODELS} == pytest.approx(
        {name: beside[name].item() for name in MODELS}
    )


@pytest.mark.parametrize("order", [lambda maps: maps - 2, lambda maps: maps.exp()])
def test_only_the_order_counts(order: Callable[[torch.Tensor], torch.Tensor]) -> None:
    images, maps = some(2)
    query = ModelQuery(images, torch.tensor([0, 1]), steep)
    found, same = (
        measure(MetricInput(one, query=query), names=MODELS) for one in (maps, order(maps))
    )
    for name in MODELS:
        torch.testing.assert_close(found[name], same[name])


def test_a_score_that_is_not_a_number_gives_none() -> None:
    images, maps = some(2)

    def broken(images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return torch.where(targets == 1, torch.nan, model(images, targets))

    found = measure(MetricInput(maps, query=ModelQuery(images, torch.tensor([0, 1]), broken)))
    for name in MODELS:
        assert found[name].isnan().tolist() == [False, True]
