"""AVIF: Pillow reads and writes 8 bits, OpenCV reads 10 and 12."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import AvifImagePlugin, Image, features

from nlrn.images.formats import opencv, pillow
from nlrn.images.formats.boxes import brands, configuration
from nlrn.images.formats.record import Format, Options, Source
from nlrn.images.picture import ImageFileError, Picture, mode_of


def _read(source: Source) -> list[Picture]:
    if not features.check("avif"):
        raise ImageFileError(
            f"{source.name} is an AVIF file, which this build of Pillow cannot read: save it as PNG."
        )
    image = pillow.opened(AvifImagePlugin.AvifImageFile, source.data)
    metadata = replace(pillow.metadata_of(image, "AVIF"), lossless=False)
    bits = _bits(source.data)
    if bits == 8:
        # how often it is shown, Pillow does not tell; most are shown for ever
        pages = pillow.frames(image, source, metadata)
        return [Picture(page.pixels, replace(page.metadata, loop=0)) for page in pages]
    if getattr(image, "n_frames", 1) > 1:
        raise ImageFileError(f"{source.name} is animated with {bits} bits: give its frames as single images.")
    source.check(*image.size)
    found = opencv.decoded(source.data)
    if found.dtype != np.uint16 or found.shape[:2] != image.size[::-1]:
        raise ImageFileError(f"{source.name} has {bits} bits, which cannot be decoded here: convert it to PNG.")
    pixels = (found.astype(np.float64) * (65535 / (2**bits - 1))).round().astype(np.uint16)
    return [Picture(pixels, replace(metadata, mode=mode_of(pixels)))]


def _bits(data: bytes) -> int:
    """8, 10 or 12 by the configuration of the codec."""
    flags = configuration(data, b"av1C")[2:3]
    return 8 if not flags or not flags[0] & 0x40 else 12 if flags[0] & 0x20 else 10


def _write(pages: Sequence[Picture], options: Options) -> bytes:
    pages = list(pages)
    chosen = {**pillow.options_of(pages[0].metadata), **pillow.timing_of(pages)}
    quality = 95 if options.quality is None else options.quality
    return pillow.saved(
        Image.fromarray(pages[0].pixels), "AVIF", {**chosen, "quality": quality, "subsampling": "4:4:4"}
    )


AVIF = Format(
    name="AVIF",
    endings=(".avif",),
    matches=lambda head: bool(brands(head) & {b"avif", b"avis"}),
    read=_read,
    write=_write,
    longest_side=65535,
    holds_frames=True,
    loses={
        "16 bit": "refused; 10 and 12 bits are read",
        "float": "refused",
        "gray": "three equal channels",
        "extra": "refused",
        "pages": "refused",
        "frames": "kept, but not how often they are shown",
        "CMYK": "becomes sRGB",
        "gAMA": "lost",
        "IPTC": "lost",
        "comment": "lost",
        "text": "lost",
        "dpi": "lost, but for that in EXIF",
        "density": "lost",
        "description": "lost",
        "GeoTIFF": "lost",
    },
)
