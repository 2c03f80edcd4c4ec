"""Whether a JPEG file is whole: libjpeg fills what is damaged in its middle, and Pillow is silent.

What libjpeg would warn of is that the compressed data of a scan, or of a restart interval, end
before or after its last block. So Pillow is fed a scan without the marker that follows it, and
with a few bytes more: it asks for data beyond those if blocks are missing, and never asks for the
scan's last bytes if there are too many.
"""

import io
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

_SCAN_END = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")
_RESTART = re.compile(rb"\xff+[\xd0-\xd7]")
_PART = re.compile(rb"\xff+[^\xff\x00]")
_ZEROS = bytes(32)
_SIZES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_CODES, _STEPS, _INTERVAL, _SCAN, _END = 0xC4, 0xDB, 0xDD, 0xDA, 0xD9
_READ = {0: "sequential", 1: "sequential", 2: "progressive"}

_SPARE = 8
"""Bytes that a scan may be too long: less than one block of steel; some cameras add a few."""
_PAD = bytes(8)
"""What libjpeg reads ahead of the bits that it decodes."""
_TAIL = 64
"""Bytes of a progressive scan that cannot all be without effect."""
_TRUNCATED = "truncated, the end of the file is missing; copy it again"
_DAMAGED = "damaged inside, where pixels are missing; copy it again"


class PixelsError(ValueError):
    """What is wrong with an image file and its cure, as the rest of a sentence."""


@dataclass
class _Jpeg:
    """A file's parts: `size` is the frame header, of kind SOF`kind`; `scans` are, each, the
    tables and header before it, its data and its restart interval. `zeros_are_flat` if zero bits
    mean blocks of one tone, as in a black margin, and not 63 waves at once."""

    kind: int = -1
    size: bytes = b""
    interval: int = 0
    zeros_are_flat: bool = True
    scans: list[tuple[bytes, bytes, int]] = field(default_factory=list)


def check_jpeg(content: bytes) -> None:
    """Raise PixelsError unless all blocks of a JPEG file are there, of 8 bits, and one picture."""
    jpeg = _parts(content)
    if jpeg.kind not in _READ:
        raise PixelsError("JPEG of a kind that is not read; save it as PNG")
    if jpeg.size[0] != 8:
        raise PixelsError(f"{jpeg.size[0]} bits per channel; save it with 8 bits per channel")
    if len(jpeg.scans) == 1 and _READ[jpeg.kind] == "sequential":
        whole = all(_is_whole(part) for part in _intervals(jpeg))
    else:
        whole = _are_whole(jpeg)
    if not whole:
        raise PixelsError(_DAMAGED)


def _parts(content: bytes) -> _Jpeg:
    jpeg, tables, place = _Jpeg(), b"\xff\xd8", 2
    while True:
        start = _PART.match(content, place)
        if start is None:
            cut = not content[place:].strip(b"\xff")
            raise PixelsError(_TRUNCATED if cut else "damaged between its parts; copy it again")
        marker, place = content[start.end() - 1], start.end()
        if marker == _END:
            break
        length = int.from_bytes(content[place : place + 2])
        body = content[place + 2 : place + length]
        if length < 2 or len(body) != length - 2:
            raise PixelsError(_TRUNCATED)
        part = bytes([0xFF, marker]) + content[place : place + length]
        place += length
        if marker in _SIZES:
            jpeg.kind, jpeg.size = marker - 0xC0, body
            tables += part
        elif marker in (_CODES, _STEPS, _INTERVAL):
            tables += part
            if marker == _INTERVAL:
                jpeg.interval = int.from_bytes(body[:2])
            elif marker == _STEPS:
                _check_steps(body)
            else:
                jpeg.zeros_are_flat &= _zeros_end_blocks(body)
        elif marker == _SCAN:
            end = _SCAN_END.search(content, place)
            if end is None:
                raise PixelsError(_TRUNCATED)
            jpeg.scans.append((tables + part, content[place : end.start()], jpeg.interval))
            tables, place = b"", end.start()
    if not jpeg.scans or len(jpeg.size) < 6 + 3:
        raise PixelsError("damaged, without a picture; copy it again")
    if content.startswith(b"\xff\xd8\xff", place):
        raise PixelsError("more than one picture; save each as a file of its own")
    return jpeg


def _intervals(jpeg: _Jpeg) -> Iterator[tuple[bytes, bytes]]:
    """A file without its end for each restart interval, as its header and its data."""
    header, data, interval = jpeg.scans[0]
    restarts = list(_RESTART.finditer(data))
    starts = [0, *(found.end() for found in restarts)]
    ends = [*(found.start() for found in restarts), len(data)]
    units, across, wide, high = _units(jpeg.size)
    wanted = -(-units // interval) if interval else 1
    in_turn = all(found[0][-1] - 0xD0 == turn % 8 for turn, found in enumerate(restarts))
    if len(starts) != wanted or not in_turn or (_ZEROS in data and not jpeg.zeros_are_flat):
        raise PixelsError(_DAMAGED)
    if not interval:
        yield header, data
        return
    for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
        count = min(interval, units - number * interval)
        columns = across if count % across == 0 else count
        if columns * wide > 0xFFFF:
            continue
        size = struct.pack(">BHH", 8, count // columns * high, columns * wide) + jpeg.size[5:]
        alone = header.replace(_interval(interval), b"").replace(jpeg.size, size)
        yield alone, data[start:end]


def _check_steps(body: bytes) -> None:
    """Steps of 0, of a table lost to zeros, make a grey picture."""
    place = 0
    while place < len(body):
        size = 128 if body[place] >> 4 else 64
        steps = np.frombuffer(body[place + 1 : place + 1 + size], ">u2" if size == 128 else "u1")
        if steps.size < 64 or not steps.all():
            raise PixelsError("damaged, its table of steps is lost; copy it again")
        place += 1 + size


def _zeros_end_blocks(body: bytes) -> bool:
    """Whether the code of zero bits, the first of each table of waves, means no further wave."""
    place = 0
    while place + 17 < len(body):
        if body[place] >> 4 and body[place + 17] != 0:
            return False
        place += 17 + sum(body[place + 1 : place + 17])
    return True


def _interval(units: int) -> bytes:
    return struct.pack(">BBHH", 0xFF, _INTERVAL, 4, units)


def _units(size: bytes) -> tuple[int, int, int, int]:
    """How many units a scan of all components has, in all and across, and their size in px."""
    _, height, width, components = struct.unpack(">BHHB", size[:6])
    samplings = [divmod(factors, 16) for factors in size[7 : 6 + 3 * components : 3]]
    alone = components == 1
    wide = 8 if alone else 8 * max(across for across, _ in samplings)
    high = 8 if alone else 8 * max(down for _, down in samplings)
    if not (wide and high and width and height):
        raise PixelsError("damaged, of no size; copy it again")
    across = -(-width // wide)
    return across * -(-height // high), across, wide, high


class _Fed(io.BytesIO):
    """A file that hands out its last bytes apart, and notes whether they, or more, were asked."""

    def __init__(self, header: bytes, data: bytes) -> None:
        super().__init__(header + data + _PAD)
        self.last = len(header) + max(0, len(data) - _SPARE)
        self.reached = self.exhausted = False

    def read(self, size: int | None = -1) -> bytes:
        here = self.tell()
        if here < self.last and size is not None:
            return super().read(min(size, self.last - here))
        found = super().read(size)
        self.reached, self.exhausted = True, self.exhausted or not found
        return found


def _is_whole(part: tuple[bytes, bytes]) -> bool:
    stream = _Fed(*part)
    try:
        with Image.open(stream, formats=("JPEG",)) as image:
            image.draft(None, (image.width // 8 or 1, image.height // 8 or 1))
            image.load()
    except (OSError, SyntaxError):
        return False
    return stream.reached and not stream.exhausted


def _are_whole(jpeg: _Jpeg) -> bool:
    """Whether no scan of several needs bytes after its end, or does without its last ones.

    All scans are read before the first pixel is, so that pixels must tell.
    """
    scans = [(header, data) for header, data, _ in jpeg.scans]
    pixels = _pixels(scans)
    more = [(header, _RESTART.sub(lambda m: _PAD + m[0], data) + _PAD) for header, data in scans]
    if _pixels(more) != pixels:
        return False
    return all(
        any(_pixels(other) != pixels for other in _without_end(scans, number))
        for number, (_, data) in enumerate(scans)
        if _is_telling(data)
    )


def _is_telling(data: bytes) -> bool:
    """Whether a scan's last bytes are many and various: those of even tones may say nothing."""
    return len(data) > _TAIL and len(set(data[-_TAIL:])) > 16 and not _RESTART.search(data)


def _without_end(
    scans: Sequence[tuple[bytes, bytes]], number: int
) -> Iterator[list[tuple[bytes, bytes]]]:
    header, data = scans[number]
    kept = data[:-_TAIL].rstrip(b"\xff")
    for other in (b"\x55", b"\xaa", b"\x00"):
        replaced = kept + other * (len(data) - len(kept))
        yield [*scans[:number], (header, replaced), *scans[number + 1 :]]


def _pixels(scans: Sequence[tuple[bytes, bytes]]) -> bytes:
    content = b"".join(header + data for header, data in scans) + b"\xff\xd9"
    try:
        with Image.open(io.BytesIO(content), formats=("JPEG",)) as image:
            return image.tobytes()
    except (OSError, SyntaxError) as error:
        raise PixelsError(f"damaged ({error}); copy it again") from error
