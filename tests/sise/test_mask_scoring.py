import logging

import pytest
import torch
from networks import small_cnn, some_images
from torch import nn

from sise import SISE
from sise.backends import Network
from sise.baselines import Masker
from sise.batches import BatchSize, auto_batch_size
from sise.errors import SiseError
from sise.masks import SmallMasks
from sise.sampling import Asking, MaskScorer, MaskSet, visualization_map


class Recorder:
    """A network that gives each image's mean as the logit of class 0, and keeps batch sizes."""

    def __init__(self, fits: int | None = None) -> None:
        self.sizes: list[int] = []
        self.fits = fits

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        if self.fits is not None and len(inputs) > self.fits:
            raise torch.OutOfMemoryError("out of memory")
        self.sizes.append(len(inputs))
        means = inputs.mean(dim=(1, 2, 3))
        return torch.stack([means, torch.zeros_like(means)], dim=1)


def scorer(network: Recorder, batch: int, static: bool = False) -> MaskScorer:
    images = torch.stack([torch.full((3, 4, 4), value) for value in (1.0, 2.0)]).double()
    return MaskScorer(
        Network(network, torch.float64, static),
        Masker(images),
        torch.tensor([0, 0]),
        "softmax",
        BatchSize(batch),
    )


def mask_sets(*owners: list[int]) -> list[MaskSet]:
    """A layer per list; the k-th mask of a layer is k/10 everywhere."""
    return [
        MaskSet(
            (torch.arange(len(own)).double() / 10).reshape(-1, 1, 1).expand(-1, 2, 2),
            torch.tensor(own, dtype=torch.int64),
        )
        for own in owners
    ]


def expected(owners: list[int]) -> list[float]:
    # The mean of the masked image is its value times k/10; the other logit is 0.
    return [torch.tensor((own + 1) * k / 10).sigmoid().item() for k, own in enumerate(owners)]


def asking(*rounds: list[MaskSet]) -> Asking[list[list[float]]]:
    """Asks for the scores of each round, and returns all of them."""
    heard = []
    for sets in rounds:
        heard.append(torch.cat(tuple((yield sets))).tolist())
    return heard


def test_works_that_ask_at_the_same_time_share_batches() -> None:
    network = Recorder()
    # Each has one of the two images, and calls it the first.
    works = [
        asking(mask_sets([0, 0]), mask_sets([0, 0, 0])),
        asking(mask_sets([0], [0, 0, 0])),
    ]
    one, other = scorer(network, 6).work_off(works, [1, 1])
    assert network.sizes == [6, 3]
    assert one == [pytest.approx(expected([0, 0])), pytest.approx(expected([0, 0, 0]))]
    assert other == [pytest.approx(expected([1]) + expected([1, 1, 1]))]


def test_nothing_asked_is_nothing_scored() -> None:
    network = Recorder()
    assert scorer(network, 6).work_off([asking(), asking()], [1, 1]) == [[], []]
    assert network.sizes == []


@pytest.mark.parametrize("batch", [1, 2, 3, 5, 64])
def test_masks_of_all_layers_and_images_fill_the_batches(batch: int) -> None:
    network = Recorder()
    layers = [0, 0, 1, 1], [], [1], [0, 1, 1]
    scores = scorer(network, batch)(mask_sets(*layers))
    for owners, found in zip(layers, scores, strict=True):
        assert found.tolist() == pytest.approx(expected(owners), rel=1e-6)
    assert network.sizes[:-1] == [batch] * (8 // batch - (8 % batch == 0))
    assert sum(network.sizes) == 8


def test_a_static_network_sees_one_batch_size_only() -> None:
    network = Recorder()
    (scores,) = scorer(network, 3, static=True)(mask_sets([0, 0, 1, 1]))
    assert network.sizes == [3, 3]
    assert scores.tolist() == pytest.approx(expected([0, 0, 1, 1]), rel=1e-6)


def test_out_of_memory_halves_the_batch_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    network = Recorder(fits=3)
    work = scorer(network, 8)
    with caplog.at_level(logging.WARNING, logger="sise"):
        (scores,) = work(mask_sets([0, 0, 1, 1, 0, 1]))
    assert scores.tolist() == pytest.approx(expected([0, 0, 1, 1, 0, 1]), rel=1e-6)
    assert network.sizes == [2, 2, 2]
    assert work.batch_size.value == 2  # and it stays so
    assert [record.getMessage() for record in caplog.records] == [
        "out of memory: going on with batches of 4 masked images",
        "out of memory: going on with batches of 2 masked images",
    ]


def test_not_even_one_image_fits() -> None:
    with pytest.raises(SiseError, match="out of memory with a batch of one masked image"):
        scorer(Recorder(fits=0), 2)(mask_sets([0]))


def test_an_error_that_is_not_about_memory_is_passed_on() -> None:
    def broken(_inputs: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        scorer(broken, 2)(mask_sets([0]))  # type: ignore[arg-type]


class Greedy(nn.Sequential):
    """Runs out of memory with more than `fits` images."""

    fits = 4

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if len(images) > self.fits:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        logits: torch.Tensor = super().forward(images)
        return logits


def test_out_of_memory_while_feature_maps_are_taken() -> None:
    network = Greedy(*small_cnn())
    network.fits = 1
    images = some_images(4)
    # A batch of 32 masked images takes the feature maps of four at once.
    found = SISE(network, layers=["2", "6"], precision="fp64", batch_size=32)(images)
    assert torch.allclose(found.maps, SISE(small_cnn(), precision="fp64")(images).maps, atol=1e-6)
    assert found.status == ("ok",) * 4


def test_no_memory_for_the_feature_maps_of_one_image() -> None:
    network = Greedy(*small_cnn())
    network.fits = 0
    with pytest.raises(SiseError, match="out of memory with the feature maps and gradients"):
        SISE(network, layers=["2", "6"], batch_size=32)(some_images(1))


def test_out_of_memory_within_an_explanation() -> None:
    images = some_images(1)
    found = SISE(Greedy(*small_cnn()), layers=["2", "6"], precision="fp64", batch_size=32)(images)
    assert torch.allclose(found.maps, SISE(small_cnn(), precision="fp64")(images).maps, atol=1e-6)


def test_a_batch_fits_its_images() -> None:
    cpu = torch.device("cpu")
    assert auto_batch_size((256, 256), cpu) == 16
    assert auto_batch_size((256, 1600), cpu) == 2
    assert auto_batch_size((4096, 4096), cpu) == 1
    assert auto_batch_size((8, 8), cpu) == 256


def test_the_sum_of_equation_12_by_hand() -> None:
    values = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]], [[1.0, 1.0]]])
    masks = SmallMasks(values, torch.tensor([1.0, 1.0, 2.0]))
    scores = torch.tensor([0.5, 0.25, 0.8])
    maps = visualization_map(masks, scores, [2, 1, 0], (1, 2))
    assert maps[0].tolist() == [[0.25, 0.125]]
    assert maps[1].tolist() == [[pytest.approx(0.4), pytest.approx(0.4)]]
    assert maps[2].tolist() == [[0.0, 0.0]]
