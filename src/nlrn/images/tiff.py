"""Reading TIFF: Pillow up to 8 bits, tifffile what is deeper, OpenCV what tifffile leaves to a plug-in."""

import io
import logging
import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import tifffile

from nlrn.images import exif, pillow
from nlrn.images.picture import ImageFileError, Metadata, mode_of

# Where no log is set up, tifffile's remarks on odd tags would be printed.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

# The most that a byte can stand for with no compression, LZW and deflate (which has two numbers).
_LARGEST_RATIO = {1: 1, 5: 4096, 8: 1100, 32946: 1100}
_GRAY, _RGB, _SEPARATED = (0, 1), 2, 5  # photometric interpretations; 0 is gray with white at zero
_ASSOCIATED = 1
_CENTIMETRE = 3
_ORIENTATION, _X, _Y, _UNIT, _XMP, _ICC = 274, 282, 283, 296, 700, 34675


def decode(
    data: bytes, name: str, check_size: Callable[[int, int, str], None], *, several: bool
) -> list[tuple[npt.NDArray[np.generic], Metadata]]:
    """Pixels and metadata of each page as they are in the file, before it is set upright.

    Raises ImageFileError for what the user can change, and whatever the decoders raise on damaged files.
    """
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        pages = {
            number: page
            for number, page in enumerate(file.pages)
            if isinstance(page, tifffile.TiffPage) and not page.is_reduced
        }
        if not pages:
            raise ValueError("it holds no image")
        _refuse_broken_chain(data, file)
        if len(pages) > 1 and not several:
            raise ImageFileError(f"{name} has several pages: save each of them as a TIFF of its own.")
        check_size(max(page.imagewidth for page in pages.values()), sum(p.imagelength for p in pages.values()), name)
        upright = _with_orientation_1(data, list(pages.values()), file.byteorder)
        image = None  # opened once, as Pillow finds a page only by way of all before it
        found = []
        for number, page in pages.items():
            _refuse_unfit(page, data, name)
            metadata = _metadata(page, data)
            pixels: npt.NDArray[np.generic]
            if page.dtype is not None and max(page.bitspersample, page.dtype.itemsize) <= 8:
                image = pillow.open_header(upright, "TIFF") if image is None else image
                pillow.turn_to(image, number)
                pixels, mode = pillow.pixels_of(image), image.mode
            else:
                pixels = _in_our_terms(_deep_pixels(page, number, upright), page, name)
                mode = mode_of(pixels)
            found.append((pixels, replace(metadata, mode=mode)))
        return found


def _refuse_broken_chain(data: bytes, file: tifffile.TiffFile) -> None:
    """ValueError where the last page that was found says that there are more."""
    last, size = file.pages[-1].offset, len(data)
    count, entry, place = ("Q", 20, "Q") if file.is_bigtiff else ("H", 12, "I")
    entries = struct.unpack_from(file.byteorder + count, data, last)[0]
    link = last + struct.calcsize("=" + count) + entry * entries
    if link + struct.calcsize("=" + place) <= size and struct.unpack_from(file.byteorder + place, data, link)[0]:
        raise ValueError("a page is missing at its end")


def _refuse_unfit(page: tifffile.TiffPage, data: bytes, name: str) -> None:
    """ImageFileError for a kind that cannot be kept, ValueError where the page is damaged."""
    if page.imagedepth > 1:
        raise ImageFileError(f"{name} holds a volume in one page: save its slices as pages.")
    _refuse_missing_data(page, len(data))
    sample = page.dtype
    if sample is None or sample.kind not in "ufb" or sample.itemsize > (8 if sample.kind == "f" else 2):
        kind = "unknown" if sample is None else sample.name
        raise ImageFileError(f"{name} has samples of type {kind}: convert it to 8 or 16 bit or to float32.")


def _deep_pixels(page: tifffile.TiffPage, number: int, data: bytes) -> npt.NDArray[np.generic]:
    """[H, W] or [H, W, C] of more than 8 bits, as stored."""
    try:
        pixels: npt.NDArray[np.generic] = page.asarray()
        if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE and page.samplesperpixel > 1:
            pixels = np.moveaxis(pixels, 0, -1)
    except (KeyError, ValueError, ModuleNotFoundError):  # a compression that tifffile has no decoder for
        decoded, several = cv2.imdecodemulti(
            np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED, range=(number, number + 1)
        )
        found = several[0] if decoded and len(several) == 1 else None
        if found is None or found.dtype != page.dtype:
            kind = tifffile.COMPRESSION(page.compression).name
            raise ValueError(f"its {kind} compression needs the package imagecodecs at this depth") from None
        pixels = found if found.ndim == 2 else found[..., [2, 1, 0, 3][: found.shape[2]]]
        if page.samplesperpixel != (1 if pixels.ndim == 2 else pixels.shape[2]):
            raise ValueError("compressed gray with alpha needs the package imagecodecs") from None
    return pixels


def _in_our_terms(pixels: npt.NDArray[np.generic], page: tifffile.TiffPage, name: str) -> npt.NDArray[np.generic]:
    """uint16 or float32 with white at the top and alpha not premultiplied; refuses all other kinds."""
    pixels = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    photometric = int(page.photometric)
    if photometric == _SEPARATED:
        raise ImageFileError(f"{name} holds printing inks of more than 8 bits: convert it to RGB.")
    if not (photometric in _GRAY and channels <= 2) and not (photometric == _RGB and channels in (3, 4)):
        kind = tifffile.PHOTOMETRIC(photometric).name
        raise ImageFileError(f"{name} has {channels} channels of kind {kind}: convert it to gray or RGB.")
    if pixels.dtype.kind == "f":
        result = pixels.astype(np.float32)
        if not np.isfinite(result).all():
            raise ImageFileError(f"{name} contains NaN or infinite values: replace them by numbers.")
        if photometric == 0:
            raise ImageFileError(f"{name} is a negative in floating point: convert it to gray with black at zero.")
        return _straight(result, 1.0) if page.extrasamples[:1] == (_ASSOCIATED,) else result
    if page.bitspersample < 16:
        pixels = (pixels.astype(np.float64) * (65535 / (2**page.bitspersample - 1))).round()
    values = pixels.astype(np.uint16)
    if page.extrasamples[:1] == (_ASSOCIATED,):
        values = _straight(values.astype(np.float32), 65535.0).round().astype(np.uint16)
    if photometric == 0:
        values[..., : 1 if values.ndim == 3 else None] = 65535 - values[..., : 1 if values.ndim == 3 else None]
    return values


def _straight(pixels: npt.NDArray[np.float32], full: float) -> npt.NDArray[np.float32]:
    """Colour that was multiplied by its alpha, divided by it."""
    alpha = pixels[..., -1:] / full
    colour = np.divide(pixels[..., :-1], alpha, out=np.zeros_like(pixels[..., :-1]), where=alpha > 0)
    return np.concatenate([np.minimum(colour, full), pixels[..., -1:]], -1)


def _refuse_missing_data(page: tifffile.TiffPage, size: int) -> None:
    """ValueError where a piece of the image lies beyond the end of the file; a decoder may fill in zeros."""
    if not page.dataoffsets or len(page.dataoffsets) != len(page.databytecounts):
        raise ValueError("the table of its pieces is damaged")
    for start, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        if count <= 0 or start <= 0 or start + count > size:
            raise ValueError("the file ends early")
    bits = page.imagewidth * page.imagelength * page.samplesperpixel * page.bitspersample
    ratio = _LARGEST_RATIO.get(int(page.compression))
    if ratio is not None and bits > 8 * ratio * sum(page.databytecounts):
        raise ValueError("it claims more pixels than it can contain")


def _with_orientation_1(data: bytes, pages: Sequence[tifffile.TiffPage], order: str) -> bytes:
    """The file with the tags reset: some decoders apply them by themselves, and one fails at it."""
    turned = [tag for page in pages if (tag := page.tags.get(_ORIENTATION)) is not None and tag.value != 1]
    if not turned:
        return data
    changed = bytearray(data)
    for tag in turned:
        struct.pack_into(order + "H", changed, tag.valueoffset, 1)
    return bytes(changed)


def _metadata(page: tifffile.TiffPage, data: bytes) -> Metadata:
    def value(code: int) -> Any:
        tag = page.tags.get(code)
        return None if tag is None else tag.value

    icc, xmp = value(_ICC), value(_XMP)
    dpi = None
    x, y = value(_X), value(_Y)
    if isinstance(x, tuple) and isinstance(y, tuple) and x[1] and y[1] and value(_UNIT) in (None, 2, _CENTIMETRE):
        scale = 2.54 if value(_UNIT) == _CENTIMETRE else 1.0
        dpi = (scale * x[0] / x[1], scale * y[0] / y[1])
    return Metadata(
        format="TIFF",
        icc=bytes(icc) if isinstance(icc, bytes) else None,
        xmp=bytes(xmp) if isinstance(xmp, bytes) else None,
        dpi=dpi if dpi and min(dpi) > 0 else None,
        exif=exif.gather(data, page.offset),
    )
