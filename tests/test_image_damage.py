"""Damaged files, which decoders fill with grey or black and read, are refused by both readers."""

import io
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

import severstal_prep.images
import sise.images
from severstal_prep.errors import UnreadableImageError
from sise.errors import ImageError

Reader = Callable[[Path], np.ndarray]
COARSE = np.random.default_rng(0).uniform(60, 200, (8, 40))
STRIP = np.kron(COARSE, np.ones((16, 16))) + np.random.default_rng(1).normal(0, 4, (128, 640))
STRIP = STRIP.clip(0, 255).astype(np.uint8)
STRIP[:, 560:] = 0  # a black margin

JPEGS = {
    "plain": {},
    "fine": {"quality": 95},
    "optimised": {"optimize": True},
    "restart markers by row": {"restart_marker_rows": 1},
    "restart markers by block": {"restart_marker_blocks": 3},
    "colour": {"mode": "RGB", "subsampling": 2, "restart_marker_rows": 1},
    "colour in full": {"mode": "RGB", "subsampling": 0},
}


@pytest.fixture(params=[severstal_prep.images.read_image, sise.images.read_image])
def read(request: pytest.FixtureRequest) -> Reader:
    return request.param


@pytest.fixture
def refused(read: Reader, tmp_path: Path) -> Callable[[bytes], bool]:
    def is_refused(content: bytes) -> bool:
        (tmp_path / "image").write_bytes(content)
        try:
            read(tmp_path / "image")
        except (UnreadableImageError, ImageError) as error:
            return str(error).endswith("copy it again")
        return False

    return is_refused


def jpeg(mode: str = "L", **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(STRIP).convert(mode).save(stream, "JPEG", **options)
    return stream.getvalue()


def damaged(content: bytes, seed: int) -> bytes:
    """`content` with a piece in the middle of its compressed data overwritten."""
    rng = np.random.default_rng(seed)
    begin = content.index(b"\xff\xda") + 16
    size = int(rng.choice([48, 256, 1024]))
    start = int(rng.integers(begin, len(content) - size - 2))
    piece = [bytes(size), b"\xff" * size, rng.bytes(size)][seed % 3]
    return content[:start] + piece + content[start + size :]


@pytest.mark.parametrize("options", JPEGS.values(), ids=JPEGS)
def test_whole_jpegs_are_read(refused: Callable[[bytes], bool], options: dict) -> None:
    assert not refused(jpeg(**options))
    assert not refused(jpeg(progressive=True, **options))


@pytest.mark.parametrize("grey", [0, 128, 255])
@pytest.mark.parametrize(
    "options",
    [{}, {"optimize": True}, {"progressive": True}, {"restart_marker_blocks": 1}],
)
def test_even_tones_are_no_damage(
    refused: Callable[[bytes], bool], grey: int, options: dict
) -> None:
    strip = np.full((256, 512, 3), grey, np.uint8)
    strip[:40, :80] = STRIP[:40, :80, None]
    for picture in (strip, strip[40:], strip[:, ::-1]):
        stream = io.BytesIO()
        Image.fromarray(picture).save(stream, "JPEG", **options)
        assert not refused(stream.getvalue())


def test_what_libjpeg_warns_of_is_refused(tmp_path: Path) -> None:
    files = [
        (f"{name} {seed}", damaged(jpeg(**options), seed))
        for name, options in JPEGS.items()
        for seed in range(9)
    ]
    for name, content in files:
        (tmp_path / name).write_bytes(content)
    warned = warnings_of_opencv([tmp_path / name for name, _ in files])
    assert len(warned) > 0.8 * len(files)
    for reader in (severstal_prep.images.read_image, sise.images.read_image):
        for path in warned:
            with pytest.raises((UnreadableImageError, ImageError)):
                reader(path)


def warnings_of_opencv(paths: list[Path]) -> list[Path]:
    """The files of which OpenCV's libjpeg says on stderr that they are corrupt."""
    script = (
        "import sys, cv2, numpy as np\n"
        "for path in sys.argv[1:]:\n"
        "    print('FILE', path, file=sys.stderr, flush=True)\n"
        "    cv2.imdecode(np.fromfile(path, np.uint8), 1)\n"
    )
    command = [sys.executable, "-c", script, *map(str, paths)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    return [
        Path(part.partition("\n")[0].strip())
        for part in told.split("FILE ")[1:]
        if "Corrupt JPEG" in part
    ]


@pytest.mark.parametrize("seed", range(0, 12, 3))
@pytest.mark.parametrize("name", ["plain", "fine", "restart markers by row", "colour"])
def test_zeroed_blocks_are_refused_even_where_libjpeg_is_silent(
    refused: Callable[[bytes], bool], name: str, seed: int
) -> None:
    assert refused(damaged(jpeg(**JPEGS[name]), seed))


def test_most_damage_of_a_progressive_jpeg_is_refused(refused: Callable[[bytes], bool]) -> None:
    content = jpeg(progressive=True)
    found = [refused(damaged(content, seed)) for seed in range(30)]
    assert sum(found) >= 26


def test_lost_tables_of_steps_and_restart_markers_are_refused(
    refused: Callable[[bytes], bool],
) -> None:
    content = jpeg(restart_marker_rows=1)
    steps = content.index(b"\xff\xdb") + 5
    assert refused(content[:steps] + bytes(64) + content[steps + 64 :])
    assert refused(content.replace(b"\xff\xd2", b"\x12\xd2"))
    assert refused(content.replace(b"\xff\xd2", b"\xff\xd3", 1))


def test_a_few_spare_bytes_at_the_end_of_a_scan_are_no_damage(
    refused: Callable[[bytes], bool],
) -> None:
    content = jpeg()
    assert not refused(content[:-2] + b"\0\0\xff\xff\xff\xd9")
    assert not refused(content + b"\r\n")
    assert refused(content[:-2] + bytes(40) + b"\xff\xd9")


def test_a_table_of_steps_cut_off_anywhere_is_refused(refused: Callable[[bytes], bool]) -> None:
    content = jpeg()
    place = content.index(b"\xff\xdb") + 2
    length = int.from_bytes(content[place : place + 2])
    for kept in range(2, length):
        heading = content[:place] + struct.pack(">H", kept)
        assert refused(heading + content[place + 2 : place + kept] + content[place + length :])


def test_the_end_of_a_scan_is_looked_for_once(refused: Callable[[bytes], bool]) -> None:
    """Else this would take hours: a coded 255 may have any number of 255s before it."""
    content = jpeg()
    place = len(content) * 2 // 3
    refused(content[:place] + b"\xff" * 3_000_000 + b"\0" + content[place:])


def test_a_jpeg_inside_a_tiff_is_checked(refused: Callable[[bytes], bool]) -> None:
    for mode in ("L", "RGB"):
        stream = io.BytesIO()
        Image.fromarray(STRIP).convert(mode).save(stream, "TIFF", compression="jpeg")
        content = stream.getvalue()
        assert not refused(content)
        middle = len(content) // 2
        assert refused(content[:middle] + bytes(512) + content[middle + 512 :])


def part(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(data: bytes) -> bytes:
    heading = struct.pack(">IIBBBBB", 640, 128, 8, 0, 0, 0, 0)
    parts = part(b"IHDR", heading) + part(b"IDAT", data) + part(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def test_damaged_pngs_are_refused(refused: Callable[[bytes], bool]) -> None:
    rows = [b"\0" + row.tobytes() for row in STRIP]
    whole = png(zlib.compress(b"".join(rows)))
    assert not refused(whole)
    assert refused(png(zlib.compress(b"".join(rows[:-1]))))  # Pillow leaves the last row black
    assert refused(png(zlib.compress(b"".join(rows))[:-1] + b"\0"))
    assert refused(whole[:-13] + b"\0" + whole[-12:])  # a wrong sum
    assert refused(whole[:-12])
    assert refused(whole.replace(b"IEND", b"IENd"))
    packed = zlib.compress(b"".join(rows))
    for cut in (1, 3, 4, 5, len(packed) - 2):
        assert refused(png(packed[:-cut])), "its end is missing"
    assert refused(png(b""))
    assert refused(b"\x89PNG\r\n\x1a\n" + part(b"IEND", b""))
    assert refused(b"\x89PNG\r\n\x1a\n" + part(b"IHDR", b"\0\0\0\1") + part(b"IEND", b""))


MEMORY = """
import resource, sys
from pathlib import Path
from severstal_prep.images import read_image
read_image(Path(sys.argv[2]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(read_image(Path(sys.argv[1])).shape)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_a_small_png_with_a_quarter_gigabyte_behind_its_rows(
    tmp_path: Path,
) -> None:
    packer = zlib.compressobj(9)
    rows = b"".join(b"\0" + row.tobytes() for row in STRIP)
    data = packer.compress(rows) + packer.compress(bytes(2**28)) + packer.flush()
    assert len(data) < 2**20
    (tmp_path / "bomb.png").write_bytes(png(data))
    (tmp_path / "whole.png").write_bytes(png(zlib.compress(rows)))
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path / "bomb.png"), str(tmp_path / "whole.png")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    shape, mebibytes = done.stdout.splitlines()
    assert shape == "(128, 640, 3)"
    assert int(mebibytes) < 64


def test_a_png_that_claims_billions_of_pixels_is_not_unpacked(read: Reader, tmp_path: Path) -> None:
    claim = struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 0, 0, 0, 0)
    parts = part(b"IHDR", claim) + part(b"IDAT", zlib.compress(bytes(2**24))) + part(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + parts)
    with pytest.raises((UnreadableImageError, ImageError), match="too many pixels"):
        read(tmp_path / "a.png")


@pytest.mark.parametrize("truncation_allowed", [False, True])
@pytest.mark.parametrize(
    ("format_", "options"),
    [
        ("JPEG", {}), ("JPEG", {"progressive": True}), ("PNG", {}), ("TIFF", {}),
        ("TIFF", {"compression": "tiff_deflate"}), ("BMP", {}), ("PPM", {}), ("WEBP", {}),
        ("GIF", {}),
    ],
)  # fmt: skip
def test_truncated_files_are_refused(
    refused: Callable[[bytes], bool],
    monkeypatch: pytest.MonkeyPatch,
    format_: str,
    options: dict,
    truncation_allowed: bool,
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", truncation_allowed)
    stream = io.BytesIO()
    Image.fromarray(STRIP).save(stream, format_, **options)
    content = stream.getvalue()
    assert not refused(content)
    for kept in (len(content) // 3, len(content) * 9 // 10):
        assert refused(content[:kept])
