"""Writing TIFF by tifffile: deflated strips, with what EXIF says at the head of the file.

A camera's own notes hold offsets that count from the start of their EXIF block, so that of the first page opens the
file as it is, and the pages, which tifffile appends, point into it. Those of further pages are copied behind it.
"""

import io
import struct
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from nlrn.images import cmyk, directories, photoshop, threads
from nlrn.images.directories import Layout
from nlrn.images.formats import tiff_tags
from nlrn.images.picture import Metadata, Picture

_MAX_CLASSIC = 2**32 - 2**25
"""Bytes of pixels above which the file is a big TIFF: the classic one ends at 4 GiB."""

_STRIP_BYTES = 2**20
# Width, height, bits, compression, kind, where the pixel is (in the head of the file), and how it is cut into strips.
_ONE_PIXEL = {256: 1, 257: 1, 258: 8, 259: 1, 262: 1, 273: 4, 277: 1, 278: 1, 279: 1}
_BYTE, _ASCII, _SHORT, _LONG, _UNDEFINED = 1, 2, 3, 4, 7
_NO_UNIT, _INCH = 1, 2
_XMP, _IPTC, _PHOTOSHOP = 700, 33723, 34377

ExtraTag = tuple[int, int, int, Any, bool]


def encode(pages: Sequence[Picture]) -> bytes:
    """A TIFF of one page or more; gray pictures marked as extra become channels of the page before them.

    The pixels are [H, W] or [H, W, 2 to 4], uint8, uint16 or float32.
    """
    joined = _joined(pages)
    blocks = [metadata.exif for _, metadata, _ in joined]
    mark = next((block for block in blocks if block), b"II")[:1]
    form = Layout("<" if mark == b"I" else ">", big=sum(pixels.nbytes for pixels, _, _ in joined) > _MAX_CLASSIC)
    head, described = _head(blocks, form)
    out = io.BytesIO(head)
    with tifffile.TiffWriter(
        out, bigtiff=form.big, byteorder=form.order if not head else None, append=bool(head)
    ) as writer:
        for (pixels, metadata, extra), tags in zip(joined, described, strict=True):
            metadata = tiff_tags.still_described(metadata, pixels.shape, len(joined))
            _write_page(writer, pixels, metadata, extra, tags, form)
    data = bytearray(out.getvalue())
    if head:
        # the first directory is that of the first page, and no longer that of one pixel
        link = len(head) - form.room
        struct.pack_into(form.place, data, form.first, struct.unpack_from(form.place, data, link)[0])
        _name_folders(data, form, len(joined))
    return bytes(data)


def _joined(pages: Sequence[Picture]) -> list[tuple[npt.NDArray[np.generic], Metadata, int]]:
    """Pixels, metadata and the number of channels that are no alpha, of each page."""
    found: list[tuple[npt.NDArray[np.generic], Metadata, int]] = []
    for page in pages:
        pixels, metadata = page.pixels, page.metadata
        if metadata.mode == "CMYK":
            found.append((np.array(cmyk.from_srgb(pixels, metadata.icc)), metadata, 0))
        elif metadata.extra and found:
            before, its, extra = found[-1]
            before = before[..., None] if before.ndim == 2 else before
            found[-1] = (np.concatenate([before, pixels[..., None]], -1), its, extra + 1)
        else:
            found.append((pixels, metadata, int(metadata.mode in ("LX", "RGBX") and pixels.ndim == 3)))
    return found


def _head(blocks: Sequence[bytes | None], form: Layout) -> tuple[bytes, list[list[ExtraTag]]]:
    """The start of the file with all that EXIF blocks hold, and the tags of each page that point into it.

    The start ends with the directory of a picture of one pixel, as tifffile appends to no file without pictures.
    """
    if not any(blocks):
        return b"", [[] for _ in blocks]
    out = bytearray(form.header(0))
    if blocks[0] and not form.big:
        out = bytearray(blocks[0])
    tags: list[list[ExtraTag]] = []
    for number, block in enumerate(blocks):
        if not block:
            tags.append([])
            continue
        its = directories.layout(block)
        assert its is not None  # Metadata.exif is a whole block
        if number == 0 and not form.big:
            start, source, layout = directories.first_directory(block, its), bytes(out), form
        elif its.order == form.order:
            start = directories.copy(
                block, its, directories.first_directory(block, its), out, form, tiff_tags.DESCRIPTIVE
            )
            source, layout = bytes(out), form
        else:  # of another byte order: a page from another file, whose numbers would be read backwards
            tags.append([])
            continue
        tags.append(
            [
                (
                    value.tag - (value.tag in directories.FOLDERS),
                    value.kind,
                    value.amount,
                    source[value.start : value.start + value.size],
                    True,
                )
                for value in directories.entries(source, layout, start)
                if value.tag in tiff_tags.DESCRIPTIVE
            ]
        )
    out += b"\0" * (len(out) % 2)
    struct.pack_into(form.place, out, form.first, len(out))
    out += struct.pack(form.count, len(_ONE_PIXEL))
    for tag, value in _ONE_PIXEL.items():
        out += struct.pack(form.order + "HH", tag, _LONG) + struct.pack(form.place, 1)
        out += struct.pack(form.order + "I", value).ljust(form.room, b"\0")
    out += bytes(form.room)
    return bytes(out), tags


def _name_folders(data: bytearray, form: Layout, pages: int) -> None:
    """Give the folders of EXIF their tags; tifffile does not write them, but any tag that is one less."""
    for start in directories.chain(data, form, pages):
        for value in directories.entries(data, form, start):
            if value.tag + 1 in directories.FOLDERS:
                struct.pack_into(form.order + "H", data, value.entry, value.tag + 1)


def _write_page(
    writer: tifffile.TiffWriter,
    pixels: npt.NDArray[np.generic],
    metadata: Metadata,
    extra: int,
    described: list[ExtraTag],
    form: Layout,
) -> None:
    height, width = pixels.shape[:2]
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    inks = metadata.mode == "CMYK"
    colours = 4 if inks else 3 if channels - extra >= 3 else 1
    alpha = channels - colours - extra
    upright: ExtraTag = (tiff_tags.ORIENTATION, _SHORT, 1, 1, True)
    tags = {tag[0]: tag for tag in [*described, *_further(metadata, form), upright]}
    resolution, unit = (metadata.dpi, _INCH) if metadata.dpi else (metadata.density, _NO_UNIT)
    writer.write(
        pixels,
        photometric="separated" if inks else "rgb" if colours == 3 else "minisblack",
        planarconfig="contig" if channels > 1 else None,
        extrasamples=[2] * alpha + [0] * extra or None,
        compression="zlib",
        predictor=2 if pixels.dtype.kind == "u" else None,
        rowsperstrip=max(1, min(height, _STRIP_BYTES // (width * channels * pixels.dtype.itemsize))),
        resolution=None if resolution is None else (_fraction(resolution[0]), _fraction(resolution[1])),
        resolutionunit=unit if resolution else None,
        iccprofile=metadata.icc,
        extratags=[tag for _, tag in sorted(tags.items())],
        description=None,
        metadata=None,
        software=False,
        contiguous=False,
        maxworkers=threads.count(),
    )


def _further(metadata: Metadata, form: Layout) -> list[ExtraTag]:
    """XMP, the record of the press and what only TIFF knows."""
    tags: list[ExtraTag] = []
    if metadata.xmp:
        tags.append((_XMP, _BYTE, len(metadata.xmp), metadata.xmp, True))
    if metadata.photoshop:
        tags.append((_PHOTOSHOP, _BYTE, len(metadata.photoshop), metadata.photoshop, True))
        record = photoshop.iptc(metadata.photoshop)
        if record:
            tags.append((_IPTC, _UNDEFINED, len(record), record, True))
    for tag in metadata.tags:
        if tag.code == tiff_tags.IJ_METADATA:
            tags += tifffile.tifffile.imagej_metadata_tag(tag.value, form.order)
        elif isinstance(tag.value, str):  # tifffile takes text of other letters only as bytes
            text = tag.value.encode("utf-8", "surrogateescape") + b"\0"
            tags.append((tag.code, _ASCII, len(text), text, True))
        else:
            tags.append((tag.code, tag.kind, tag.count, tag.value, True))
    return tags


def _fraction(value: float) -> tuple[int, int]:
    numerator, denominator = Fraction(value).limit_denominator(10000).as_integer_ratio()
    return min(numerator, 2**32 - 1), denominator
