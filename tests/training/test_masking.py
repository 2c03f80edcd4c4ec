import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from severstal_prep.cli import main as prep
from severstal_prep.dataset import read_manifest
from severstal_prep.images import read_image, write_png
from sise.bundle import read_card
from training.augment import Augmentation
from training.cli import main
from training.data import RecastDataModule
from training.errors import DataError, RecipeError
from training.masking import CropMasker, Masking, normal_class, random_mask, surroundings

GREY = (0.2, 0.4, 0.6)  # 51, 102, 153
STEEL, BRIGHT = 80, 250
DEFECT = np.zeros((64, 64), bool)
DEFECT[20:28, 30:34] = True
CROP = np.where(DEFECT, BRIGHT, STEEL).astype(np.uint8)[..., None].repeat(3, 2)


def masker(**options) -> CropMasker:
    return CropMasker(Masking(**options), GREY)


def test_surroundings_by_hand() -> None:
    defect = np.zeros((9, 9), bool)
    defect[4, 4] = True
    near = surroundings(defect, growth=1, feather=2)
    assert near[4].tolist() == [0, 0, 0.5, 1, 1, 1, 0.5, 0, 0]
    assert near[5, 5] == pytest.approx(1 - (2**0.5 - 1) / 2)
    assert near.dtype == np.float32


@pytest.mark.parametrize(
    ("kind", "left", "label", "expected"),
    [
        ("random", [1, 1, 1, 1], 3, 3),
        ("random", [1, 1, 0, 0], 3, 3),
        ("random", [0.5, 0.5, 0.5, 0.46], 3, None),
        ("random", [0.2, 0.01, 0, 0], 3, None),
        ("random", [0.19, 0, 0, 0], 3, 0),
        ("random", [0, 0, 0, 0], 3, 0),
        ("random", [0, 0, 0, 0], 0, 0),
        ("black_out", [0, 0, 0, 0], 2, 0),
        ("alone", [1, 1, 1, 1], 2, 2),
        ("empty", [0, 0, 0, 0], 4, 0),
    ],
)
def test_class_of_what_is_left(kind: str, left: list, label: int, expected: int | None) -> None:
    defect = np.zeros((3, 4), bool)
    defect[1] = True
    kept = np.ones((3, 4), np.float32)
    kept[1] = left
    assert masker(clear=0.5, gone=0.05).class_of_rest(kind, kept, defect, label) == expected


def test_random_mask_says_nothing_of_a_defect_without_pixels() -> None:
    nowhere = np.zeros((64, 64), bool)
    for option in ("random", "black_out", "alone"):
        found, label = masker(**{option: 1.0})(CROP, nowhere, 2, 0)
        assert label == 2
        assert np.array_equal(found, CROP)


def test_black_out_fills_the_whole_defect_with_what_is_0_for_the_model() -> None:
    blacken = masker(black_out=1.0, fill=("grey",))
    areas = set()
    for seed in range(20):
        found, label = blacken(CROP, DEFECT, 3, seed)
        assert label == 0
        assert np.array_equal(np.unique(found[DEFECT], axis=0), [[51, 102, 153]])
        assert (found[0] == STEEL).all(), "20 px away; a hole reaches 9 px at most"
        areas.add(int((found[..., 0] != STEEL).sum()))
    assert len(areas) > 10, "holes differ in size"
    assert min(areas) >= DEFECT.sum()


def test_alone_leaves_the_defect_and_its_class() -> None:
    found, label = masker(alone=1.0, fill=("grey",))(CROP, DEFECT, 3, 1)
    assert label == 3
    assert (found[DEFECT] == BRIGHT).all()
    assert (found[0] == (51, 102, 153)).all()


def test_normal_crops_are_neither_blackened_nor_left_alone() -> None:
    found, label = masker(black_out=0.5, alone=0.5)(CROP, None, 0, 1)
    assert (label, found is CROP) == (0, True)


def test_empty_crop_is_an_even_normal_one() -> None:
    found, label = CropMasker(Masking(empty=1.0, fill=("grey",)), GREY, 4)(CROP, None, 2, 0)
    assert label == 4
    assert (found == (51, 102, 153)).all()
    mean = round(float(CROP.mean()))
    for fill in ("mean", "blur", "inpaint"):
        assert (masker(empty=1.0, fill=(fill,))(CROP, None, 2, 0)[0] == mean).all()


def test_inpainting_continues_the_steel_around_the_defect() -> None:
    found, _ = masker(black_out=1.0, fill=("inpaint",))(CROP, DEFECT, 3, 0)
    assert np.abs(found.astype(int) - STEEL).max() <= 1
    blurred, _ = masker(black_out=1.0, fill=("blur",))(CROP, DEFECT, 3, 0)
    assert STEEL + 20 < blurred[24, 32, 0] < BRIGHT, "a ghost stays"


def test_level_is_an_even_grey_at_random() -> None:
    found = [masker(empty=1.0, fill=("level",))(CROP, None, 0, seed)[0] for seed in range(100)]
    levels = np.array([crop[0, 0] for crop in found])
    assert all((crop == crop[0, 0]).all() for crop in found)
    assert (np.ptp(levels, axis=1) <= 1).all(), "grey, to rounding"
    assert levels.min() < 20
    assert levels.max() > 235


def test_fill_is_drawn_from_the_list() -> None:
    empty = masker(empty=1.0, fill=("grey", "mean"))
    seen = Counter(int(empty(CROP, None, 0, seed)[0][0, 0, 0]) for seed in range(200))
    assert set(seen) == {51, round(float(CROP.mean()))}
    assert 65 <= seen[51] <= 135


def test_random_masks_are_labelled_by_what_shows() -> None:
    white = np.full((64, 64, 3), 255, np.uint8)
    mask = CropMasker(Masking(random=1.0, fill=("grey",)), (0.0, 0.0, 0.0))
    outcomes = Counter[str]()
    for seed in range(300):
        found, label = mask(white, DEFECT, 2, seed)
        left = found[DEFECT].mean() / 255
        if found is white:
            assert label == 2
            outcomes["unmasked"] += 1
        elif label == 2:
            assert left > 0.49
            outcomes["defect"] += 1
        else:
            assert (label, left < 0.06) == (0, True)
            outcomes["normal"] += 1
    assert min(outcomes.values()) > 30
    assert sum(outcomes.values()) == 300


def test_random_mask_covers_what_it_should_smoothly() -> None:
    masks = [random_mask((60, 100), np.random.default_rng(seed)) for seed in range(200)]
    covered = np.array([mask.mean() for mask in masks])
    assert 0.4 < covered.mean() < 0.6
    assert covered.min() < 0.2
    assert covered.max() > 0.8
    assert {mask.shape for mask in masks} == {(60, 100)}
    assert all(mask.min() >= 0 and mask.max() <= 1 for mask in masks)


def test_shares_of_many_draws() -> None:
    many = 4000
    mask = masker(black_out=0.2, alone=0.1, random=0.15, empty=0.05)
    defect = Counter(mask.kind(1, seed) for seed in range(many))
    normal = Counter(mask.kind(0, seed) for seed in range(many))
    shares = {"black_out": 0.2, "alone": 0.1, "random": 0.15, "empty": 0.05, None: 0.5}
    for kind, share in shares.items():
        assert abs(defect[kind] - many * share) < 4 * (many * share * (1 - share)) ** 0.5
    assert (normal["black_out"], normal["alone"]) == (0, 0)
    assert abs(normal["random"] - many * 0.15) < 4 * (many * 0.15 * 0.85) ** 0.5


def test_equal_seeds_give_equal_crops() -> None:
    options = {"black_out": 0.5, "random": 0.5, "fill": ("grey", "inpaint", "level")}
    one, two = masker(**options), masker(**options)
    one(CROP, DEFECT, 1, 99)
    found = [mask(CROP, DEFECT, 1, 5) for mask in (one, two)]
    assert np.array_equal(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]
    assert not np.array_equal(one(CROP, DEFECT, 1, 5)[0], one(CROP, DEFECT, 1, 6)[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"black_out": 1.2}, r"data\.masking\.black_out must be 0 to 1, not 1\.2"),
        ({"random": -0.1}, r"data\.masking\.random must be 0 to 1"),
        ({"black_out": 0.6, "alone": 0.5}, r"at most 1 together, not 1\.1"),
        ({"gone": 0.5}, r"gone must be below data\.masking\.clear, not 0\.5 and 0\.5"),
        ({"fill": ()}, r"data\.masking\.fill must name one fill or more"),
    ],
)
def test_options_that_do_not_go_together(options: dict, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Masking(**options)


def test_shares_that_make_one_in_floating_point() -> None:
    assert Masking(black_out=0.7, alone=0.1, random=0.1, empty=0.1)
    assert not Masking(fill=("mean",))


def test_normal_class_is_found_by_name() -> None:
    assert normal_class(["crack", "normal"]) == 1
    with pytest.raises(
        RecipeError, match=r"a class called 'normal' .* the dataset has crack, fray"
    ):
        normal_class(["crack", "fray"])


def with_masks(root: Path) -> Path:
    """Give the crops of a dataset CROP's defect, and defect crops their masks."""
    for row in read_manifest(root).itertuples():
        write_png(root / row.crop_path, CROP if row.class_id else np.full_like(CROP, STEEL))
        if row.mask_path:
            (root / row.mask_path).parent.mkdir(parents=True, exist_ok=True)
            write_png(root / row.mask_path, np.where(DEFECT, 255, 0).astype(np.uint8))
    return root


@pytest.fixture
def masked_root(tmp_path: Path, make_recast) -> Path:
    return with_masks(make_recast(tmp_path / "recast"))


def module(root: Path, **options) -> RecastDataModule:
    data = RecastDataModule(root, batch_size=8, num_workers=0, **options)
    data.setup("fit")
    return data


def epoch(data: RecastDataModule, number: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    loader = data.train_dataloader()
    loader.batch_sampler.sampler.set_epoch(number)
    crops, labels = zip(*loader, strict=True)
    return torch.cat(crops), torch.cat(labels)


def test_masks_move_with_their_crops_and_grey_stays_grey(masked_root: Path) -> None:
    vary = Augmentation(0.5, 0.5, brightness=0.2, contrast=0.1, shift=0.2)
    masking = Masking(black_out=1.0, fill=("grey",))
    crops, labels = epoch(module(masked_root, augment=vary, masking=masking))
    assert labels.eq(0).all()
    grey = torch.tensor([124, 116, 104])  # ImageNet's mean
    changed = 0
    for crop in crops:
        hole = (crop == grey).all(-1)
        changed += bool(hole.any())
        assert np.ptp(crop[~hole][:, 0].numpy()) < 90, "250 on 80 is nowhere left"
    assert changed == sum(module(masked_root).class_counts[1:])


def test_masking_changes_nothing_else(masked_root: Path) -> None:
    vary = Augmentation(0.5, 0.5, brightness=0.2, shift=0.2)
    plain, labels = epoch(module(masked_root, augment=vary))
    masked, others = epoch(module(masked_root, augment=vary, masking=Masking(alone=0.4)))
    same = plain.eq(masked).flatten(1).all(1)
    assert 0.3 < same.float().mean() < 1
    assert torch.equal(labels, others)
    options = {"masking": Masking(empty=1.0)}
    validation = [torch.cat([b[0] for b in module(masked_root, **o).val_dataloader()])
                  for o in (options, {})]  # fmt: skip
    assert torch.equal(*validation)


def test_cache_and_worker_processes_change_nothing(masked_root: Path) -> None:
    options = {"masking": Masking(black_out=0.4, random=0.4, empty=0.1), "sampler": "balanced"}
    plain, crowd = module(masked_root, cache=False, **options), module(masked_root, **options)
    cached = module(masked_root, cache=True, **options)
    crowd.num_workers = 2
    for number in (0, 1):
        expected = epoch(plain, number)
        for other in (cached, crowd):
            found = epoch(other, number)
            assert torch.equal(found[0], expected[0])
            assert torch.equal(found[1], expected[1])
    assert plain.class_counts == (8, 4, 4, 6, 4), "as on disk"
    assert not torch.equal(epoch(plain, 0)[0], epoch(plain, 1)[0])


def test_defect_crop_without_a_mask(masked_root: Path) -> None:
    mask = next((masked_root / "masks" / "train" / "2").iterdir())
    mask.unlink()
    with pytest.raises(DataError, match=rf"this defect crop has no mask \(.*{mask.name}\), which"):
        module(masked_root, masking=Masking(random=0.1))
    module(masked_root, masking=Masking(empty=0.1))
    module(masked_root)


def test_where_masking_is_impossible_training_goes_on_without_it(
    masked_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    some = Masking(random=0.1, where_possible=True)
    assert module(masked_root, masking=some).masking.record()["masking"]["random"] == 0.1
    assert capsys.readouterr().err == ""
    next((masked_root / "masks" / "train" / "2").iterdir()).unlink()
    data = module(masked_root, masking=some)
    assert data.masking.record() == {}
    assert data.class_frequencies == (8, 4, 4, 6, 4)
    said = capsys.readouterr().err
    assert "no crops are masked: " in said
    assert "this defect crop has no mask" in said
    assert torch.equal(epoch(data)[0], epoch(module(masked_root))[0])


def test_mask_of_another_size(masked_root: Path) -> None:
    for mask in (masked_root / "masks" / "train").rglob("*.png"):
        write_png(mask, np.zeros((8, 16), np.uint8))
    told = r"\.png: 16×8 px, but its crop has 64×64; build the"
    with pytest.raises(DataError, match=told):
        module(masked_root, masking=Masking(alone=1.0))
    data = module(masked_root, masking=Masking(alone=1.0), cache=False)
    with pytest.raises(DataError, match=told):
        epoch(data)


def test_cached_masks_are_read_once(masked_root: Path) -> None:
    data = module(masked_root, cache=True, masking=Masking(black_out=1.0))
    epoch(data)
    for mask in (masked_root / "masks").rglob("*.png"):
        mask.unlink()
    assert epoch(data)[1].eq(0).all()
    crop = data.recast.crops("train").paths[-1]
    assert np.array_equal(data.train_dataloader().dataset[25][0].numpy(), read_image(crop))


def test_frequencies_are_those_of_crops_shown_whole(masked_root: Path) -> None:
    assert module(masked_root).class_frequencies == (8, 4, 4, 6, 4)
    some = Masking(black_out=0.2, alone=0.1, random=0.15, empty=0.05)
    data = module(masked_root, masking=some)
    assert data.class_frequencies == pytest.approx((8 * 0.8, 2, 2, 3, 2))
    assert data.class_counts == (8, 4, 4, 6, 4)
    none = Masking(black_out=0.7, alone=0.1, random=0.1, empty=0.1)
    assert module(masked_root, masking=none).class_frequencies == (8, 4, 4, 6, 4)


@pytest.mark.slow
def test_fit_on_generated_strips_records_its_masking(tmp_path: Path) -> None:
    sample, recast, out = (str(tmp_path / name) for name in ("sample", "recast", "run"))
    assert prep(["sample", "--out", sample, "--strips", "30", "--seed", "3"]) == 0
    images = ["--csv", f"{sample}/train.csv", "--images", f"{sample}/train_images"]
    assert prep(["build", *images, "--out", recast]) == 0
    shares = {"black_out": 0.3, "alone": 0.2, "random": 0.3, "empty": 0.1}
    masking = [
        word for name, share in shares.items() for word in (f"--data.masking.{name}", str(share))
    ]
    steps = [
        "--trainer.max_epochs",
        "1",
        "--data.epoch_crops",
        "48",
        "--trainer.precision",
        "32-true",
    ]
    arguments = ["fit", "--config", "demo", "--data.root", recast, "--out", out, *steps, *masking]
    assert main([*arguments, "--data.masking.fill", "[grey, mean, blur, inpaint, level]"]) == 0
    recorded = {
        **shares,
        "clear": 0.5,
        "gone": 0.05,
        "fill": ["grey", "mean", "blur", "inpaint", "level"],
    }
    assert json.loads((tmp_path / "run" / "run.json").read_text("utf-8"))["masking"] == recorded
    assert read_card(tmp_path / "run" / "bundle").dataset["masking"] == recorded
