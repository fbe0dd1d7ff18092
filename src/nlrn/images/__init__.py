"""Image files in and out, with nothing lost on the way: bit depth, mode, profile, EXIF, resolution."""

from nlrn.images.picture import MAX_PIXELS, ImageFileError, Metadata, Picture
from nlrn.images.reading import SUFFIXES, read
from nlrn.images.writing import WRITABLE, write

__all__ = ["MAX_PIXELS", "SUFFIXES", "WRITABLE", "ImageFileError", "Metadata", "Picture", "read", "write"]
