"""The directories of a TIFF, classic or big, and of an EXIF block, which is a small classic TIFF.

Values are moved as bytes: what a camera put there is not understood, and is the same afterwards.
"""

import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

EXIF_FOLDER = 0x8769
FOLDERS = (EXIF_FOLDER, 0x8825, 0xA005)  # EXIF, position and interoperability: directories inside a directory
_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_LONG, _LONG8 = 4, 16


@dataclass(frozen=True)
class Layout:
    """The layout of numbers and directories in a file."""

    order: Literal["<", ">"]
    """As struct has it."""
    big: bool = False

    @property
    def first(self) -> int:
        """Where the place of the first directory is told."""
        return 8 if self.big else 4

    @property
    def place(self) -> str:
        """The format of a packed offset."""
        return self.order + ("Q" if self.big else "I")

    @property
    def count(self) -> str:
        """The format of the packed number of entries."""
        return self.order + ("Q" if self.big else "H")

    @property
    def entry(self) -> int:
        """Bytes of an entry."""
        return 20 if self.big else 12

    @property
    def room(self) -> int:
        """Bytes of a value that stands in its entry."""
        return 8 if self.big else 4

    def header(self, first: int) -> bytes:
        """The start of a file whose first directory is at ``first``."""
        mark = b"II" if self.order == "<" else b"MM"
        if self.big:
            return mark + struct.pack(self.order + "HHHQ", 43, 8, 0, first)
        return mark + struct.pack(self.order + "HI", 42, first)


class Value(NamedTuple):
    """One entry of a directory."""

    tag: int
    kind: int
    amount: int
    entry: int
    """Where its entry starts."""
    start: int
    """Where its bytes start."""
    size: int


def layout(data: bytes | bytearray) -> Layout | None:
    """Of a file or an EXIF block, by its first bytes; None where they are no TIFF with a whole head."""
    mark = bytes(data[:4])
    if mark in (b"II*\0", b"MM\0*") and len(data) >= 8:
        return Layout("<" if mark[:1] == b"I" else ">")
    if mark in (b"II+\0", b"MM\0+") and len(data) >= 16:
        return Layout("<" if mark[:1] == b"I" else ">", big=True)
    return None


def first_directory(data: bytes | bytearray, form: Layout) -> int:
    return int(struct.unpack_from(form.place, data, form.first)[0])


def chain(data: bytes | bytearray, form: Layout, most: int) -> list[int]:
    """Where the directories of a file start, one more than ``most`` at the most.

    Raises:
        ValueError: one lies outside the file, or the last of them leads back to an earlier one.
    """
    found: list[int] = []
    place, step = first_directory(data, form), struct.calcsize(form.count)
    while place and len(found) <= most:
        if place in found[-1:] or place in set(found):
            raise ValueError("its pages lead round in a circle")
        if place + step > len(data):
            raise ValueError("a page is missing at its end")
        found.append(place)
        link = place + step + form.entry * struct.unpack_from(form.count, data, place)[0]
        if link + form.room > len(data):  # some writers leave the last link out
            break
        place = struct.unpack_from(form.place, data, link)[0]
    return found


def entries(data: bytes | bytearray, form: Layout, start: int) -> Iterator[Value]:
    """Each entry of the directory at ``start`` whose value lies within the file; others are damaged."""
    step = struct.calcsize(form.count)
    if start + step > len(data):
        return
    for number in range(struct.unpack_from(form.count, data, start)[0]):
        entry = start + step + form.entry * number
        if entry + form.entry > len(data):
            return
        tag, kind = struct.unpack_from(form.order + "HH", data, entry)
        (count,) = struct.unpack_from(form.place, data, entry + 4)
        size = count * _BYTES.get(kind, 0)
        inside = entry + form.entry - form.room
        place = inside if size <= form.room else struct.unpack_from(form.place, data, inside)[0]
        if 0 < size <= len(data) and place + size <= len(data):
            yield Value(tag, kind, count, entry, place, size)


def number(data: bytes | bytearray, form: Layout, value: Value) -> int:
    """The first of the whole numbers of a value; 0 where it is of another kind."""
    letter = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}.get(value.kind)
    return int(struct.unpack_from(form.order + letter, data, value.start)[0]) if letter else 0


def copy(
    data: bytes,
    form: Layout,
    start: int,
    out: bytearray,
    to: Layout,
    wanted: Collection[int] | None = None,
    depth: int = 0,
) -> int:
    """Append the directory at ``start`` to ``out``, with its values and the folders in it; returns its place there.

    Args:
        data, form: the file that it is in.
        out, to: where it goes; the byte order must be the same.
        wanted: the tags that are copied; None: all.
        depth: how many directories it lies in; three levels down is one that contains itself.
    """
    found = {
        value.tag: value
        for value in entries(data, form, start)
        if (wanted is None or value.tag in wanted)
        and (value.tag not in FOLDERS or (depth < 2 and 0 < number(data, form, value) < len(data)))
    }
    out += b"\0" * (len(out) % 2)
    here, step = len(out), struct.calcsize(to.count)
    out += struct.pack(to.count, len(found)) + bytes(to.entry * len(found) + to.room)
    for place, (tag, value) in enumerate(sorted(found.items())):
        kind, count, content = value.kind, value.amount, data[value.start : value.start + value.size]
        if tag in FOLDERS:
            kind, count = (_LONG8 if to.big else _LONG), 1
            folder = copy(data, form, number(data, form, value), out, to, None, depth + 1)
            content = struct.pack(to.place, folder)
        elif len(content) > to.room:
            out += b"\0" * (len(out) % 2)
            out += content
            content = struct.pack(to.place, len(out) - len(content))
        at = here + step + to.entry * place
        out[at : at + to.entry] = (
            struct.pack(to.order + "HH", tag, kind) + struct.pack(to.place, count) + content.ljust(to.room, b"\0")
        )
    return here
