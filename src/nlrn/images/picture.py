"""The contents of an image file as records, and the error where something is wrong with one."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nlrn.errors import UserError


class ImageFileError(UserError):
    """A file that cannot be read or written; the message is a sentence that names the file and the remedy."""


@dataclass(frozen=True)
class TiffTag:
    """A tag that only TIFF knows: where a map lies, what the planes of a microscope are."""

    code: int
    kind: int
    """The number of its type in TIFF."""
    count: int
    value: Any
    """As tifffile gives it: a number, a tuple of them, text, or for ImageJ's own a mapping."""


@dataclass(frozen=True)
class Metadata:
    """All that a file says besides its pixels."""

    format: str = ""
    """The name of its format in :data:`nlrn.images.FORMATS`; empty for pixels that came from no file."""
    mode: str = ""
    """The mode in the file, in Pillow's letters: 1, P, L, LA, RGB, RGBA, CMYK; 16 bit and float alike."""
    icc: bytes | None = None
    """The ICC profile."""
    exif: bytes | None = None
    """The EXIF block, from its byte-order mark on; its orientation says 1 (upright)."""
    xmp: bytes | None = None
    """The XMP packet, also where a JPEG keeps it in several pieces; its orientation says 1."""
    dpi: tuple[float, float] | None = None
    """Resolution in dots per inch, horizontal and vertical as the pixels lie."""
    density: tuple[float, float] | None = None
    """The same per a unit that is not told, or that only the description tells, as ImageJ writes it."""
    text: tuple[tuple[str, str], ...] = ()
    """Keyword and text, as PNG has them. The comment of a JPEG or GIF has the keyword Comment."""
    photoshop: bytes | None = None
    """Photoshop's blocks of image resources, among which IPTC keeps captions, keywords and credits."""
    chunks: tuple[tuple[str, bytes], ...] = ()
    """What else a PNG says: gAMA, cHRM, sRGB, cICP and their like, each with its content."""
    tags: tuple[TiffTag, ...] = ()
    """What else a TIFF says: GeoTIFF, the descriptions of ImageJ, OME and tifffile."""
    pages: int = 1
    """How many pages the file has: the descriptions of ImageJ, OME and tifffile speak of all of them."""
    size: tuple[int, int] | None = None
    """Height and width of the picture that all this was said of; an enlargement is recognized by it."""
    lossless: bool = True
    """False for JPEG, lossy WebP, AVIF, HEIC, lossy JPEG 2000 and JPEG XL, and Radiance HDR."""
    quality: int | None = None
    """Of a JPEG finer than the usual 95: the quality from 96 to 100 that is as fine."""
    quantization: tuple[tuple[int, ...], ...] = field(default=(), compare=False)
    """Of a JPEG: the 64 steps to which it rounds the frequencies of the brightness, then those of chroma."""
    duration: float | None = None
    """Of a frame of an animation: for how many milliseconds it is shown."""
    loop: int = 0
    """How often an animation is shown; 0 for ever."""
    extra: bool = False
    """This gray picture is a further channel of the page before it, and no alpha: near infrared, for example."""


@dataclass(frozen=True, eq=False)
class Picture:
    """An image as the rest of the package sees it."""

    pixels: npt.NDArray[np.generic]
    """[H, W] gray, or [H, W, C] with C = 2 (gray, alpha), 3 (RGB) or 4 (RGB, alpha); uint8, uint16 or
    float32. Upright: the orientation of the file is already applied. Alpha is not premultiplied."""
    metadata: Metadata = field(default_factory=Metadata)


def mode_of(pixels: npt.NDArray[np.generic]) -> str:
    """Pillow's letters for pixels [H, W] or [H, W, 1 to 4].

    >>> mode_of(np.zeros((2, 3, 4)))
    'RGBA'
    """
    return ("L", "LA", "RGB", "RGBA")[0 if pixels.ndim == 2 else pixels.shape[2] - 1]
