"""JPEG, through Pillow."""

import io
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from PIL import Image, ImageFile, JpegImagePlugin

from nlrn.images import cmyk, exif, photoshop, xmp
from nlrn.images.formats import pillow
from nlrn.images.formats.record import Format, Options, Source
from nlrn.images.picture import Metadata, Picture

_APP1, _APP13 = 0xE1, 0xED
_UNIT = 13  # where the JFIF header, which is the first segment, has the unit of its resolution


def _read(source: Source) -> list[Picture]:
    image = pillow.opened(JpegImagePlugin.JpegImageFile, source.data)
    source.check(*image.size)
    return [Picture(pillow.pixels_of(image), _metadata(image))]


def _metadata(image: ImageFile.ImageFile) -> Metadata:
    assert isinstance(image, JpegImagePlugin.JpegImageFile)
    found = pillow.metadata_of(image, "JPEG")
    segments = [(name, content) for name, content in image.applist if isinstance(content, bytes)]
    resources = b"".join(
        content.removeprefix(photoshop.SIGNATURE)
        for name, content in segments
        if name == "APP13" and content.startswith(photoshop.SIGNATURE)
    )
    extension = [
        content.removeprefix(xmp.EXTENSION)
        for name, content in segments
        if name == "APP1" and content.startswith(xmp.EXTENSION)
    ]
    density = image.info.get("jfif_density", (0, 0)) if image.info.get("jfif_unit") == 0 else (0, 0)
    # where neither JFIF nor EXIF tells one, Pillow makes one up
    told = image.info.get("jfif_unit") in (1, 2) or exif.has_resolution(found.exif)
    return replace(
        found,
        dpi=found.dpi if told else None,
        xmp=xmp.joined(found.xmp, extension),
        photoshop=photoshop.kept(resources),
        # 1 to 1 is what a camera writes that knows of no resolution
        density=(float(density[0]), float(density[1])) if min(density) > 0 and max(density) > 1 else None,
        lossless=False,
        quality=_fine_quality(image),
        quantization=tuple(tuple(steps) for _, steps in sorted(image.quantization.items())),
    )


def _write(pages: Sequence[Picture], options: Options) -> bytes:
    """Fine enough that a clean picture stays above 45 dB: at the usual 95, and as finely as it came where that is
    finer. Colour is stored at full resolution."""
    pixels, metadata = pages[0].pixels, pages[0].metadata
    image = cmyk.from_srgb(pixels, metadata.icc) if metadata.mode == "CMYK" else Image.fromarray(pixels)
    chosen = pillow.options_of(replace(metadata, xmp=None))
    resolution = metadata.dpi or metadata.density
    if resolution:
        chosen["dpi"] = tuple(min(max(value, 1), 65535) for value in resolution)
    comment = pillow.comment_of(metadata)
    if comment:
        chosen["comment"] = comment
    extra = [_segment(_APP1, content) for content in (xmp.segments(metadata.xmp) if metadata.xmp else [])]
    extra += [_segment(_APP13, content) for content in _resources(metadata.photoshop)]
    quality = (metadata.quality or 95) if options.quality is None else options.quality
    chosen |= {"extra": b"".join(extra), "quality": quality, "subsampling": 0}
    data = bytearray(pillow.saved(image, "JPEG", chosen))
    if metadata.density and not metadata.dpi and data[6:11] == b"JFIF\0":
        data[_UNIT] = 0
    return bytes(data)


def _resources(blocks: bytes | None) -> list[bytes]:
    """The contents of the segments that hold image resources; a reader joins them."""
    room = xmp.MAX_SEGMENT - len(photoshop.SIGNATURE)
    return [photoshop.SIGNATURE + (blocks or b"")[n : n + room] for n in range(0, len(blocks or b""), room)]


def _segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content


def _fine_quality(image: JpegImagePlugin.JpegImageFile) -> int | None:
    """The quality, 96 to 100, whose steps of brightness are in the mean no coarser than the file's."""
    steps = sum(image.quantization.get(0, ()))
    if steps >= _sum_of_steps(95):
        return None
    return next((quality for quality in range(96, 100) if _sum_of_steps(quality) <= steps), 100)


@lru_cache
def _sum_of_steps(quality: int) -> int:
    """The sum of the first quantization table that the JPEG library makes for a quality."""
    data = pillow.saved(Image.fromarray(np.zeros((8, 8), np.uint8)), "JPEG", {"quality": quality})
    return sum(JpegImagePlugin.JpegImageFile(io.BytesIO(data)).quantization[0])


JPEG = Format(
    name="JPEG",
    endings=(".jpg", ".jpeg", ".jpe", ".jfif"),
    matches=lambda head: head.startswith(b"\xff\xd8\xff"),
    read=_read,
    write=_write,
    channels=(1, 3),
    longest_side=65500,
    holds_inks=True,
    loses={
        "16 bit": "refused",
        "float": "refused",
        "alpha": "refused",
        "extra": "refused",
        "pages": "refused",
        "frames": "refused",
        "gAMA": "lost",
        "text": "lost",
        "description": "lost",
        "GeoTIFF": "lost",
    },
)
