"""BMP, through Pillow."""

from collections.abc import Sequence

from PIL import BmpImagePlugin, Image

from nlrn.images.formats import pillow
from nlrn.images.formats.record import Format, Options, Source
from nlrn.images.picture import Picture


def _read(source: Source) -> list[Picture]:
    image = pillow.opened(BmpImagePlugin.BmpImageFile, source.data)
    source.check(*image.size)
    return [Picture(pillow.pixels_of(image), pillow.metadata_of(image, "BMP"))]


def _write(pages: Sequence[Picture], options: Options) -> bytes:
    dpi = pages[0].metadata.dpi
    return pillow.saved(Image.fromarray(pages[0].pixels), "BMP", {"dpi": dpi} if dpi else {})


BMP = Format(
    name="BMP",
    endings=(".bmp", ".dib"),
    matches=lambda head: head.startswith(b"BM"),
    read=_read,
    write=_write,
    channels=(1, 3),
    loses={
        "16 bit": "refused",
        "float": "refused",
        "alpha": "refused",
        "extra": "refused",
        "pages": "refused",
        "frames": "refused",
        "CMYK": "becomes sRGB",
        **dict.fromkeys(("ICC", "gAMA", "EXIF", "XMP", "IPTC", "comment", "text", "density"), "lost"),
        "description": "lost",
        "GeoTIFF": "lost",
    },
)
