"""HEIC and HEIF, through the optional package pillow-heif."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from nlrn.errors import needs
from nlrn.images import exif
from nlrn.images.alpha import straight
from nlrn.images.formats import pillow
from nlrn.images.formats.boxes import brands
from nlrn.images.formats.record import Format, Options, Source
from nlrn.images.picture import ImageFileError, Metadata, Picture, mode_of

_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}


def _read(source: Source) -> list[Picture]:
    with needs("heic"):
        import pillow_heif
    file = pillow_heif.open_heif(io.BytesIO(source.data), convert_hdr_to_8bit=False, hdr_to_16bit=False)
    source.check(*file.size)
    if len(file) > 1:
        raise ImageFileError(f"{source.name} is animated or an album: give its pictures as single images.")
    pixels = np.asarray(file[file.primary_index])
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    info = file.info
    if pixels.dtype == np.uint16:
        top = 2 ** int(info["bit_depth"]) - 1
        pixels = (np.minimum(pixels, top).astype(np.float64) * (65535 / top)).round().astype(np.uint16)
    if file.premultiplied_alpha:
        pixels = np.asarray(straight(pixels, float(np.iinfo(pixels.dtype).max)))
    metadata = Metadata(
        format="HEIF",
        mode=mode_of(pixels),
        icc=info.get("icc_profile") or None,
        exif=exif.bare(info.get("exif")),
        xmp=info.get("xmp") or None,
        lossless=False,
    )
    return [Picture(np.ascontiguousarray(pixels), metadata)]


def _write(pages: Sequence[Picture], options: Options) -> bytes:
    with needs("heic"):
        import pillow_heif
    out = io.BytesIO()
    quality = 95 if options.quality is None else options.quality
    image = pillow_heif.from_pillow(Image.fromarray(pages[0].pixels))
    image.save(out, chroma=444, quality=quality, **pillow.options_of(pages[0].metadata))
    return out.getvalue()


HEIF = Format(
    name="HEIF",
    endings=(".heic", ".heif"),
    matches=lambda head: bool(brands(head) & _BRANDS) and not brands(head) & {b"avif", b"avis"},
    read=_read,
    write=_write,
    longest_side=65535,
    turned=True,
    loses={
        "16 bit": "refused; 10 and 12 bits are read",
        "float": "refused",
        "extra": "refused",
        "pages": "refused",
        "frames": "refused",
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
