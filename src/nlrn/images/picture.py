"""What comes out of an image file, and what goes wrong with one."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nlrn.errors import UserError

MAX_PIXELS = 2**29
"""Larger images are refused before anything is decoded. It is 536 megapixels: above the 400 of the largest
multi-shot cameras, and small enough that a crafted file of a few kilobytes costs 1.6 GB in 8-bit RGB and not
all the memory there is."""


class ImageFileError(UserError):
    """A file that cannot be read or written; the message is a sentence that names the file and the remedy."""


@dataclass(frozen=True)
class Metadata:
    """What a file says besides its pixels."""

    format: str = ""
    """PNG, TIFF, JPEG, WEBP, BMP, PNM, AVIF or HEIF; empty for pixels that came from no file."""
    mode: str = ""
    """The mode in the file, in Pillow's letters: 1, P, L, LA, RGB, RGBA, CMYK; 16 bit and float alike."""
    icc: bytes | None = None
    """The ICC profile."""
    exif: bytes | None = None
    """The EXIF block, from its byte-order mark on; its orientation says 1 (upright)."""
    xmp: bytes | None = None
    """The XMP packet; its orientation says 1."""
    dpi: tuple[float, float] | None = None
    """Resolution in dots per inch, horizontal and vertical as the pixels lie."""
    text: tuple[tuple[str, str], ...] = ()
    """The text entries of a PNG: keyword and text."""
    lossless: bool = True
    """False for JPEG, lossy WebP, AVIF and HEIF."""
    quality: int | None = None
    """Of a JPEG finer than the usual 95: the quality from 96 to 100 that is as fine."""


@dataclass(frozen=True, eq=False)
class Picture:
    """An image as the rest of the package sees it."""

    pixels: npt.NDArray[np.generic]
    """[H, W] gray, or [H, W, C] with C = 2 (gray, alpha), 3 (RGB) or 4 (RGB, alpha); uint8, uint16 or
    float32. Upright: the orientation of the file is already applied. Alpha is not premultiplied."""
    metadata: Metadata = field(default_factory=Metadata)


def mode_of(pixels: npt.NDArray[np.generic]) -> str:
    """Pillow's letters for pixels [H, W] or [H, W, 1 to 4]."""
    return ("L", "LA", "RGB", "RGBA")[0 if pixels.ndim == 2 else pixels.shape[2] - 1]
