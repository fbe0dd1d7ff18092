"""The few EXIF facts that depend on the pixels, changed in place; every other byte stays as it was.

Writing an EXIF block anew would break what cannot be understood, such as the offsets inside a camera's notes.
"""

import re
import struct
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

ORIENTATION = 0x0112
EXIF_FOLDER = 0x8769
PIXEL_WIDTH, PIXEL_HEIGHT = 0xA002, 0xA003
SHORT, LONG = 3, 4
FOLDERS = (EXIF_FOLDER, 0x8825, 0xA005)  # EXIF, position and interoperability: directories inside a directory
_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
# What the first directory of a TIFF says about the picture as such, and not about how its pixels are stored:
# names, description, camera, program, date, people, rights, captions, rating, position.
_DESCRIPTIVE = {
    *(269, 270, 271, 272, 285, 305, 306, 315, 316, 18246, 18249, 33432, 33723, 34377),
    *(40091, 40092, 40093, 40094, 40095, *FOLDERS),
}
_XMP_ORIENTATION = re.compile(rb"(tiff:Orientation\s*(?:=\s*[\"']|>)\s*)[2-8]")


def bare(block: bytes | None) -> bytes | None:
    """The block from its byte-order mark on, without the label that JPEG puts before it; None if none."""
    block = (block or b"").removeprefix(b"Exif\0\0")
    return block if block[:4] in (b"II*\0", b"MM\0*") else None


def orientation(block: bytes) -> int:
    """How the picture is stored, 1 to 8; 1, as it should be seen, where the block says nothing sensible."""
    order = _order(block)
    for tag, _, _, place in _entries(block, struct.unpack_from(order + "I", block, 4)[0]):
        if tag == ORIENTATION:
            value = int(struct.unpack_from(order + "H", block, place)[0])
            return value if 1 <= value <= 8 else 1
    return 1


def upright(block: bytes) -> bytes:
    """The block with orientation 1. A thumbnail is unlinked if it would now lie on its side."""
    if orientation(block) == 1:
        return block
    changed, order = bytearray(block), _order(block)
    start = struct.unpack_from(order + "I", block, 4)[0]
    for tag, _, _, place in _entries(block, start):
        if tag == ORIENTATION:
            struct.pack_into(order + "H", changed, place, 1)
    after = start + 2 + 12 * struct.unpack_from(order + "H", block, start)[0]
    if after + 4 <= len(block):
        struct.pack_into(order + "I", changed, after, 0)
    return bytes(changed)


def sized(block: bytes, height: int, width: int) -> bytes:
    """The block with the height and width of the picture that it goes into, where it names them."""
    changed, order = bytearray(block), _order(block)
    for tag, _, _, folder in _entries(block, struct.unpack_from(order + "I", block, 4)[0]):
        if tag != EXIF_FOLDER:
            continue
        for inner, kind, count, place in _entries(block, struct.unpack_from(order + "I", block, folder)[0]):
            if inner in (PIXEL_WIDTH, PIXEL_HEIGHT) and count == 1 and kind in (SHORT, LONG):
                side = width if inner == PIXEL_WIDTH else height
                if kind == LONG:
                    struct.pack_into(order + "I", changed, place, side)
                elif side < 2**16:
                    struct.pack_into(order + "H", changed, place, side)
    return bytes(changed)


def descriptive_entries(block: bytes) -> dict[int, bytes]:
    """The twelve bytes of each entry of the first directory that describes the picture, by tag."""
    start = struct.unpack_from(_order(block) + "I", block, 4)[0]
    whole = {tag for tag, *_ in _values(block, start)} & _DESCRIPTIVE
    return {tag: block[place - 8 : place + 4] for tag, _, _, place in _entries(block, start) if tag in whole}


def moved_entries(block: bytes, out: bytearray) -> dict[int, bytes]:
    """The same entries for another place: what they point to is appended to ``out``, of the same byte order.

    Offsets inside a camera's notes are not understood and stay as they are.
    """
    here = len(out)
    _copy(block, struct.unpack_from(_order(block) + "I", block, 4)[0], out, _DESCRIPTIVE)
    return {tag: bytes(out[place - 8 : place + 4]) for tag, _, _, place in _entries(out, here)}


def gather(file: bytes, start: int) -> bytes | None:
    """An EXIF block of what a page of a TIFF file describes, with its orientation; None where that is nothing.

    ``start`` is where the directory of the page begins.
    """
    if bare(file) is None:  # a TIFF of the large kind, which has other offsets
        return None
    order = _order(file)
    block = bytearray(file[:4] + struct.pack(order + "I", 8))
    _copy(file, start, block, _DESCRIPTIVE | {ORIENTATION})
    tags = [tag for tag, *_ in _entries(bytes(block), 8)]
    upright_alone = tags == [ORIENTATION] and orientation(bytes(block)) == 1
    return bytes(block) if tags and not upright_alone else None


def upright_xmp(packet: bytes | None) -> bytes | None:
    """The XMP packet with orientation 1."""
    return _XMP_ORIENTATION.sub(rb"\g<1>1", packet) if packet else None


def turn(pixels: npt.NDArray[np.generic], how: int) -> npt.NDArray[np.generic]:
    """The pixels [H, W, ...] as they should be seen, given the orientation 1 to 8 of the file."""
    if how >= 5:
        pixels = pixels.swapaxes(0, 1)
    # After the transpose of 5 to 8, what is left is a mirror of columns (2, 6), rows (4, 8) or both (3, 7).
    rows = slice(None, None, -1 if how in (3, 4, 7, 8) else 1)
    columns = slice(None, None, -1 if how in (2, 3, 6, 7) else 1)
    return np.ascontiguousarray(pixels[rows, columns])


def _copy(file: bytes, start: int, block: bytearray, wanted: set[int] | None, depth: int = 0) -> None:
    """Append the directory at ``start`` of the file to the block, with its values and the folders in it."""
    order = _order(file)
    # A folder three levels down is one that contains itself: the file is damaged there.
    found = [
        entry
        for entry in _values(file, start)
        if (wanted is None or entry[0] in wanted) and (entry[0] not in FOLDERS or depth < 2)
    ]
    here = len(block)
    block += struct.pack(order + "H", len(found)) + bytes(12 * len(found) + 4)
    for number, (tag, kind, count, source, size) in enumerate(found):
        value = file[source : source + size]
        if tag in FOLDERS:
            place = struct.unpack_from(order + "I", file, source)[0]
            value = struct.pack(order + "I", len(block))
            _copy(file, place, block, None, depth + 1)
        elif size > 4:
            block += value + b"\0" * (size % 2)
            value = struct.pack(order + "I", len(block) - size - size % 2)
        struct.pack_into(order + "HHI4s", block, here + 2 + 12 * number, tag, kind, count, value)


def _values(file: bytes, start: int) -> Iterator[tuple[int, int, int, int, int]]:
    """Tag, type, count, place and size of each value that lies within the file; others are damaged."""
    for tag, kind, count, place in _entries(file, start):
        size = count * _BYTES.get(kind, 0)
        source = place if size <= 4 else struct.unpack_from(_order(file) + "I", file, place)[0]
        whole = size > 0 and source + size <= len(file)
        if whole and tag in FOLDERS:
            whole = size == 4 and struct.unpack_from(_order(file) + "I", file, source)[0] < len(file)
        if whole:
            yield tag, kind, count, source, size


def _order(block: bytes | bytearray) -> str:
    return "<" if block[:2] == b"II" else ">"


def _entries(block: bytes | bytearray, start: int) -> Iterator[tuple[int, int, int, int]]:
    """Tag, type, count and place of the value or its offset, of each entry of the directory at ``start``."""
    order = _order(block)
    if start + 2 > len(block):
        return
    for number in range(struct.unpack_from(order + "H", block, start)[0]):
        entry = start + 2 + 12 * number
        if entry + 12 > len(block):
            return
        yield (*struct.unpack_from(order + "HHI", block, entry), entry + 8)
