"""How much of the damage inside JPEG files is found: the table of docs/images.md.

    python benchmarks/images/damage.py FILE.jpg [FILE.jpg ...]

Each file as it is, and encoded anew in five ways, loses pieces of its compressed data, with seed 0.
Counted are files whose pixels, as Pillow reads them, came out changed; and whole files refused.
"""

import io
import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile

from severstal_prep.pixels import PixelsError, decode

KINDS = (
    {"quality": 85},
    {"quality": 90, "optimize": True},
    {"quality": 90, "restart_marker_rows": 1},
    {"quality": 95, "progressive": True},
    {"quality": 85, "progressive": True, "restart_marker_blocks": 4},
)


def main() -> None:
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    rng = random.Random(0)  # noqa: S311
    changed, found, whole, refused = Counter[str](), Counter[str](), 0, 0
    for path in map(Path, sys.argv[1:]):
        for progressive, content in encodings(path):
            whole, refused = whole + 1, refused + is_refused(content)
            before = pixels(content)
            for name, other in damages(content, rng):
                after = pixels(other)
                if after is not None and np.array_equal(before, after):
                    continue
                kind = f"{name}, {'progressive' if progressive else 'sequential'}"
                changed[kind] += 1
                found[kind] += is_refused(other)
    for kind in sorted(changed):
        print(f"{kind}: {found[kind]} of {changed[kind]}")
    print(f"whole files refused: {refused} of {whole}")


def encodings(path: Path) -> Iterator[tuple[bool, bytes]]:
    yield False, path.read_bytes()
    for options in KINDS:
        stream = io.BytesIO()
        with Image.open(path) as image:
            image.save(stream, "JPEG", **options)
        yield "progressive" in options, stream.getvalue()


def damages(content: bytes, rng: random.Random) -> Iterator[tuple[str, bytes]]:
    begin = content.find(b"\xff\xda") + 12
    for _ in range(3):
        start = rng.randrange(begin, len(content) - 40)
        size = min(rng.choice([16, 64, 512, 4096]), len(content) - 2 - start)
        rest = content[start + size :]
        yield "zeros", content[:start] + bytes(size) + rest
        yield "noise", content[:start] + rng.randbytes(size).replace(b"\xff", b"\xfe") + rest
        yield "cut out", content[:start] + rest
        yield "end missing", content[:start]
        bit = bytes([content[start] ^ 1 << rng.randrange(8)])
        yield "one bit", content[:start] + bit + content[start + 1 :]


def is_refused(content: bytes) -> bool:
    try:
        decode(content)
    except PixelsError:
        return True
    return False


def pixels(content: bytes) -> npt.NDArray[np.uint8] | None:
    try:
        with Image.open(io.BytesIO(content), formats=("JPEG",)) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError):
        return None


if __name__ == "__main__":
    main()
