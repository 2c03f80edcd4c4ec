"""JPEG files to the last block: libjpeg fills what is damaged inside, warns, and goes on.

Pillow and OpenCV keep its warnings from the caller; simplejpeg raises them. Four things pass even
there: zeros that happen to be valid codes, a table of steps lost to zeros, a further picture after
the first, and inks (CMYK) shown as if they were light.
"""

import re

import numpy as np
import numpy.typing as npt
import simplejpeg

_PART = re.compile(rb"\xff+([^\xff\x00])")
_SCAN_END = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_ZEROS = bytes(32)
_CODES, _STEPS, _SCAN, _END = 0xC4, 0xDB, 0xDA, 0xD9
_SIZES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_SEQUENTIAL = (0xC0, 0xC1)

TRUNCATED = "truncated, the end of the file is missing; copy it again"
_DAMAGED = "damaged inside, where pixels are missing; copy it again"
DEEP = "bits per channel; save it with 8 bits per channel"
TWO = "more than one picture; save each as a file of its own"


class PixelsError(ValueError):
    """What is wrong with an image file and its cure, as the rest of a sentence."""


def decode_jpeg(content: bytes) -> npt.NDArray[np.uint8]:
    """The pixels of a JPEG file, RGB (H, W, 3) uint8, grey as three equal channels.

    Raises PixelsError for a file that libjpeg warns of or cannot read, for CMYK, and as
    `check_parts`.
    """
    check_parts(content)
    try:
        _, _, colours, _ = simplejpeg.decode_jpeg_header(content)
        pixels: npt.NDArray[np.uint8] = simplejpeg.decode_jpeg(content)
    except ValueError as error:
        raise PixelsError(TRUNCATED if "Premature end" in str(error) else _DAMAGED) from error
    if colours in ("CMYK", "YCCK"):
        raise PixelsError(f"colours as {colours}; save it as grey or RGB")
    return pixels


def check_parts(content: bytes) -> None:
    """Raise PixelsError for more than 8 bits or one picture, and for zeros where none can be.

    Where the parts cannot be told apart this says nothing: `decode_jpeg` does.
    """
    place, kind, zeros_are_flat = 2, -1, True
    while part := _PART.match(content, place):
        marker, place = part[1][0], part.end()
        if marker == _END:
            if content.startswith(b"\xff\xd8\xff", place):
                raise PixelsError(TWO)
            return
        length = int.from_bytes(content[place : place + 2])
        body = content[place + 2 : place + length]
        place += length
        if marker in _SIZES:
            kind = marker
            if body[:1] not in (b"", b"\x08"):
                raise PixelsError(f"{body[0]} {DEEP}")
        elif marker == _STEPS:
            _check_steps(body)
        elif marker == _CODES:
            zeros_are_flat &= _zeros_end_blocks(body)
        elif marker == _SCAN:
            end = _SCAN_END.search(content, place)
            scan = content[place : end.start() if end else len(content)]
            if kind in _SEQUENTIAL and not zeros_are_flat and _ZEROS in scan:
                raise PixelsError(_DAMAGED)
            place += len(scan)


def _check_steps(body: bytes) -> None:
    """Steps of 0, of a table lost to zeros, make a grey picture."""
    place = 0
    while place < len(body):
        size = 128 if body[place] >> 4 else 64
        if place + size >= len(body):  # cut off, which libjpeg will say
            return
        steps = np.frombuffer(body[place + 1 : place + 1 + size], "u1").reshape(64, -1)
        if not steps.any(axis=1).all():
            raise PixelsError("damaged, its table of steps is lost; copy it again")
        place += 1 + size


def _zeros_end_blocks(body: bytes) -> bool:
    """Whether zero bits, the first code of each table of waves, mean no further wave, as in a black
    margin, and not 63 waves at once."""
    place = 0
    while place + 17 < len(body):
        if body[place] >> 4 and body[place + 17] != 0:
            return False
        place += 17 + sum(body[place + 1 : place + 17])
    return True
