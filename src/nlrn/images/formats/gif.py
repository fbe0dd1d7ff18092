"""GIF, through Pillow: pictures and animations of 256 colours."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import GifImagePlugin, Image

from nlrn.images.formats import pillow
from nlrn.images.formats.record import Format, Options, Source
from nlrn.images.picture import Picture


def _read(source: Source) -> list[Picture]:
    image = pillow.opened(GifImagePlugin.GifImageFile, source.data)
    metadata = replace(pillow.metadata_of(image, "GIF"), dpi=None, lossless=False)
    # The file counts how often it is shown again; where it says nothing, it is shown once.
    again = image.info.get("loop")
    loop = 1 if again is None else again + 1 if again else 0
    pages = pillow.frames(image, source, metadata)
    return [Picture(page.pixels, replace(page.metadata, loop=loop)) for page in pages]


def _write(pages: Sequence[Picture], options: Options) -> bytes:
    """Each frame with 256 colours of its own; what is less than half covered is transparent."""
    pages = [_sharp(page) for page in pages]
    chosen = pillow.timing_of(pages)
    loop = chosen.pop("loop", 1)
    if loop != 1:
        chosen["loop"] = max(loop - 1, 0)
    comment = pillow.comment_of(pages[0].metadata)
    if comment:
        chosen["comment"] = comment
    return pillow.saved(Image.fromarray(pages[0].pixels), "GIF", chosen)


def _sharp(page: Picture) -> Picture:
    """The picture with alpha either none or full, as GIF has it."""
    pixels = page.pixels
    if pixels.ndim == 2 or pixels.shape[2] == 3:
        return page
    sharp = pixels.copy()
    sharp[..., -1] = np.where(np.asarray(pixels[..., -1], np.uint8) < 128, 0, 255)
    return Picture(sharp, page.metadata)


GIF = Format(
    name="GIF",
    endings=(".gif",),
    matches=lambda head: head[:6] in (b"GIF87a", b"GIF89a"),
    read=_read,
    write=_write,
    longest_side=65535,
    holds_frames=True,
    loses={
        "16 bit": "refused",
        "float": "refused",
        "alpha": "none or full; 256 colours a frame",
        "extra": "refused",
        "pages": "refused",
        "CMYK": "becomes sRGB",
        **dict.fromkeys(
            ("ICC", "gAMA", "EXIF", "XMP", "IPTC", "text", "dpi", "density", "description", "GeoTIFF"), "lost"
        ),
    },
)
