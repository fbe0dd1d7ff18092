"""Writing TIFF: deflated strips, with the EXIF block as the head of the file.

An EXIF block is itself a small TIFF whose offsets count from its first byte. So that of the first page opens the
file as it is: its entries are listed anew beside those of the image, its folders and a camera's notes stay in place.
Those of further pages are copied with new offsets.
"""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from nlrn.images import exif, threads
from nlrn.images.picture import Metadata

_SHORT, _LONG, _RATIONAL, _BYTE, _UNDEFINED = 3, 4, 5, 1, 7
_LETTER = {_SHORT: "H", _LONG: "I", _RATIONAL: "I", _BYTE: "B", _UNDEFINED: "B"}
_GRAY, _RGB, _SEPARATED = 1, 2, 5
_STRIP_BYTES = 2**20

Order = Literal["<", ">"]


@dataclass(frozen=True, eq=False)
class Page:
    """One image of a file."""

    pixels: npt.NDArray[np.generic]
    """[H, W] or [H, W, 2 to 4], uint8, uint16 or float32."""
    metadata: Metadata
    inks: bool
    """The four channels are CMYK."""


def encode(pages: Sequence[Page]) -> bytes:
    """A TIFF of one page or more, whose EXIF blocks are of one byte order.

    Raises:
        ValueError: the file would be larger than the 4 GiB that a TIFF can address.
    """
    first = pages[0].metadata.exif
    lead = next((page.metadata.exif for page in pages if page.metadata.exif), b"II")[:2]
    order: Order = "<" if lead == b"II" else ">"
    out = bytearray(first or lead + struct.pack(order + "HI", 42, 8))
    link = 4  # where the place of the next directory is noted
    for page in pages:
        out += b"\0" * (len(out) % 2)
        block = page.metadata.exif
        described = (
            {} if not block else exif.descriptive_entries(block) if link == 4 else exif.moved_entries(block, out)
        )
        entries = {**described, **_append(page, out, order)}
        struct.pack_into(order + "I", out, link, len(out))
        out += struct.pack(order + "H", len(entries))
        out += b"".join(entries[tag] for tag in sorted(entries))
        link = len(out)
        out += bytes(4)
    return bytes(out)


def _append(page: Page, out: bytearray, order: Order) -> dict[int, bytes]:
    """Put the pixels and what belongs to them at the end of the file; returns the twelve bytes of each entry."""
    pixels, metadata, inks = page.pixels, page.metadata, page.inks
    height, width = pixels.shape[:2]
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    rows = max(1, min(height, _STRIP_BYTES // (width * channels * pixels.dtype.itemsize)))
    with threads.pool() as pool:
        strips = list(pool.map(lambda top: _strip(pixels[top : top + rows], order), range(0, height, rows)))
    if len(out) + sum(map(len, strips)) + len(metadata.icc or b"") + 2**20 > 2**32:
        raise ValueError("it would be larger than the 4 GiB of a TIFF")
    offsets = []
    for strip in strips:
        offsets.append(len(out))
        out += strip + b"\0" * (len(strip) % 2)

    floating = pixels.dtype.kind == "f"
    alpha = channels == 2 or (channels == 4 and not inks)
    fields: list[tuple[int, int, list[int] | bytes]] = [
        (256, _LONG, [width]),
        (257, _LONG, [height]),
        (258, _SHORT, [8 * pixels.dtype.itemsize] * channels),
        (259, _SHORT, [8]),  # deflate
        (262, _SHORT, [_SEPARATED if inks else _RGB if channels >= 3 else _GRAY]),
        (273, _LONG, offsets),
        (274, _SHORT, [1]),
        (277, _SHORT, [channels]),
        (278, _LONG, [rows]),
        (279, _LONG, [len(strip) for strip in strips]),
        (284, _SHORT, [1]),
        (317, _SHORT, [1 if floating else 2]),
        (339, _SHORT, [3 if floating else 1] * channels),
    ]
    if metadata.dpi:
        x, y = (Fraction(dots).limit_denominator(10000) for dots in metadata.dpi)
        fields += [(282, _RATIONAL, [*x.as_integer_ratio()]), (283, _RATIONAL, [*y.as_integer_ratio()])]
        fields.append((296, _SHORT, [2]))
    if alpha:
        fields.append((338, _SHORT, [2]))
    if metadata.xmp:
        fields.append((700, _BYTE, metadata.xmp))
    if metadata.icc:
        fields.append((34675, _UNDEFINED, metadata.icc))
    return {tag: _entry(out, order, tag, kind, values) for tag, kind, values in fields}


def _entry(out: bytearray, order: Order, tag: int, kind: int, values: list[int] | bytes) -> bytes:
    """The twelve bytes of an entry; a value that does not fit into them goes to the end of the file."""
    count = len(values) // (2 if kind == _RATIONAL else 1)
    raw = struct.pack(f"{order}{len(values)}{_LETTER[kind]}", *values)
    if len(raw) > 4:
        place = len(out)
        out += raw + b"\0" * (len(raw) % 2)
        raw = struct.pack(order + "I", place)
    return struct.pack(order + "HHI", tag, kind, count) + raw.ljust(4, b"\0")


def _strip(rows: npt.NDArray[Any], order: Order) -> bytes:
    """Some rows, each sample less its left neighbour (integers), deflated."""
    if rows.dtype.kind == "u":
        rows = np.concatenate([rows[:, :1], np.diff(rows, axis=1)], 1)
    return zlib.compress(rows.astype(rows.dtype.newbyteorder(order)).tobytes(), 6)
