"""The image formats, one record to a file; a new one is a file and a line here."""

from nlrn.images.formats.avif import AVIF
from nlrn.images.formats.bmp import BMP
from nlrn.images.formats.exr import EXR
from nlrn.images.formats.gif import GIF
from nlrn.images.formats.hdr import HDR
from nlrn.images.formats.heif import HEIF
from nlrn.images.formats.jpeg import JPEG
from nlrn.images.formats.jpeg2000 import JPEG2000
from nlrn.images.formats.jpegxl import JPEGXL
from nlrn.images.formats.png import PNG
from nlrn.images.formats.pnm import PNM
from nlrn.images.formats.raw import RAW
from nlrn.images.formats.record import FEATURES, Format, Options, Source
from nlrn.images.formats.tiff import TIFF
from nlrn.images.formats.webp import WEBP

# of two that match the first bytes of a file, the first is taken
FORMATS: tuple[Format, ...] = (
    *(PNG, JPEG, RAW, TIFF, WEBP, AVIF, HEIF, GIF, BMP, PNM),
    *(JPEG2000, JPEGXL, EXR, HDR),
)

SUFFIXES = {ending: form.name for form in FORMATS for ending in form.endings}
"""The format of each file suffix that can be read, some of them with an optional package."""

WRITABLE = tuple(ending for form in FORMATS for ending in form.writable_endings)
"""The file suffixes that can be written, some of them with an optional package."""

__all__ = [
    "FEATURES",
    "FORMATS",
    "SUFFIXES",
    "WRITABLE",
    "Format",
    "Options",
    "Source",
    "by_name",
    "of_data",
    "writable_ending",
]


def by_name(name: str) -> Format:
    """The format of that name.

    >>> by_name("JPEG").endings[0]
    '.jpg'
    """
    return next(form for form in FORMATS if form.name == name)


def of_data(data: bytes, ending: str = "") -> Format | None:
    """The format that the first bytes of a file tell, and of a camera's raw file its ending; or None.

    >>> of_data(b"BM" + bytes(60)).name
    'BMP'
    """
    found = next((form for form in FORMATS if form.matches(data[:256])), None)
    named = by_name(SUFFIXES[ending]) if ending in SUFFIXES else None
    if named is not None and named.ending_decides and found in (None, TIFF):
        return named
    return found


def writable_ending(ending: str) -> str:
    """The ending for the result of a file with that one: the same, or another where such files are only read.

    >>> writable_ending(".JPG"), writable_ending(".nef"), writable_ending(".pbm")
    ('.JPG', '.tif', '.pgm')
    """
    if ending.lower() in WRITABLE or ending.lower() not in SUFFIXES:
        return ending
    return by_name(SUFFIXES[ending.lower()]).written_as
