"""TIFF, classic and big: read by tifffile, Pillow and OpenCV, written by tifffile."""

from collections.abc import Sequence

from nlrn.images.formats.record import Format, Options, Source
from nlrn.images.picture import Picture


def _read(source: Source) -> list[Picture]:
    from nlrn.images.formats.tiff_reading import read

    return read(source)


def _write(pages: Sequence[Picture], options: Options) -> bytes:
    from nlrn.images.formats.tiff_writing import encode

    return encode(pages)


TIFF = Format(
    name="TIFF",
    endings=(".tif", ".tiff"),
    matches=lambda head: head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    read=_read,
    write=_write,
    samples=("uint8", "uint16", "float32"),
    holds_pages=True,
    holds_inks=True,
    loses={
        "frames": "pages without their timing",
        "gAMA": "lost",
        "comment": "lost",
        "text": "lost",
    },
)
