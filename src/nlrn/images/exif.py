"""The few EXIF facts that depend on the pixels, changed in place; every other byte stays as it was.

Writing an EXIF block anew would break what cannot be understood, such as the offsets inside a camera's notes.
"""

import struct

import numpy as np
import numpy.typing as npt

from nlrn.images.directories import EXIF_FOLDER, Layout, Value, copy, entries, first_directory, layout, number

ORIENTATION = 0x0112
_PIXEL_WIDTH, _PIXEL_HEIGHT = 0xA002, 0xA003
_X_RESOLUTION, _Y_RESOLUTION = 282, 283
_SHORT, _LONG, _RATIONAL = 3, 4, 5


def bare(block: bytes | None) -> bytes | None:
    """The block from its byte-order mark on, without the label that JPEG puts before it.

    None where it is none, or is cut off before its first entry.
    """
    block = (block or b"").removeprefix(b"Exif\0\0")
    form = layout(block)
    if form is None or form.big or next(entries(block, form, first_directory(block, form)), None) is None:
        return None
    return block


def orientation(block: bytes | None) -> int | None:
    """The orientation in which the picture is stored, 1 to 8; None where the block says nothing sensible."""
    for form, value in _first(block):
        if value.tag == ORIENTATION:
            found = number(block or b"", form, value)
            return found if 1 <= found <= 8 else None
    return None


def upright(block: bytes) -> bytes:
    """The block with orientation 1. A thumbnail is unlinked if it would now lie on its side."""
    if orientation(block) in (1, None):
        return block
    changed = bytearray(block)
    for form, value in _first(block):
        if value.tag == ORIENTATION:
            struct.pack_into(form.order + ("H" if value.kind == _SHORT else "I"), changed, value.start, 1)
    start = first_directory(block, form)
    after = start + 2 + form.entry * struct.unpack_from(form.count, block, start)[0]
    if after + 4 <= len(block):
        struct.pack_into(form.place, changed, after, 0)
    return bytes(changed)


def sized(block: bytes, height: int, width: int) -> bytes:
    """The block with the height and width of the picture that it goes into, where it names them."""
    changed = bytearray(block)
    for form, folder in _first(block):
        if folder.tag != EXIF_FOLDER:
            continue
        for value in entries(block, form, number(block, form, folder)):
            if value.tag in (_PIXEL_WIDTH, _PIXEL_HEIGHT) and value.amount == 1 and value.kind in (_SHORT, _LONG):
                side = width if value.tag == _PIXEL_WIDTH else height
                if value.kind == _LONG:
                    struct.pack_into(form.order + "I", changed, value.start, side)
                elif side < 2**16:
                    struct.pack_into(form.order + "H", changed, value.start, side)
    return bytes(changed)


def has_resolution(block: bytes | None) -> bool:
    """Whether the block tells one."""
    return any(value.tag == _X_RESOLUTION for _, value in _first(block))


def scaled(block: bytes, columns: float, rows: float) -> bytes:
    """The block with the resolution multiplied, where it tells one."""
    changed = bytearray(block)
    for form, value in _first(block):
        if value.tag in (_X_RESOLUTION, _Y_RESOLUTION) and (value.kind, value.amount) == (_RATIONAL, 1):
            numerator, denominator = struct.unpack_from(form.order + "II", block, value.start)
            times = columns if value.tag == _X_RESOLUTION else rows
            finer = 1 if times % 1 == 0 or max(numerator * times, denominator) * 1000 >= 2**32 else 1000
            numerator = round(numerator * times * finer)
            if numerator < 2**32:
                struct.pack_into(form.order + "II", changed, value.start, numerator, denominator * finer)
    return bytes(changed)


def gathered(file: bytes, start: int, wanted: frozenset[int]) -> bytes | None:
    """An EXIF block of what the directory at ``start`` of a TIFF file describes; None where that is nothing.

    Args:
        file: a TIFF, classic or big.
        start: where the directory of a page begins.
        wanted: the tags that describe the picture as such, and not how its pixels are stored.
    """
    form = layout(file)
    if form is None:
        return None
    small = Layout(form.order)
    block = bytearray(small.header(8))
    copy(file, form, start, block, small, wanted | {ORIENTATION})
    tags = [value.tag for value in entries(block, small, 8)]
    upright_alone = tags == [ORIENTATION] and orientation(bytes(block)) == 1
    return bytes(block) if tags and not upright_alone else None


def turn(pixels: npt.NDArray[np.generic], how: int) -> npt.NDArray[np.generic]:
    """The pixels [H, W, ...] as they should be seen, given the orientation 1 to 8 of the file.

    >>> turn(np.array([[1, 2, 3]]), 6)  # the camera was held upright: the first row is at the right
    array([[1],
           [2],
           [3]])
    """
    if how >= 5:
        pixels = pixels.swapaxes(0, 1)
    # After the transpose of 5 to 8, what is left is a mirror of columns (2, 6), rows (4, 8) or both (3, 7).
    rows = slice(None, None, -1 if how in (3, 4, 7, 8) else 1)
    columns = slice(None, None, -1 if how in (2, 3, 6, 7) else 1)
    return np.ascontiguousarray(pixels[rows, columns])


def _first(block: bytes | None) -> list[tuple[Layout, Value]]:
    """The entries of the first directory, each with the layout."""
    form = layout(block or b"")
    if block is None or form is None:
        return []
    return [(form, value) for value in entries(block, form, first_directory(block, form))]
