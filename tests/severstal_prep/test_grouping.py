from pathlib import Path

import cv2
import numpy as np
import pytest

from severstal_prep.grouping import NEAR, WIDEST, group_near_duplicates, strip_hash
from severstal_prep.images import read_image, to_grey


def bits_hash(*flipped: int) -> str:
    """A hash of 256 zeros but for the bits given."""
    bits = np.zeros(256, dtype=np.uint8)
    bits[list(flipped)] = 1
    return np.packbits(bits).tobytes().hex()


def distance(a: str, b: str) -> int:
    return (int(a, 16) ^ int(b, 16)).bit_count()


def reencoded(strip: np.ndarray, quality: int) -> np.ndarray:
    content = cv2.imencode(".jpg", strip, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(content, cv2.IMREAD_GRAYSCALE)


def brightened(strip: np.ndarray, factor: float, offset: int) -> np.ndarray:
    return (strip.astype(float) * factor + offset).clip(0, 255).astype(np.uint8)


def shifted(strip: np.ndarray, pixels: int) -> np.ndarray:
    return np.pad(strip, ((0, 0), (pixels, 0)), mode="reflect")[:, : strip.shape[1]]


COPIES = {
    "quality 30": lambda s: reencoded(s, 30),
    "quality 60": lambda s: reencoded(s, 60),
    "a fifth brighter": lambda s: brightened(s, 1.2, 0),
    "a fifth darker": lambda s: brightened(s, 0.8, 0),
    "10 levels darker": lambda s: brightened(s, 1, -10),
    "shifted by 8 px": lambda s: shifted(s, 8),
    "all three": lambda s: reencoded(brightened(shifted(s, 4), 1.1, 3), 70),
}


def test_near_hashes_join_and_far_ones_do_not() -> None:
    names = ["b", "a", "c"]
    hashes = [bits_hash(), bits_hash(*range(NEAR)), bits_hash(*range(100, 101 + NEAR))]
    assert group_near_duplicates(names, hashes) == ["a", "a", "c"]


def test_equal_hashes_join_however_many() -> None:
    assert group_near_duplicates(list("dcba"), [bits_hash(1)] * 3 + [bits_hash(*range(99))]) == [
        "b", "b", "b", "a",
    ]  # fmt: skip


def test_groups_do_not_grow_along_chains() -> None:
    # Six strips, each 40 bits from the next: end to end it is 200.
    order = np.random.default_rng(0).permutation(256)
    chain = [bits_hash(*order[: 40 * i]) for i in range(6)]
    groups = group_near_duplicates([f"s{i}" for i in range(6)], chain)
    for group in set(groups):
        members = [h for h, g in zip(chain, groups, strict=True) if g == group]
        assert max(distance(a, b) for a in members for b in members) <= WIDEST
    assert 2 <= len(set(groups)) < 6


def test_order_of_strips_does_not_matter() -> None:
    rng = np.random.default_rng(1)
    base = rng.permutation(256)
    hashes = [bits_hash(*base[: 30 * i]) for i in range(8)]
    names = [f"s{i}" for i in range(8)]
    forwards = dict(zip(names, group_near_duplicates(names, hashes), strict=True))
    backwards = group_near_duplicates(names[::-1], hashes[::-1])
    assert forwards == dict(zip(names[::-1], backwards, strict=True))


def test_a_strip_alone_is_its_own_group() -> None:
    assert group_near_duplicates(["a"], [bits_hash()]) == ["a"]


def test_hash_is_64_digits_and_flat_strips_have_one() -> None:
    for value in (0, 128):
        assert strip_hash(np.full((256, 1600), value, dtype=np.uint8)) in {"0" * 64, "8" + "0" * 63}


@pytest.fixture(scope="module")
def real_strips(steel_data: Path) -> dict[str, np.ndarray]:
    paths = sorted((steel_data / "severstal_sample" / "train_images").iterdir())
    return {path.stem: to_grey(read_image(path)) for path in paths}


def test_no_two_different_real_strips_are_joined(real_strips: dict[str, np.ndarray]) -> None:
    hashes = [strip_hash(strip) for strip in real_strips.values()]
    assert len(hashes) == 52
    nearest = min(distance(a, b) for i, a in enumerate(hashes) for b in hashes[:i])
    assert nearest >= WIDEST  # twice the distance at which strips are joined
    assert group_near_duplicates(list(real_strips), hashes) == list(real_strips)


@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES.keys())
def test_copies_of_real_strips_join_their_originals(
    real_strips: dict[str, np.ndarray], copy
) -> None:
    names = list(real_strips)
    originals = [strip_hash(strip) for strip in real_strips.values()]
    copies = [strip_hash(copy(strip)) for strip in real_strips.values()]
    groups = group_near_duplicates(names + [f"{name}_copy" for name in names], originals + copies)
    assert groups == names + names
