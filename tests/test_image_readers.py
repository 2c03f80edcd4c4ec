"""What both readers of images promise: every pixel as it is stored, or one line on why not."""

import io
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import severstal_prep.images
import sise.images
from severstal_prep.errors import UnreadableImageError
from sise.errors import ImageError

ROOT = Path(__file__).parent.parent
Refused = (UnreadableImageError, ImageError)
Reader = Callable[[Path], np.ndarray]
GREY = np.random.default_rng(0).integers(0, 256, (48, 80), np.uint8)
RGB = np.random.default_rng(1).integers(0, 256, (48, 80, 3), np.uint8)


@pytest.fixture(params=[severstal_prep.images.read_image, sise.images.read_image])
def read(request: pytest.FixtureRequest) -> Reader:
    return request.param


@pytest.fixture
def refusal(read: Reader, tmp_path: Path) -> Callable[[bytes], str]:
    """The reason that a reader gives for refusing a file of these bytes."""

    def reason(content: bytes) -> str:
        path = tmp_path / "тест dir.img"
        path.write_bytes(content)
        with pytest.raises(Refused) as caught:
            read(path)
        said = str(caught.value)
        assert said.startswith(f"{path}: ")
        assert "\n" not in said
        return said.removeprefix(f"{path}: ")

    return reason


def encoded(image: Image.Image | np.ndarray, format_: str, **options: object) -> bytes:
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    stream = io.BytesIO()
    image.save(stream, format_, **options)
    return stream.getvalue()


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def png(array: np.ndarray, depth: int, colour: int, extra: bytes = b"", rows: int = 0) -> bytes:
    """A PNG file, written here; `rows` of it if given."""

    def part(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    big = array.astype(array.dtype.newbyteorder(">"))
    lines = b"".join(b"\0" + line.tobytes() for line in big[: rows or len(big)])
    heading = struct.pack(">IIBBBBB", array.shape[1], array.shape[0], depth, colour, 0, 0, 0)
    body = part(b"IHDR", heading) + extra + part(b"IDAT", zlib.compress(lines)) + part(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def tiff(**tags: tuple[int, int, int]) -> bytes:
    """A TIFF of 2 x 1 px of zeros with these entries: tag, type (3 short, 4 long), value."""
    entries = {
        "width": (256, 3, 2), "height": (257, 3, 1), "bits": (258, 3, 8),
        "compression": (259, 3, 1), "photometric": (262, 3, 1), "offset": (273, 4, 8),
        "samples": (277, 3, 1), "rows": (278, 3, 1), "count": (279, 4, 16),
    } | tags  # fmt: skip
    listed = b"".join(
        struct.pack("<HHI", tag, kind, 1) + struct.pack("<I", value)
        for tag, kind, value in sorted(entries.values())
    )
    return (
        b"II*\0"
        + struct.pack("<I", 24)
        + bytes(16)
        + struct.pack("<H", len(entries))
        + listed
        + bytes(4)
    )


def test_both_readers_are_the_same_letter_by_letter() -> None:
    for name in ("pixels.py", "jpeg.py"):
        ours = (ROOT / "severstal_prep" / name).read_text("utf-8")
        assert (ROOT / "sise" / name).read_text("utf-8") == ours


READ = {
    "grey PNG": (encoded(GREY, "PNG"), GREY),
    "colour PNG": (encoded(RGB, "PNG"), RGB),
    "interlaced by hand": (png(GREY, 8, 0), GREY),
    "1 bit": (encoded(Image.fromarray(GREY > 99), "PNG"), (GREY > 99) * 255),
    "palette": (encoded(Image.fromarray(GREY).convert("P"), "PNG"), GREY),
    "opaque RGBA": (encoded(np.dstack([RGB, GREY * 0 + 255]), "PNG"), RGB),
    "opaque LA": (encoded(Image.fromarray(GREY).convert("LA"), "PNG"), GREY),
    "TIFF": (encoded(GREY, "TIFF"), GREY),
    "TIFF, LZW": (encoded(RGB, "TIFF", compression="tiff_lzw"), RGB),
    "BMP": (encoded(RGB, "BMP"), RGB),
    "PGM": (encoded(GREY, "PPM"), GREY),
    "PGM up to 100": (b"P5 3 1 100\n" + bytes([0, 50, 100]), np.uint8([[0, 128, 255]])),
    "GIF": (encoded(GREY, "GIF"), GREY),
    "WebP": (encoded(RGB, "WEBP", lossless=True), RGB),
    "upright, and says so": (encoded(GREY, "PNG", exif=turned(1)), GREY),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_is_read_to_the_pixel(read: Reader, tmp_path: Path, name: str) -> None:
    content, expected = READ[name]
    path = tmp_path / "image"
    path.write_bytes(content)
    found = read(path)
    assert found.dtype == np.uint8
    assert found.flags.writeable
    rgb = expected if expected.ndim == 3 else np.stack([expected] * 3, axis=2)
    np.testing.assert_array_equal(found, rgb)


DEEP = {
    "PNG, grey": (png(GREY.astype(np.uint16) * 257, 16, 0), "16 bits"),
    "PNG, RGB": (png(RGB.astype(np.uint16).reshape(48, 240)[:, :48] * 257, 16, 0), "16 bits"),
    "TIFF, grey": (encoded(GREY.astype(np.uint16) * 257, "TIFF"), "16 bits"),
    "TIFF, 12 bits": (tiff(bits=(258, 3, 12)), "12 bits"),
    "TIFF, float": (encoded(GREY.astype(np.float32), "TIFF"), "32 bits"),
    "TIFF, signed": (tiff(format=(339, 3, 2)), "whole numbers from 0 to 255"),
    "PGM": (b"P5 2 1 65535\n" + bytes(4), "more than 8 bits"),
    "PGM, 10 bits": (b"P5 2 1 1023\n" + bytes(4), "more than 8 bits"),
    "PPM": (b"P6 1 1 4095\n" + bytes(6), "4095, more than 8 bits"),
    "PPM, in digits": (b"P3 1 1 65535\n1 2 60000\n", "65535, more than 8 bits"),
    "PFM": (b"Pf\n1 1\n-1.0\n" + bytes(4), "8 bits per channel"),
    "JPEG": (encoded(GREY, "JPEG").replace(b"\xc0\0\x0b\x08", b"\xc1\0\x0b\x0c"), "12 bits"),
    "JPEG 2000": (encoded(GREY.astype(np.uint16) * 257, "JPEG2000"), "JPEG 2000 is not read"),
}  # fmt: skip


@pytest.mark.parametrize("name", DEEP)
def test_more_than_eight_bits_are_refused(refusal: Callable[[bytes], str], name: str) -> None:
    content, reason = DEEP[name]
    assert reason in refusal(content)
    assert "8 bits per channel" in refusal(content)


def test_sixteen_bits_of_colour_are_refused(refusal: Callable[[bytes], str]) -> None:
    deep = RGB.astype(np.uint16).reshape(48, 240) * 257
    content = bytearray(png(deep, 16, 0))
    content[16:20], content[25] = struct.pack(">I", 80), 2
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    with Image.open(io.BytesIO(content)) as image:
        assert image.mode == "RGB"  # Pillow's, without a word
        np.testing.assert_array_equal(np.asarray(image), RGB)
    assert refusal(bytes(content)) == "16 bits per channel; save it with 8 bits per channel"


@pytest.mark.parametrize("format_", ["TIFF", "GIF", "WEBP", "PNG", "MPO"])
def test_further_pictures_are_refused(refusal: Callable[[bytes], str], format_: str) -> None:
    pages = [Image.fromarray(GREY), Image.fromarray(GREY[::-1])]
    content = encoded(pages[0], format_, save_all=True, append_images=pages[1:])
    assert refusal(content) == "more than one picture; save each as a file of its own"


@pytest.mark.parametrize("format_", ["PPM", "JPEG"])
def test_pictures_one_after_the_other_are_refused(
    refusal: Callable[[bytes], str], format_: str
) -> None:
    assert "more than one picture" in refusal(encoded(GREY, format_) * 2)


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("turn", [2, 3, 6, 8])
def test_pixels_to_be_turned_are_refused(
    refusal: Callable[[bytes], str], format_: str, turn: int
) -> None:
    assert "EXIF orientation" in refusal(encoded(GREY, format_, exif=turned(turn)))


def transparent() -> dict[str, bytes]:
    key = Image.fromarray(GREY).convert("P")
    return {
        "RGBA": encoded(np.dstack([RGB, GREY]), "PNG"),
        "one pixel": encoded(np.dstack([RGB, 255 - np.eye(48, 80, dtype=np.uint8)]), "PNG"),
        "LA": encoded(Image.merge("LA", [Image.fromarray(GREY)] * 2), "PNG"),
        "palette": encoded(key, "PNG", transparency=int(GREY[0, 0])),
        "RGB with a key": encoded(RGB, "PNG", transparency=tuple(RGB[3, 4].tolist())),
        "grey with a key": encoded(GREY, "PNG", transparency=int(GREY[0, 0])),
        "WebP": encoded(np.dstack([RGB, GREY]), "WEBP", lossless=True),
        "TIFF": encoded(np.dstack([RGB, GREY]), "TIFF"),
        "GIF": encoded(key, "GIF", transparency=int(GREY[0, 0])),
    }  # fmt: skip


@pytest.mark.parametrize("name", transparent())
def test_transparent_pixels_are_refused(refusal: Callable[[bytes], str], name: str) -> None:
    assert refusal(transparent()[name]) == "transparent pixels; save it without transparency"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (encoded(Image.fromarray(RGB).convert("CMYK"), "JPEG"), "colours as CMYK"),
        (encoded(Image.fromarray(RGB).convert("CMYK"), "TIFF"), "colours as CMYK"),
        (encoded(Image.fromarray(RGB).convert("LAB"), "TIFF"), "colours as LAB"),
        (tiff(samples=(277, 3, 2)), "2 channels|transparent|damaged"),
        (encoded(GREY, "TGA"), "not an image of a known format"),
        (b"\0\0\0\x20ftypheic" + bytes(20), "HEIC is not read; save it as PNG"),
        (b"8BPS\0\1" + bytes(20), "Photoshop is not read"),
        (bytes(128) + b"DICM" + bytes(9), "DICOM is not read"),
        (b"", "the file is empty"),
        (b"no image at all", "not an image of a known format; give JPEG"),
        (b"P5 0 0 255\n", "damaged|known|beginning"),
    ],
)
def test_other_colours_and_kinds_are_refused(
    refusal: Callable[[bytes], str], content: bytes, reason: str
) -> None:
    assert re.search(reason, refusal(content))
