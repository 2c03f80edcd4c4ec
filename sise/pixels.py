"""From an image file's bytes to its pixels, or a word on why they cannot be trusted.

`severstal_prep` and `sise` import no package of ours, so that both hold this module and `jpeg`,
letter by letter; a test compares them. What would be lost in silence (bits beyond the eighth,
further pictures of the file, transparency, the turn that a camera asks for, blocks of damaged
data) is refused: labels are drawn on pixels as they are stored.
"""

import io
import math
import re
import struct
import threading
import warnings
import zlib

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, UnidentifiedImageError

from .jpeg import DEEP, TRUNCATED, TWO, PixelsError, check_parts, decode_jpeg

__all__ = ["FORMATS", "SIGNATURE_BYTES", "PixelsError", "decode", "kind_of"]

FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "PPM", "WEBP", "GIF")
SIGNATURE_BYTES = 160
"""How much of a file's beginning `kind_of` needs."""

_KINDS = {
    rb"\xff\xd8\xff": "JPEG",
    rb"\x89PNG\r\n\x1a\n": "PNG",
    rb"II[*+]\0|MM\0[*+]": "TIFF",
    rb"BM.{4}\0{4}.{4}[\x0c\x28\x34\x38\x40\x6c\x7c]\0{3}": "BMP",
    rb"P[1-6]\s+[#\d]": "PNM",
    rb"RIFF.{4}WEBP": "WebP",
    rb"GIF8[79]a": "GIF",
    rb"P7\s+[#A-Z]": "PAM",
    rb"P[Ff]\s+\d": "PFM",
    rb"\0{3}\x0cjP  |\xff\x4f\xff\x51": "JPEG 2000",
    rb"\xff\x0a|\0{3}\x0cJXL ": "JPEG XL",
    rb".{4}ftypavi[fs]": "AVIF",
    rb".{4}ftyp(hei[cxs]|hev[cx]|mif1)": "HEIC",
    rb"8BPS\0": "Photoshop",
    rb"\x76\x2f\x31\x01": "OpenEXR",
    rb"SIMPLE  =": "FITS",
    rb".{128}DICM": "DICOM",
}  # fmt: skip
_SIGNATURES = [(re.compile(sign, re.DOTALL), kind) for sign, kind in _KINDS.items()]
_PLAIN = frozenset({"1", "L", "P", "RGB"})
_UPRIGHT = frozenset({None, 0, 1})
_TIFF_BITS, _TIFF_COMPRESSION, _TIFF_SAMPLES, _TIFF_FORMAT = 258, 259, 277, 339
_TIFF_TABLES, _TIFF_JPEG, _TIFF_OLD_JPEG = 347, 7, 6
_TIFF_PIECES = ((273, 279), (324, 325))
"""Offsets and sizes of the strips of a TIFF, or of its tiles."""

_MOST_PIXELS = 89_478_485
"""Pillow warns of more."""
_PIECE = 2**20

_header = threading.Lock()


def kind_of(head: bytes) -> str:
    """The kind of image that a file's first bytes tell, such as "JPEG"; "" if of none.

    Kinds that are not read have names, too.
    """
    return next((kind for sign, kind in _SIGNATURES if sign.match(head)), "")


def decode(content: bytes) -> npt.NDArray[np.uint8]:
    """The pixels of an image file's bytes as they are stored: RGB (H, W, 3) uint8, [0, 255].

    Fewer than 8 bits, palettes, grey, an alpha channel that is opaque throughout, and colour
    profiles are read as plain RGB.

    Raises PixelsError, saying what is wrong and its cure, for what is no image, damaged,
    truncated or of a kind that is not read, and for more than 8 bits per channel, more than one
    picture, transparent pixels, colours other than grey and RGB, and pixels to be turned.
    """
    if not content:
        raise PixelsError("the file is empty; copy it again")
    kind = kind_of(content[:SIGNATURE_BYTES])
    if kind == "JPEG":
        check_parts(content)
    elif kind == "PNG":
        _check_png(content)
    stream = _Stream(content)
    try:
        with _opened(stream, content) as image:
            if kind == "JPEG":
                return decode_jpeg(content)
            stream.exhausted = False
            image.load()
            if stream.exhausted:
                raise PixelsError(TRUNCATED)
            return _rgb(image)
    except PixelsError:
        raise
    except UnidentifiedImageError as error:
        raise PixelsError(_unknown(kind)) from error
    except Image.DecompressionBombError as error:
        raise PixelsError(_BOMB) from error
    except Exception as error:  # of damaged files Pillow raises anything
        if "truncated" in str(error).lower():
            raise PixelsError(TRUNCATED) from error
        raise PixelsError(f"damaged ({error}); copy it again") from error


_BOMB = "too many pixels for an image to inspect; cut it into strips"


class _Stream(io.BytesIO):
    """A file that notes whether more was asked of it than it has.

    Pillow raises at that, but not where a program told it to go on (LOAD_TRUNCATED_IMAGES).
    """

    exhausted = False

    def read(self, size: int | None = -1) -> bytes:
        found = super().read(size)
        self.exhausted = self.exhausted or not (found or size == 0)
        return found


def _unknown(kind: str) -> str:
    if not kind:
        return "not an image of a known format; give JPEG, PNG, TIFF, BMP, PGM or WebP"
    if kind in ("PAM", "PFM") or kind.upper() not in (*FORMATS, "PNM"):
        return f"{kind} is not read; save it as PNG with 8 bits per channel"
    return (
        f"{kind} of a kind that is not read, or damaged at its beginning; save it as PNG with 8 "
        "bits per channel, or copy it again"
    )


def _opened(stream: _Stream, content: bytes) -> Image.Image:
    """The image with nothing but its header read and found good."""
    with _header, warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        image = Image.open(stream, formats=FORMATS)
        if getattr(image, "n_frames", 1) > 1:
            raise PixelsError(TWO)
        if image.format == "TIFF":
            _check_tiff(image, content)
        if image.mode.startswith(("I", "F")):
            raise PixelsError(f"more than 8 {DEEP}")
        if image.format == "PPM":
            _check_ppm(image, content)
        turn = image.getexif().get(ExifTags.Base.Orientation)
        if turn not in _UPRIGHT:
            raise PixelsError(
                f"to be turned before it is looked at (EXIF orientation {turn}); take the tag "
                "away, or turn the pixels and then take it away"
            )
    for warning in told:
        if issubclass(warning.category, Image.DecompressionBombWarning):
            raise PixelsError(_BOMB)
        if re.search("corrupt|truncated|malformed", str(warning.message), re.IGNORECASE):
            raise PixelsError(f"damaged ({warning.message}); save it again, or copy it again")
    return image


def _rgb(image: Image.Image) -> npt.NDArray[np.uint8]:
    if image.has_transparency_data:
        opaque = image.convert("RGBA")
        if opaque.getchannel("A").getextrema() != (255, 255):
            raise PixelsError("transparent pixels; save it without transparency")
        return np.array(opaque.convert("RGB"))
    if image.mode not in _PLAIN:
        raise PixelsError(f"colours as {image.mode}; save it as grey or RGB")
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def _check_png(content: bytes) -> None:
    """Depth, the sum of every part, and the number of bytes in the rows.

    Pillow halves 16 bits, passes over wrong sums and leaves missing rows black.
    """
    if len(content) > 16 and content[8:16] != b"\0\0\0\rIHDR":
        raise PixelsError("damaged at its beginning; copy it again")
    if len(content) > 24 and content[24] > 8:
        raise PixelsError(f"{content[24]} {DEEP}")
    data, place, name = [], 8, b""
    while name != b"IEND":
        length = int.from_bytes(content[place : place + 4])
        part, place = content[place + 4 : place + 8 + length], place + 12 + length
        name = part[:4]
        if place > len(content):
            raise PixelsError(TRUNCATED)
        if zlib.crc32(part) != int.from_bytes(content[place - 4 : place]):
            raise PixelsError("damaged, its sum is wrong; copy it again")
        if name == b"IDAT":
            data.append(part[4:])
    if math.prod(struct.unpack(">II", content[16:24])) > _MOST_PIXELS:
        raise PixelsError(_BOMB)
    # Counted, not kept: a small file may hold gigabytes of zeros.
    unpacker, packed, missing = zlib.decompressobj(), b"".join(data), _png_bytes(content)
    try:
        while missing >= 0 and not unpacker.eof:
            rows = unpacker.decompress(packed, _PIECE)
            packed, missing = unpacker.unconsumed_tail, missing - len(rows)
            if not rows and not packed and not unpacker.eof:
                raise PixelsError("damaged (its rows do not come to an end); copy it again")
    except zlib.error as error:
        raise PixelsError(f"damaged ({error}); copy it again") from error
    if missing > 0:
        raise PixelsError("damaged, rows are missing; copy it again")


def _png_bytes(content: bytes) -> int:
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", content[16:29])
    bits = depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour, 0)
    passes = [(0, 8, 0, 8), (4, 8, 0, 8), (0, 4, 4, 8), (2, 4, 0, 4), (0, 2, 2, 4), (1, 2, 0, 2),
              (0, 1, 1, 2)] if interlaced else [(0, 1, 0, 1)]  # fmt: skip
    sizes = [
        (len(range(left, width, across)), len(range(top, height, down)))
        for left, across, top, down in passes
    ]
    return sum(rows * (1 + (columns * bits + 7) // 8) for columns, rows in sizes if columns)


def _check_tiff(image: Image.Image, content: bytes) -> None:
    tags = image.tag_v2  # type: ignore[attr-defined]
    deepest = max(tags.get(_TIFF_BITS, (1,)))
    if deepest > 8 or set(tags.get(_TIFF_FORMAT, (1,))) != {1}:
        raise PixelsError(f"{deepest} {DEEP}, whole numbers from 0 to 255")
    if tags.get(_TIFF_SAMPLES, 1) != len(image.getbands()):
        raise PixelsError(f"{tags[_TIFF_SAMPLES]} channels; save it as grey or RGB")
    if tags.get(_TIFF_COMPRESSION) == _TIFF_OLD_JPEG:
        raise PixelsError("TIFF of an old kind that holds JPEG; save it as PNG")
    if tags.get(_TIFF_COMPRESSION) == _TIFF_JPEG:
        tables = bytes(tags.get(_TIFF_TABLES, b"\xff\xd8\xff\xd9"))[:-2]
        for offsets, sizes in _TIFF_PIECES:
            for start, size in zip(tags.get(offsets, ()), tags.get(sizes, ()), strict=True):
                decode_jpeg(tables + content[start + 2 : start + size])


def _check_ppm(image: Image.Image, content: bytes) -> None:
    codec, _, start, arguments = image.tile[0]  # type: ignore[attr-defined]
    highest = arguments[-1] if isinstance(arguments, tuple) else 255
    if highest > 255:
        raise PixelsError(f"grey values up to {highest}, more than 8 {DEEP}")
    bits = 1 if image.mode == "1" else 8 * len(image.getbands())
    size = (image.width * bits + 7) // 8 * image.height
    rest = content[start + size :].lstrip() if codec != "ppm_plain" else b""
    if kind_of(rest) == "PNM":
        raise PixelsError(TWO)
