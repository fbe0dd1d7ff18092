"""Image files in and out, with nothing lost on the way: bit depth, mode, profile, EXIF, resolution.

A format is one record in :mod:`nlrn.images.formats`.
"""

from nlrn.images.formats import FORMATS, SUFFIXES, WRITABLE, writable_ending
from nlrn.images.limits import MAX_BYTES, MAX_PAGES, MAX_PIXELS
from nlrn.images.picture import ImageFileError, Metadata, Picture
from nlrn.images.reading import decode_pages, read, read_pages, read_rgb
from nlrn.images.writing import check_writable, encode_pages, loses, put, write, write_pages

__all__ = [
    "FORMATS",
    "MAX_BYTES",
    "MAX_PAGES",
    "MAX_PIXELS",
    "SUFFIXES",
    "WRITABLE",
    "ImageFileError",
    "Metadata",
    "Picture",
    "check_writable",
    "decode_pages",
    "encode_pages",
    "loses",
    "put",
    "read",
    "read_pages",
    "read_rgb",
    "writable_ending",
    "write",
    "write_pages",
]
