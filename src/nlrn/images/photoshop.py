"""Photoshop's blocks of image resources, in which JPEG and TIFF keep the IPTC record of the press."""

import struct
from collections.abc import Iterator

SIGNATURE = b"Photoshop 3.0\0"
"""What stands before them in a JPEG."""

IPTC = 0x0404
# The resolution is told elsewhere, the small pictures show the old pixels, the sum is of the IPTC record.
_STALE = {0x03ED, 0x0409, 0x040C, 0x0425}


def blocks(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Number, name with its padding, and content of each block, as far as they are whole."""
    place = 0
    while place + 12 <= len(data) and data[place : place + 4] == b"8BIM":
        (number,) = struct.unpack_from(">H", data, place + 4)
        name = data[place + 6 : place + 7 + data[place + 6]]
        name += b"\0" * (len(name) % 2)
        start = place + 6 + len(name) + 4
        if start > len(data):
            return
        (size,) = struct.unpack_from(">I", data, start - 4)
        if start + size > len(data):
            return
        yield number, name, data[start : start + size]
        place = start + size + size % 2


def block(number: int, content: bytes, name: bytes = b"\0\0") -> bytes:
    """One block as bytes."""
    return (
        b"8BIM"
        + struct.pack(">H", number)
        + name
        + struct.pack(">I", len(content))
        + content
        + b"\0" * (len(content) % 2)
    )


def kept(data: bytes | None) -> bytes | None:
    """The blocks that are still true of a restored picture; None where there are none."""
    found = b"".join(
        block(number, content, name) for number, name, content in blocks(data or b"") if number not in _STALE
    )
    return found or None


def iptc(data: bytes | None) -> bytes | None:
    """The IPTC record in the blocks.

    >>> iptc(block(IPTC, b"a caption"))
    b'a caption'
    """
    return next((content for number, _, content in blocks(data or b"") if number == IPTC), None)
