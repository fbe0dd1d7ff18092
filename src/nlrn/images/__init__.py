"""Image files in and out, with nothing lost on the way: bit depth, mode, profile, EXIF, resolution."""

from nlrn.images.picture import MAX_PIXELS, ImageFileError, Metadata, Picture
from nlrn.images.reading import SUFFIXES, read, read_pages
from nlrn.images.writing import WRITABLE, write, write_pages

__all__ = [
    "MAX_PIXELS",
    "SUFFIXES",
    "WRITABLE",
    "ImageFileError",
    "Metadata",
    "Picture",
    "read",
    "read_pages",
    "write",
    "write_pages",
]
