from collections.abc import Sequence

import pytest
import torch
from networks import HandNet, small_cnn, some_images

from sise import SISE
from sise.budget import Estimate, _shares, correlation
from sise.errors import SiseError
from sise.sampling import Asking, MaskSet


def selected(images: torch.Tensor) -> int:
    exact = SISE(small_cnn(), precision="fp64")(images)
    return int(exact.forwards[0]) - 1


def test_a_budget_is_dealt_out_in_proportion_to_the_masks() -> None:
    masks = [torch.tensor([10, 0]), torch.tensor([30, 2]), torch.tensor([60, 2])]
    shares = _shares(torch.tensor([10, 3]), masks)
    assert [share.tolist() for share in shares] == [[1, 0], [3, 1], [6, 2]]
    whole = _shares(torch.tensor([500, 500]), masks)
    assert [share.tolist() for share in whole] == [[10, 0], [30, 2], [60, 2]]


@pytest.mark.parametrize("budget", [1, 2, 5, 9, 14])
def test_no_more_passes_than_the_budget(budget: int) -> None:
    explanation = SISE(small_cnn(), budget=budget, precision="fp64")(some_images(3))
    assert explanation.forwards.amax() <= budget
    assert explanation.status == ("ok", "ok", "ok")
    spent = torch.stack([layer.scored for layer in explanation.layers]).sum(dim=0) + 1
    assert explanation.forwards.tolist() == spent.tolist()


def test_a_context_is_paid_from_the_budget() -> None:
    images = some_images(2, (32, 32))
    explanation = SISE(small_cnn(), budget=2, context="reflect")(images)
    assert explanation.forwards.tolist() == [2, 2]
    assert SISE(small_cnn(), budget=6, context="reflect")(images).forwards.amax() <= 6
    with pytest.raises(SiseError, match="budget=1 leaves no pass for the context"):
        SISE(small_cnn(), budget=1, context="reflect")
    with pytest.raises(SiseError, match="budget=1 leaves no pass for the context"):
        SISE(small_cnn(), budget=1)(images, context="edge")


def test_a_budget_for_all_masks_is_the_exact_algorithm() -> None:
    images = some_images(3)
    exact = SISE(small_cnn(), precision="fp64")(images)
    same = SISE(small_cnn(), budget=1000, precision="fp64")(images)
    assert torch.equal(same.maps, exact.maps)
    assert same.forwards.tolist() == exact.forwards.tolist()
    for one, other in zip(exact.layers, same.layers, strict=True):
        assert one.selected.tolist() == other.selected.tolist() == other.scored.tolist()


def test_masks_alike_take_one_score() -> None:
    # Both layers of HandNet carry the image's channels; red is made equal to blue in shape.
    image = torch.zeros(1, 3, 4, 4)
    image[:, 0, :2, :2] = 1
    image[:, 2, :2, :2] = 2
    exact = SISE(HandNet(), precision="fp64")(image, target=0)
    fewer = SISE(HandNet(), budget=3, precision="fp64")(image, target=0)
    assert [layer.selected.tolist() for layer in fewer.layers] == [[2], [2]]
    assert [layer.scored.tolist() for layer in fewer.layers] == [[1], [1]]
    assert torch.allclose(fewer.maps, exact.maps)


def test_without_any_score_all_masks_count_alike() -> None:
    image = torch.zeros(1, 3, 4, 4)
    image[0, 0, :2, :2] = 1  # α > 0 for red and blue; blue is constant and no mask
    explanation = SISE(HandNet(), budget=1, precision="fp64")(image, target=0)
    assert explanation.forwards.tolist() == [1]
    expected = torch.zeros(4, 4)
    expected[:2, :2] = 1 / 4  # score 1, area 4
    assert torch.allclose(explanation.layers[0].maps[0], expected)


def test_more_passes_come_nearer_to_the_exact_map() -> None:
    images = some_images(8, (32, 32))
    exact = SISE(small_cnn(), precision="fp64")(images)
    errors = []
    for budget in (3, 6, 12):
        rough = SISE(small_cnn(), budget=budget, precision="fp64")(images)
        pairs = zip(rough.layers, exact.layers, strict=True)
        errors.append(sum(float((a.maps - b.maps).norm()) for a, b in pairs))
    assert errors == sorted(errors, reverse=True)


@pytest.mark.parametrize("budget", [6, "auto"])
def test_a_batch_of_three_equals_three_of_one(budget: int | str) -> None:
    explainer = SISE(small_cnn(), budget=budget, precision="fp64")  # type: ignore[arg-type]
    images = some_images(3)
    together = explainer(images)
    for index in range(3):
        alone = explainer(images[index : index + 1])
        assert torch.allclose(together.maps[index], alone.maps[0], atol=1e-6)
        assert together.forwards[index] == alone.forwards[0]


def test_the_same_bits_again() -> None:
    explainer = SISE(small_cnn(), budget=6)
    assert torch.equal(explainer(some_images(2)).maps, explainer(some_images(2)).maps)


def test_auto_stops_when_the_map_has_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    images = some_images(1, (32, 32))
    masks = selected(images)
    monkeypatch.setattr("sise.budget.FEWEST", 2)
    monkeypatch.setattr("sise.budget.TOLERANCE", 2.0)  # any second map will do
    assert SISE(small_cnn(), budget="auto")(images).forwards.tolist() == [5]
    monkeypatch.setattr("sise.budget.TOLERANCE", -1.0)  # none will
    exact = SISE(small_cnn(), budget="auto", precision="fp64")(images)
    assert exact.forwards.tolist() == [masks + 1]
    assert torch.equal(exact.maps, SISE(small_cnn(), precision="fp64")(images).maps)


def test_correlation_of_maps() -> None:
    ramp = torch.arange(4.0).reshape(1, 2, 2)
    flat = torch.ones(1, 2, 2)
    assert correlation(ramp, 3 * ramp + 1).tolist() == pytest.approx([1.0])
    assert correlation(ramp, -ramp).tolist() == pytest.approx([-1.0])
    assert correlation(flat, 2 * flat).tolist() == [1.0]
    assert correlation(ramp, flat).tolist() == [0.0]


@pytest.mark.parametrize("budget", [0, -3, True, 2.5, "much"])
def test_budgets_that_make_no_sense(budget: object) -> None:
    with pytest.raises(SiseError, match="budget must be"):
        SISE(small_cnn(), budget=budget)  # type: ignore[arg-type]


def asks(sets: Sequence[MaskSet]) -> Asking[Sequence[torch.Tensor]]:
    return (yield sets)


def test_an_image_with_few_masks_has_all_of_them_scored_beside_one_with_many() -> None:
    # Three masks that coincide would make one group.
    masks = torch.cat([torch.ones(3, 8, 8), torch.eye(8).reshape(8, 8, 1) * torch.ones(8, 8, 8)])
    few, both = torch.zeros(3, dtype=torch.int64), torch.tensor([0] * 3 + [1] * 8)
    for sets, images in ((MaskSet(masks[:3], few), 1), (MaskSet(masks, both), 2)):
        estimate = Estimate([sets], images, (16, 16))
        work = estimate.score(asks, torch.full((images,), 3))
        (asked,) = next(work)
        assert (asked.owners == 0).sum() == 3
        with pytest.raises(StopIteration):
            work.send([torch.arange(len(asked)).float()])
        assert estimate.scored[0].tolist() == [3, 3][:images]
