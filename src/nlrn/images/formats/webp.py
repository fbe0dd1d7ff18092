"""WebP, through Pillow."""

from collections.abc import Sequence
from dataclasses import replace

from PIL import Image, WebPImagePlugin

from nlrn.images.formats import pillow
from nlrn.images.formats.record import Format, Options, Source
from nlrn.images.picture import Picture


def _read(source: Source) -> list[Picture]:
    # before the decoder, which has room for the whole canvas made, is told of the file
    if source.data[12:16] == b"VP8X":
        width, height = (int.from_bytes(source.data[at : at + 3], "little") + 1 for at in (24, 27))
        source.check(width, height)
    image = pillow.opened(WebPImagePlugin.WebPImageFile, source.data)
    metadata = replace(pillow.metadata_of(image, "WEBP"), lossless=b"VP8L" in source.data[12:64])
    return pillow.frames(image, source, metadata)


def _write(pages: Sequence[Picture], options: Options) -> bytes:
    """At quality 98, as colour is always stored at half the resolution; lossless at 100 and where it came so."""
    pages = list(pages)
    metadata = pages[0].metadata
    chosen = {**pillow.options_of(metadata), **pillow.timing_of(pages)}
    if options.quality == 100 or (options.quality is None and metadata.lossless):
        chosen |= {"lossless": True, "exact": True, "quality": 75}  # here the quality is the effort, not the loss
    else:
        chosen["quality"] = 98 if options.quality is None else options.quality
    return pillow.saved(Image.fromarray(pages[0].pixels), "WEBP", chosen)


WEBP = Format(
    name="WEBP",
    endings=(".webp",),
    matches=lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP",
    read=_read,
    write=_write,
    longest_side=16383,
    holds_frames=True,
    loses={
        "16 bit": "refused",
        "float": "refused",
        "gray": "three equal channels",
        "extra": "refused",
        "pages": "refused",
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
