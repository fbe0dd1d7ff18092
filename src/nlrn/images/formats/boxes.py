"""The boxes that AVIF, HEIF, JPEG 2000 and JPEG XL are made of."""

import struct
from collections.abc import Iterator


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of each box of the outermost level, as far as they are whole."""
    place = 0
    while place + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, place)
        head = 8
        if size == 1 and place + 16 <= len(data):
            (size,) = struct.unpack_from(">Q", data, place + 8)
            head = 16
        end = place + size if size else len(data)
        if end < place + head or end > len(data):
            return
        yield name, data[place + head : end]
        place = end


def brands(head: bytes) -> set[bytes]:
    """The brands in the first bytes of a file of the HEIF family; empty for any other file."""
    if head[4:8] != b"ftyp":
        return set()
    size = min(struct.unpack_from(">I", head)[0], 256)
    return {head[place : place + 4] for place in range(8, size, 4)}


def configuration(data: bytes, name: bytes) -> bytes:
    """The first bytes of the codec's configuration; empty where there is none."""
    place = data.find(name)
    return data[place + 4 : place + 36] if place >= 0 else b""
