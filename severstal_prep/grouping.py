"""Near-duplicates: the same steel twice, re-encoded, brightened or a little shifted.

Strips, and single crops, are compared by a perceptual hash of 256 bits. Measured on 52 real
strips: copies (JPEG quality 30 to 50, brightness +-20 %, up to 8 px of shift) differ from their
originals in at most 46 bits, 98 % of those shifted by 16 px in at most 48; different strips differ
in at least 96. Of 14 million pairs of real crops of different groups (these strips, NEU-DET,
magnetic tiles) all but one in 10,000 differ in 90 bits or more; 75 differ in at most 48, and those
looked at show one place twice.
"""

from collections.abc import Iterator, Sequence

import cv2
import imagehash
import numpy as np
import numpy.typing as npt
from PIL import Image

HASH_SIZE = 16
NEAR = 48
"""Strips whose hashes differ in at most so many bits are near-duplicates."""
WIDEST = 2 * NEAR
"""No two strips of a group differ in more bits: groups must not grow along chains."""

_REDUCED = (200, 64)
_CROP_REDUCED = (64, 64)


def strip_hash(grey: npt.NDArray[np.uint8]) -> str:
    """Perceptual hash of a grey strip (H, W): 256 bits as 64 hexadecimal digits."""
    return _hash(grey, _REDUCED)


def crop_hash(grey: npt.NDArray[np.uint8]) -> str:
    """The same of a grey crop (H, W)."""
    return _hash(grey, _CROP_REDUCED)


def _hash(grey: npt.NDArray[np.uint8], size: tuple[int, int]) -> str:
    reduced = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return str(imagehash.phash(Image.fromarray(reduced), hash_size=HASH_SIZE))


def nearest(
    hashes: Sequence[str], others: Sequence[str], block: int = 512
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """For each of `hashes` (N,), how many bits the nearest of `others` (M,) differs in, and which
    it is: two arrays (N,). M is at least 1."""
    signs, other_signs = _signs(hashes), _signs(others)
    found = [
        (part.min(axis=1), part.argmin(axis=1))
        for start in range(0, len(signs), block)
        for part in [_distances(signs[start : start + block], other_signs)]
    ]
    if not found:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    distances, places = zip(*found, strict=True)
    return np.concatenate(distances).astype(np.int64), np.concatenate(places).astype(np.int64)


def group_near_duplicates(strip_ids: Sequence[str], hashes: Sequence[str]) -> list[str]:
    """Name each strip's group after the alphabetically first strip of the group.

    Equal hashes are one group. Groups are joined pair by pair, from the nearest on, as long
    as no two strips of the joint group differ in more than WIDEST bits.
    """
    first = dict[str, str]()
    for strip_id, text in zip(strip_ids, hashes, strict=True):
        first[text] = min(strip_id, first.get(text, strip_id))
    distinct = sorted(first, key=lambda text: first[text])
    leaders = _leaders(distinct)
    return [first[distinct[leaders[text]]] for text in hashes]


def _leaders(hashes: Sequence[str]) -> dict[str, int]:
    """Map each hash to the smallest index in its group."""
    signs = _signs(hashes)
    members = {i: [i] for i in range(len(hashes))}
    leader = list(members)
    for _, i, j in sorted(_near_pairs(signs)):
        kept, joined = sorted((leader[i], leader[j]))
        if kept == joined:
            continue
        if _distances(signs[members[kept]], signs[members[joined]]).max() > WIDEST:
            continue
        members[kept] += members.pop(joined)
        for k in members[kept]:
            leader[k] = kept
    return dict(zip(hashes, leader, strict=True))


def _signs(hashes: Sequence[str]) -> npt.NDArray[np.float32]:
    """Hashes as rows (N, bits) of -1 and 1."""
    content = np.frombuffer(bytes.fromhex("".join(hashes)), dtype=np.uint8)
    bits = np.unpackbits(content.reshape(len(hashes), -1), axis=1)
    return bits.astype(np.float32) * 2 - 1


def _near_pairs(signs: npt.NDArray[np.float32], block: int = 512) -> Iterator[tuple[int, int, int]]:
    """Yield (distance, i, j) with i < j for the pairs within NEAR bits."""
    for start in range(0, len(signs), block):
        distances = _distances(signs[start : start + block], signs[start:])
        for i, j in np.argwhere(distances <= NEAR).tolist():
            if i < j:
                yield int(distances[i, j]), start + i, start + j


def _distances(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Differing bits between rows of -1 and 1: (n, bits), (m, bits) to (n, m)."""
    distances: npt.NDArray[np.float32] = (a.shape[1] - a @ b.T) / 2
    return distances
