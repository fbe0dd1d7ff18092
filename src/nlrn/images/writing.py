"""Writing an image file: whole or not at all, and never less than the pixels hold."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nlrn.errors import UserError
from nlrn.files import write_whole
from nlrn.images import cmyk, following
from nlrn.images.formats import SUFFIXES, WRITABLE, Format, Options, by_name
from nlrn.images.picture import ImageFileError, Metadata, Picture

# What the colours of the pixels mean, which is kept even where nothing else is.
_COLOURS = ("gAMA", "cHRM", "sRGB", "cICP", "mDCV", "cLLI")


def write(
    path: str | os.PathLike[str],
    pixels: npt.NDArray[np.generic],
    like: Picture | None = None,
    *,
    strip_metadata: bool = False,
    quality: int | None = None,
    keep_dpi: bool = False,
) -> None:
    """Write pixels to a file; the suffix of its name decides the format.

    The file appears whole or not at all: it is written beside its place, forced to the disk and then renamed.
    Depth and mode are those of the pixels. What a format cannot hold is refused, never dropped: 16 bit and
    alpha in JPEG, alpha in BMP and PNM, floating point in all but TIFF. Gray goes into WebP and ``.ppm`` as
    equal colours. A picture that came as CMYK goes back to its inks in JPEG and 8-bit TIFF, if its profile leads
    back, and is sRGB elsewhere. What ``like`` says besides goes along as far as the format knows it; docs/formats.md
    has the table. Where the pixels are ``like`` enlarged, sizes, resolution and coordinates follow.

    Args:
        path: target; a format by its suffix, of :data:`nlrn.images.WRITABLE`.
        pixels: [H, W], or [H, W, C] with C = 1 (gray), 2 (gray, alpha), 3 (RGB) or 4 (RGB, alpha, straight);
            uint8, uint16 or float32, any side at least 1.
        like: the picture whose metadata is kept.
        strip_metadata: keep nothing but what the colours mean, without which they would be others.
        quality: 1 to 100 for JPEG, WebP, AVIF and HEIC. If not given, 95, as in ``like`` for a JPEG of a better
            one, and 98 for WebP. Colour is stored at full resolution in all but WebP. WebP is lossless at
            100, and also without a quality unless ``like`` was lossy.
        keep_dpi: an enlarged picture keeps its dots per inch, and not its size on paper.

    Raises:
        ImageFileError: the format cannot hold the pixels, or the file cannot be written.
        ValueError: quality out of range.
    """
    picture = Picture(pixels, like.metadata if like else Metadata())
    write_pages(path, [picture], strip_metadata=strip_metadata, quality=quality, keep_dpi=keep_dpi)


def write_pages(
    path: str | os.PathLike[str],
    pages: Sequence[Picture],
    *,
    strip_metadata: bool = False,
    quality: int | None = None,
    keep_dpi: bool = False,
) -> None:
    """Write pictures, as :func:`nlrn.images.read_pages` gives them, to one file.

    More than one only to a TIFF, or, if they are the frames of an animation, to a format that holds one. Everything
    else is as in :func:`write`.
    """
    path = Path(path)
    data = encode_pages(path, pages, strip_metadata=strip_metadata, quality=quality, keep_dpi=keep_dpi)
    put(path, data)


def encode_pages(
    name: str | os.PathLike[str],
    pages: Sequence[Picture],
    *,
    strip_metadata: bool = False,
    quality: int | None = None,
    keep_dpi: bool = False,
) -> bytes:
    """The contents that :func:`write_pages` would give a file of that name.

    >>> encode_pages("x.pgm", [Picture(np.array([[65, 66]], np.uint8))])
    b'P5\\n2 1\\n255\\nAB'
    """
    if quality is not None and not 1 <= quality <= 100:
        raise ValueError(f"quality must be from 1 to 100, not {quality}")
    path = Path(name)
    ready = []
    for page in pages:
        pixels = page.pixels
        if pixels.ndim == 3 and pixels.shape[2] == 1:
            pixels = pixels[..., 0]
        form = _fitting(path, pixels, page.metadata)
        pixels = np.ascontiguousarray(pixels.astype(pixels.dtype.newbyteorder("="), copy=False))
        metadata = _metadata(page.metadata, pixels, form, strip_metadata, keep_dpi)
        ready.append(Picture(pixels, metadata))
    _refuse_pages(path, ready, form)
    assert form.write is not None  # its suffix is among those that can be written
    try:
        return form.write(ready, Options(path.suffix.lower(), quality))
    except UserError as error:  # an extra that is missing
        raise ImageFileError(f"{path} cannot be written: {error}.") from None
    except (OSError, ValueError, RuntimeError, MemoryError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageFileError(f"{path} cannot be written as {form.name} ({reason}): write a .png file.") from error


def check_writable(
    path: str | os.PathLike[str],
    pages: Sequence[Picture],
    size: Callable[[int, int], tuple[int, int]] | None = None,
) -> None:
    """Raise ImageFileError where pictures like these cannot be written to a file of that name: before the work.

    Args:
        path, pages: as for :func:`write_pages`.
        size: makes the height and width of a result of those of a picture; default they stay.

    >>> check_writable("clean.gif", [Picture(np.zeros((2, 2), np.uint16))])
    Traceback (most recent call last):
    nlrn.images.picture.ImageFileError: clean.gif cannot be written: GIF holds no uint16 samples, .png or .tif does.
    """
    path = Path(path)
    for page in pages:
        form = _fitting(path, page.pixels[:1, :1], page.metadata)
        height, width = page.pixels.shape[:2]
        _refuse_size(path, size(height, width) if size else (height, width), form)
    _refuse_pages(path, pages, form)


def _refuse_pages(path: Path, pages: Sequence[Picture], form: Format) -> None:
    """Raise ImageFileError where the format does not hold so many pictures."""
    if any(page.metadata.extra for page in pages[1:]) and not form.holds_pages:
        raise ImageFileError(
            f"{path} cannot be written: {form.name} holds no channel beside colour and alpha, .tif does."
        )
    frames = all(page.metadata.duration is not None for page in pages)
    if len(pages) > 1 and not form.holds_pages and not (form.holds_frames and frames):
        raise ImageFileError(f"{path} cannot be written: {form.name} holds no {len(pages)} pages, .tif does.")
    if len(pages) > 1 and not form.holds_pages and any(page.pixels.dtype != np.uint8 for page in pages):
        raise ImageFileError(f"{path} cannot be written: an animation has 8 bits, .tif holds its frames as pages.")


def _fitting(path: Path, pixels: npt.NDArray[np.generic], metadata: Metadata) -> Format:
    """The format that the suffix names, once it is sure that it can hold the pixels."""
    suffix = path.suffix.lower()
    if suffix not in WRITABLE:
        raise ImageFileError(f"{path} cannot be written: choose a name that ends in .png, .tif, .jpg or .webp.")
    form = by_name(SUFFIXES[suffix])
    kind = form.name
    if pixels.ndim not in (2, 3) or 0 in pixels.shape:
        raise ImageFileError(f"{path} cannot be written: pixels of shape {list(pixels.shape)} are no image.")
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    if channels > 4:
        raise ImageFileError(f"{path} cannot be written: an image has 1 to 4 channels, not {channels}.")
    if pixels.dtype.name not in form.samples:
        better = {"uint16": ".png or .tif", "float32": ".tif"}.get(pixels.dtype.name)
        if better is None:
            raise ImageFileError(f"{path} cannot be written: pixels of type {pixels.dtype.name} fit no format.")
        raise ImageFileError(f"{path} cannot be written: {kind} holds no {pixels.dtype.name} samples, {better} does.")
    if channels in (2, 4) and metadata.mode in ("LX", "RGBX") and not form.holds_pages:
        raise ImageFileError(f"{path} cannot be written: {kind} holds no channel beside colour and alpha, .tif does.")
    if channels not in form.channels:
        raise ImageFileError(f"{path} cannot be written: {kind} holds no alpha channel, .png does.")
    if suffix in form.gray_endings and channels == 3:
        raise ImageFileError(f"{path} cannot be written: a {suffix} file holds no colour, .ppm does.")
    _refuse_size(path, pixels.shape[:2], form)
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise ImageFileError(f"{path} cannot be written: the pixels contain NaN or infinite values.")
    return form


def _refuse_size(path: Path, size: tuple[int, ...], form: Format) -> None:
    """Raise ImageFileError where a side is longer than the format has them."""
    limit = form.longest_side
    if limit is not None and max(size) > limit:
        raise ImageFileError(
            f"{path} cannot be written: a side in {form.name} is at most {limit} pixels, .png has no limit."
        )


def _metadata(
    metadata: Metadata, pixels: npt.NDArray[np.generic], form: Format, strip: bool, keep_dpi: bool
) -> Metadata:
    """The metadata for the file."""
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    inks = (
        metadata.mode == "CMYK"
        and channels == 3
        and pixels.dtype == np.uint8
        and form.holds_inks
        and cmyk.leads_back(metadata.icc)
    )
    if not inks:
        metadata = _without_profile_of_other_kind(metadata, channels)
        if metadata.mode == "CMYK":
            metadata = replace(metadata, mode="RGB")
    if strip:
        return Metadata(
            mode=metadata.mode,
            icc=metadata.icc,
            chunks=tuple(chunk for chunk in metadata.chunks if chunk[0] in _COLOURS),
            lossless=metadata.lossless,
            quality=metadata.quality,
            duration=metadata.duration,
            loop=metadata.loop,
            extra=metadata.extra,
        )
    return following.resized(metadata, *pixels.shape[:2], keep_dpi=keep_dpi)


def _without_profile_of_other_kind(metadata: Metadata, channels: int) -> Metadata:
    """The metadata less an ICC profile that would be wrong for pixels of so many channels."""
    space = (metadata.icc or b"")[16:20]
    fits = space == b"RGB " if channels >= 3 else space in (b"GRAY", b"RGB ")
    return metadata if fits else replace(metadata, icc=None)


def loses(path: str | os.PathLike[str], pages: Sequence[Picture]) -> bool:
    """Whether pictures lose something by being written anew to a file of that name, in the format that they came in.

    >>> photo = Picture(np.zeros((8, 8), np.uint8), Metadata(format="JPEG", lossless=False))
    >>> loses("same.jpg", [photo]), loses("same.png", [photo])
    (True, False)
    """
    came = pages[0].metadata
    return not came.lossless and SUFFIXES.get(Path(path).suffix.lower()) == came.format


def put(path: str | os.PathLike[str], data: bytes) -> None:
    """Put the bytes in the file's place, or leave what was there.

    Raises:
        ImageFileError: the file cannot be written.
    """
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
