"""Writing an image file: whole or not at all, and never less than the pixels hold."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nlrn.files import write_whole
from nlrn.images import cmyk, exif, pillow, png, pnm, tiff_writing
from nlrn.images.picture import ImageFileError, Metadata, Picture
from nlrn.images.reading import SUFFIXES

WRITABLE = tuple(suffix for suffix in SUFFIXES if suffix != ".pbm")
"""The file suffixes that can be written, HEIC with an optional package."""

_HOLDS: dict[str, tuple[Sequence[str], Sequence[int]]] = {
    # dtypes and numbers of channels
    "PNG": (("uint8", "uint16"), (1, 2, 3, 4)),
    "TIFF": (("uint8", "uint16", "float32"), (1, 2, 3, 4)),
    "JPEG": (("uint8",), (1, 3)),
    "WEBP": (("uint8",), (1, 2, 3, 4)),
    "AVIF": (("uint8",), (1, 2, 3, 4)),
    "HEIF": (("uint8",), (1, 2, 3, 4)),
    "BMP": (("uint8",), (1, 3)),
    "PNM": (("uint8", "uint16"), (1, 3)),
}
_LONGEST_SIDE = {"JPEG": 65500, "WEBP": 16383, "AVIF": 65535, "HEIF": 65535}


def write(
    path: str | os.PathLike[str],
    pixels: npt.NDArray[np.generic],
    like: Picture | None = None,
    *,
    strip_metadata: bool = False,
    quality: int | None = None,
) -> None:
    """Write pixels to a file; the suffix of its name decides the format.

    The file appears whole or not at all: it is written beside its place, forced to the disk and then renamed.
    Depth and mode are those of the pixels. What a format cannot hold is refused, never dropped: 16 bit and
    alpha in JPEG, alpha in BMP and PNM, floating point in all but TIFF. Gray goes into WebP and ``.ppm`` as
    equal colours. A picture that came as CMYK goes back to its inks in JPEG and 8-bit TIFF and is sRGB
    elsewhere. Profile, EXIF, XMP and resolution of ``like`` go along as far as the format knows them (BMP:
    resolution only; PNM: nothing; WebP, AVIF and HEIC: no resolution but that of EXIF).

    Args:
        path: target; PNG, TIFF, JPEG, WebP, AVIF, HEIC, BMP, PGM, PPM or PNM by its suffix.
        pixels: [H, W], or [H, W, C] with C = 1 (gray), 2 (gray, alpha), 3 (RGB) or 4 (RGB, alpha, straight);
            uint8, uint16 or float32, any side at least 1.
        like: the picture whose metadata is kept.
        strip_metadata: keep nothing but the colour profile, without which the colours would be others.
        quality: 1 to 100 for JPEG, WebP, AVIF and HEIC. If not given, 95, as in ``like`` for a JPEG of a better
            one, and 98 for WebP. Colour is stored at full resolution in all but WebP. WebP is lossless at
            100, and also without a quality unless ``like`` was lossy.

    Raises:
        ImageFileError: the format cannot hold the pixels, or the file cannot be written.
        ValueError: quality out of range.
    """
    picture = Picture(pixels, like.metadata if like else Metadata())
    write_pages(path, [picture], strip_metadata=strip_metadata, quality=quality)


def write_pages(
    path: str | os.PathLike[str],
    pages: Sequence[Picture],
    *,
    strip_metadata: bool = False,
    quality: int | None = None,
) -> None:
    """Write pictures, as :func:`nlrn.images.read_pages` gives them, to one file; more than one only to a TIFF.

    Everything else is as in :func:`write`.
    """
    if quality is not None and not 1 <= quality <= 100:
        raise ValueError(f"quality must be from 1 to 100, not {quality}")
    path = Path(path)
    ready = []
    for page in pages:
        pixels = page.pixels
        if pixels.ndim == 3 and pixels.shape[2] == 1:
            pixels = pixels[..., 0]
        kind = _kind(path, pixels)
        pixels = np.ascontiguousarray(pixels.astype(pixels.dtype.newbyteorder("="), copy=False))
        ready.append(Picture(pixels, _metadata(page.metadata, pixels, kind, strip_metadata)))
    if len(ready) > 1 and kind != "TIFF":
        raise ImageFileError(f"{path} cannot be written: {kind} holds no {len(ready)} pages, .tif does.")
    try:
        data = _encoded(ready, kind, path, quality)
    except ImportError:
        raise ImageFileError(
            f"{path} cannot be written: install nlrn[heic] for HEIC, or write a .png file."
        ) from None
    except (OSError, ValueError, MemoryError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageFileError(f"{path} cannot be written as {kind} ({reason}): write a .png file.") from error
    _replace(path, data)


def _kind(path: Path, pixels: npt.NDArray[np.generic]) -> str:
    """The format that the suffix names, once it is sure that it can hold the pixels."""
    suffix = path.suffix.lower()
    if suffix not in WRITABLE:
        raise ImageFileError(f"{path} cannot be written: choose a name that ends in .png, .tif, .jpg or .webp.")
    kind = SUFFIXES[suffix]
    if pixels.ndim not in (2, 3) or 0 in pixels.shape:
        raise ImageFileError(f"{path} cannot be written: pixels of shape {list(pixels.shape)} are no image.")
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    if channels > 4:
        raise ImageFileError(f"{path} cannot be written: an image has 1 to 4 channels, not {channels}.")
    dtypes, counts = _HOLDS[kind]
    if pixels.dtype.name not in dtypes:
        better = {"uint16": ".png or .tif", "float32": ".tif"}.get(pixels.dtype.name)
        if better is None:
            raise ImageFileError(f"{path} cannot be written: pixels of type {pixels.dtype.name} fit no format.")
        raise ImageFileError(f"{path} cannot be written: {kind} holds no {pixels.dtype.name} samples, {better} does.")
    if channels not in counts:
        raise ImageFileError(f"{path} cannot be written: {kind} holds no alpha channel, .png does.")
    if suffix == ".pgm" and channels == 3:
        raise ImageFileError(f"{path} cannot be written: a .pgm file holds no colour, .ppm does.")
    limit = _LONGEST_SIDE.get(kind)
    if limit is not None and max(pixels.shape[:2]) > limit:
        raise ImageFileError(
            f"{path} cannot be written: a side in {kind} is at most {limit} pixels, .png has no limit."
        )
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise ImageFileError(f"{path} cannot be written: the pixels contain NaN or infinite values.")
    return kind


def _metadata(metadata: Metadata, pixels: npt.NDArray[np.generic], kind: str, strip: bool) -> Metadata:
    """What goes into the file besides the pixels."""
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    inks = metadata.mode == "CMYK" and channels == 3 and pixels.dtype == np.uint8 and kind in ("JPEG", "TIFF")
    if not inks:
        metadata = pillow.without_profile_of_other_kind(metadata, channels)
        if metadata.mode == "CMYK":
            metadata = replace(metadata, mode="RGB")
    if strip:
        return Metadata(mode=metadata.mode, icc=metadata.icc, lossless=metadata.lossless, quality=metadata.quality)
    if metadata.exif:
        return replace(metadata, exif=exif.sized(metadata.exif, *pixels.shape[:2]))
    return metadata


def _encoded(pages: Sequence[Picture], kind: str, path: Path, quality: int | None) -> bytes:
    if kind == "TIFF":
        return tiff_writing.encode([_tiff_page(page) for page in pages])
    pixels, metadata = pages[0].pixels, pages[0].metadata
    if kind == "PNG":
        return png.encode(pixels, metadata)
    if kind == "PNM":
        if path.suffix.lower() == ".ppm" and pixels.ndim == 2:
            pixels = np.stack([pixels] * 3, -1)
        return pnm.encode(pixels)
    return pillow.encode(pixels, kind, metadata, quality)


def _tiff_page(page: Picture) -> tiff_writing.Page:
    if page.metadata.mode == "CMYK":
        inks = np.array(cmyk.from_srgb(page.pixels, page.metadata.icc))
        return tiff_writing.Page(inks, page.metadata, inks=True)
    return tiff_writing.Page(page.pixels, page.metadata, inks=False)


def _replace(path: Path, data: bytes) -> None:
    """Put the bytes in the file's place, or leave what was there."""
    target = Path(os.path.realpath(path))  # through a link, which stays one
    if target.is_dir():
        raise ImageFileError(f"{path} is a folder: give the name of a file in it.")
    if not target.parent.is_dir():
        raise ImageFileError(f"{path} cannot be written: the folder {target.parent} does not exist, create it first.")
    try:
        write_whole(target, data)
    except OSError as error:
        raise ImageFileError(
            f"{path} cannot be written ({error.strerror}): check the permissions and the space of its folder."
        ) from error
