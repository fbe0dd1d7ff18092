"""Image files in and out, with nothing lost on the way: bit depth, mode, profile, EXIF, resolution."""

from nlrn.images.picture import MAX_PIXELS, ImageFileError, Metadata, Picture
from nlrn.images.reading import SUFFIXES, decode_pages, read, read_pages
from nlrn.images.writing import WRITABLE, check_writable, encode_pages, write, write_pages

__all__ = [
    "MAX_PIXELS",
    "SUFFIXES",
    "WRITABLE",
    "ImageFileError",
    "Metadata",
    "Picture",
    "check_writable",
    "decode_pages",
    "encode_pages",
    "read",
    "read_pages",
    "write",
    "write_pages",
]
