"""Radiance HDR, through OpenCV. Only read."""

import re

import numpy as np

from nlrn.images.formats import opencv
from nlrn.images.formats.record import Format, Source
from nlrn.images.picture import Metadata, Picture

_SIZE = re.compile(rb"\n\n-Y (\d{1,9}) \+X (\d{1,9})\n")


def _read(source: Source) -> list[Picture]:
    found = _SIZE.search(source.data[:65536])
    if found is None:
        raise ValueError("its size is missing, or it is stored upside down")
    height, width = int(found[1]), int(found[2])
    source.check(width, height)
    # three bytes a pixel are the least of any run that the format has, four runs to a line
    if height * 4 > len(source.data):
        raise ValueError("the file ends early")
    pixels = opencv.decoded(source.data)
    if pixels.shape != (height, width, 3) or pixels.dtype != np.float32:
        raise ValueError("the pixels are damaged")
    return [Picture(np.ascontiguousarray(pixels), Metadata(format="HDR", mode="RGB", lossless=False))]


HDR = Format(
    name="HDR",
    endings=(".hdr",),
    matches=lambda head: head.startswith((b"#?RADIANCE", b"#?RGBE")),
    read=_read,
    written_as=".tif",
)
