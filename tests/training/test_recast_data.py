from pathlib import Path

import numpy as np
import pytest
import torch

from severstal_prep.images import read_image, write_png
from sise.bundle import ModelBundle, ModelCard
from training.augment import Augmentation
from training.crops import read_recast
from training.data import (
    CropDataset,
    RecastDataModule,
    crop_loader,
    normalise,
)
from training.errors import DataError, RecipeError


def module(root: Path, **options) -> RecastDataModule:
    data = RecastDataModule(root, batch_size=8, num_workers=0, **options)
    data.setup("fit")
    return data


def test_validation_batches_hold_the_crops_as_they_lie_on_disk(recast_root: Path) -> None:
    data = module(recast_root)
    batches = list(data.val_dataloader())
    assert [len(labels) for _, labels in batches] == [8, 3]
    assert torch.cat([labels for _, labels in batches]).tolist() == [0] * 3 + [
        1,
        1,
        2,
        2,
        3,
        3,
        4,
        4,
    ]
    crops = torch.cat([crops for crops, _ in batches])
    assert crops.dtype == torch.uint8
    assert crops.shape == (11, 64, 64, 3)
    ninth = read_image(data.recast.crops("val").paths[8])
    assert np.array_equal(crops[8].numpy(), ninth)


def test_what_setup_finds(recast_root: Path) -> None:
    data = module(recast_root)
    assert data.class_counts == (8, 4, 4, 6, 4)
    assert data.input_size == (64, 64)
    assert (data.mean, data.std) == (
        (0.485, 0.456, 0.406),
        (0.229, 0.224, 0.225),
    )


def test_the_normalisation_of_timms_networks_is_what_their_weights_expect(
    recast_root: Path,
) -> None:
    data = RecastDataModule(recast_root, architecture="timm:tf_efficientnet_lite0")
    assert (data.mean, data.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def test_numbers_may_be_given(recast_root: Path) -> None:
    given = ((0.4, 0.45, 0.48), (1 / 255, 1 / 255, 1 / 255))
    data = module(recast_root, normalization=given)
    assert (data.mean, data.std) == given
    with pytest.raises(RecipeError, match=r"means are 0 to 1, .* of 0 to 255, divide them"):
        module(recast_root, normalization=((103.9, 116.8, 123.7), (1, 1, 1)))


def test_dataset_normalisation_is_that_of_the_training_crops(recast_root: Path) -> None:
    data = module(recast_root, normalization="dataset")
    paths = data.recast.crops("train").paths
    pixels = np.stack([read_image(path) for path in paths]) / 255
    assert data.mean == pytest.approx(tuple(pixels.mean(axis=(0, 1, 2))))
    assert data.std == pytest.approx(tuple(pixels.std(axis=(0, 1, 2))))


def epoch(data: RecastDataModule, number: int) -> tuple[torch.Tensor, torch.Tensor]:
    loader = data.train_dataloader()
    loader.batch_sampler.sampler.set_epoch(number)
    crops, labels = zip(*loader, strict=True)
    return torch.cat(crops), torch.cat(labels)


def test_epochs_repeat_for_a_seed_and_differ_from_each_other(recast_root: Path) -> None:
    flips = Augmentation(horizontal_flip=0.5, brightness=0.1)
    options = {"augment": flips, "sampler": "balanced", "seed": 0}
    one, two = module(recast_root, **options), module(recast_root, **options)
    epoch(one, 0)
    assert torch.equal(epoch(one, 1)[0], epoch(two, 1)[0])
    assert not torch.equal(epoch(one, 0)[0], epoch(one, 1)[0])
    other = module(recast_root, **(options | {"seed": 1}))
    assert not torch.equal(epoch(other, 1)[0], epoch(one, 1)[0])


def test_worker_processes_change_nothing(recast_root: Path) -> None:
    flips = Augmentation(horizontal_flip=0.5, vertical_flip=0.5, shift=0.1)
    alone = module(recast_root, augment=flips)
    crowd = module(recast_root, augment=flips)
    crowd.num_workers = 2
    assert torch.equal(epoch(alone, 3)[0], epoch(crowd, 3)[0])


def test_cached_crops_are_read_once_and_not_changed_by_augmentation(tmp_path, make_recast) -> None:
    root = make_recast(tmp_path)
    data = module(root, cache=True, augment=Augmentation(brightness=0.3))
    epoch(data, 0)
    train = data.recast.crops("train").paths
    first = read_image(train[0])
    for path in train:
        path.unlink()
    epoch(data, 1)
    assert np.array_equal(data.train_dataloader().dataset[0][0].numpy(), first)


def test_class_absent_from_training(tmp_path: Path, make_recast) -> None:
    root = make_recast(tmp_path, {"train": (2, 1, 0, 1, 1), "val": (1, 1, 1, 1, 1)})
    with pytest.raises(DataError, match="class 2 has no training crop; build the dataset from"):
        module(root)


def test_recast_before_setup_is_a_mistake(recast_root: Path) -> None:
    with pytest.raises(RuntimeError, match="not set up"):
        _ = RecastDataModule(recast_root).recast


@pytest.mark.parametrize("options", [{"batch_size": 0}, {"num_workers": -1}, {"epoch_crops": 0}])
def test_numbers_out_of_range(recast_root: Path, options: dict) -> None:
    with pytest.raises(RecipeError, match=rf"data\.{next(iter(options))} must be"):
        RecastDataModule(recast_root, **options)


def test_loader_without_sampler_keeps_the_order(recast_root: Path) -> None:
    crops = read_recast(recast_root).crops("test")
    labels = torch.cat([batch[1] for batch in crop_loader(CropDataset(crops), 5, 0)])
    assert labels.tolist() == crops.labels.tolist()


def test_training_normalises_with_the_bundles_bits(tmp_path: Path) -> None:
    crops = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    mean, std = (0.31, 0.32, 0.33), (0.11, 0.12, 0.13)
    card = ModelCard("resnet18", ("a",), (16, 16), mean, std)
    expected = ModelBundle(card, torch.nn.Identity(), "").preprocess(crops)
    found = normalise(torch.from_numpy(crops), mean, std)
    assert torch.equal(found, expected)
    assert found[1, 2, 3, 4].item() == pytest.approx((crops[1, 3, 4, 2] / 255 - 0.33) / 0.13)


def test_unreadable_crop_is_named(tmp_path: Path, make_recast) -> None:
    root = make_recast(tmp_path)
    data = module(root, cache=False)
    broken = data.recast.crops("val").paths[0]
    write_png(broken, np.zeros((64, 64), np.uint8))
    broken.write_bytes(broken.read_bytes()[:60])
    with pytest.raises(Exception, match=f"{broken.name}: (truncated|damaged)"):
        list(data.val_dataloader())


def test_a_run_that_goes_on_begins_with_its_own_epoch(recast_root: Path) -> None:
    """Whatever sets the epoch later: worker processes begin before."""
    data = module(recast_root)
    expected, _ = epoch(data, 2)
    data.first_epoch = 2
    found = torch.cat([crops for crops, _ in data.train_dataloader()])
    assert torch.equal(found, expected)
    data.first_epoch = 0
    assert not torch.equal(torch.cat([crops for crops, _ in data.train_dataloader()]), expected)
