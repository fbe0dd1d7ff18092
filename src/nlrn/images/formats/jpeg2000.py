"""JPEG 2000: Pillow decodes 8 bits, OpenCV what is deeper. Only read."""

from dataclasses import replace

import numpy as np
from PIL import Jpeg2KImagePlugin, features

from nlrn.images import exif
from nlrn.images.formats import opencv, pillow
from nlrn.images.formats.boxes import boxes
from nlrn.images.formats.record import Format, Source
from nlrn.images.picture import ImageFileError, Picture, mode_of

_CODESTREAM = b"\xff\x4f\xff\x51"
_EXIF, _XMP = b"JpgTiffExif->JP2", bytes.fromhex("be7acfcb97a942e89c71999491e3afac")


def _read(source: Source) -> list[Picture]:
    if not features.check("jpg_2000"):
        raise ImageFileError(f"{source.name} is JPEG 2000, which this build of Pillow cannot read: save it as PNG.")
    image = pillow.opened(Jpeg2KImagePlugin.Jpeg2KImageFile, source.data)
    source.check(*image.size)
    told = {content[:16]: content[16:] for name, content in boxes(source.data) if name == b"uuid"}
    metadata = replace(
        pillow.metadata_of(image, "JPEG2000"),
        exif=exif.bare(told.get(_EXIF)),
        xmp=told.get(_XMP) or None,
        lossless=False,
    )
    bits = _bits(source.data)
    if bits <= 8:
        return [Picture(pillow.pixels_of(image), metadata)]
    pixels = opencv.decoded(source.data)
    if pixels.dtype != np.uint16 or pixels.shape[:2] != image.size[::-1]:
        raise ImageFileError(f"{source.name} has {bits} bits of a kind that is not read here: convert it to PNG.")
    if bits < 16:
        pixels = (pixels.astype(np.float64) * (65535 / (2**bits - 1))).round().clip(0, 65535).astype(np.uint16)
    return [Picture(np.ascontiguousarray(pixels), replace(metadata, mode=mode_of(pixels)))]


def _bits(data: bytes) -> int:
    """Of the deepest channel, by the head of the codestream."""
    place = data.find(_CODESTREAM)
    size = data[place + 40 : place + 42]
    if place < 0 or len(size) < 2:
        raise ValueError("the file ends early")
    depths = data[place + 42 : place + 42 + 3 * int.from_bytes(size, "big") : 3]
    if any(depth & 0x80 for depth in depths):
        raise ValueError("samples with a sign are not supported")
    return max((depth + 1 for depth in depths), default=8)


JPEG2000 = Format(
    name="JPEG2000",
    endings=(".jp2", ".j2k", ".jpf", ".jpx", ".j2c"),
    matches=lambda head: head.startswith((b"\0\0\0\x0cjP  \r\n\x87\n", _CODESTREAM)),
    read=_read,
    written_as=".png",
)
