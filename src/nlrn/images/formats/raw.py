"""Camera raw, developed by the optional package rawpy (LibRaw). Only read."""

import io

from nlrn.errors import needs
from nlrn.images import directories, exif
from nlrn.images.formats import tiff_tags
from nlrn.images.formats.boxes import brands
from nlrn.images.formats.record import Format, Source
from nlrn.images.picture import Metadata, Picture


def _read(source: Source) -> list[Picture]:
    """16 bits of sRGB with the camera's white balance and no brightening, so that nothing bright is cut off."""
    with needs("raw"):
        import rawpy
    with rawpy.imread(io.BytesIO(source.data)) as raw:
        source.check(raw.sizes.width, raw.sizes.height)
        pixels = raw.postprocess(output_bps=16, use_camera_wb=True, no_auto_bright=True)
    form = directories.layout(source.data)
    block = None
    if form is not None:
        block = exif.gathered(source.data, directories.first_directory(source.data, form), tiff_tags.DESCRIPTIVE)
    return [Picture(pixels, Metadata(format="RAW", mode="RGB", exif=block))]


def _matches(head: bytes) -> bool:
    """Most are TIFF by their first bytes and are known by their ending; these are not."""
    return (
        (head[:4] == b"II*\0" and head[8:10] == b"CR")
        or head.startswith((b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"IIU\0"))
        or b"crx " in brands(head)
    )


RAW = Format(
    name="RAW",
    endings=(".dng", ".cr2", ".cr3", ".nef", ".nrw", ".arw", ".orf", ".rw2", ".pef", ".raf", ".srw"),
    matches=_matches,
    read=_read,
    ending_decides=True,
    written_as=".tif",
    turned=True,
)
