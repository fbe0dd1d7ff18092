"""Reading an image file: what it is, whether it is whole, and that nothing is lost on the way."""

import os
import select
import stat
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from nlrn.errors import UserError
from nlrn.images import exif, following, xmp
from nlrn.images.formats import FORMATS, SUFFIXES, Format, Source, of_data
from nlrn.images.limits import MAX_PIXELS, check_bytes
from nlrn.images.picture import ImageFileError, Picture

PATIENCE = 30.0
"""Seconds after which a pipe that sends nothing is given up."""

PATIENCE_WITH_NOBODY = 5.0
"""The same where nobody has opened the pipe for writing."""


def read(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> Picture:
    """The one picture in a file, upright, at its full bit depth, with what the file says besides.

    The formats are those of :data:`nlrn.images.FORMATS`, some of which need an optional package. Palettes are
    looked up (to gray if all their colours are gray), a transparent colour becomes alpha, 1 bit becomes 0 and
    255, CMYK becomes sRGB through its profile. Integers of 2 to 7 bits are stretched to 8, of 9 to 15 to 16;
    half and double floating point become float32. A JPEG with further pictures in it (MPO) gives the first.

    Args:
        path: of a file, or of a pipe, which is given up when it sends nothing for :data:`PATIENCE` seconds.
        max_pixels: more are refused before anything is decoded.

    Raises:
        ImageFileError: the file is missing, empty, damaged, no image, named after another format, animated,
            of several pages, larger than ``max_pixels``, or of a kind that would lose something here.
    """
    path = Path(path)
    return _pictures(_contents(path), str(path), several=False, max_pixels=max_pixels)[0]


def read_pages(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> list[Picture]:
    """Every page of a TIFF and every frame of an animation, each with its own metadata; of any other file its one
    picture.

    Channels that are no alpha (near infrared) follow their page as gray pictures, and :func:`write_pages` puts them
    back. Everything else is as in :func:`read`; ``max_pixels`` holds for all pages together.
    """
    path = Path(path)
    return _pictures(_contents(path), str(path), several=True, max_pixels=max_pixels)


def decode_pages(data: bytes, name: str = "the picture", *, max_pixels: int = MAX_PIXELS) -> list[Picture]:
    """The same for the contents of a file, which messages call by ``name``.

    >>> decode_pages(b"P2 3 1 255 10 20 30", "x.pgm")[0].pixels
    array([[10, 20, 30]], dtype=uint8)
    """
    check_bytes(name, len(data))
    return _pictures(data, name, several=True, max_pixels=max_pixels)


def read_rgb(path: str | os.PathLike[str]) -> npt.NDArray[np.uint8]:
    """[H, W, 3] in 8 bits, for training: gray as equal colours, 16 bits rounded, alpha left out.

    Raises:
        ImageFileError: as in :func:`read`, and for floating point, which has no white of its own.
    """
    pixels = read(path).pixels
    if pixels.dtype == np.uint16:
        pixels = (pixels.astype(np.uint32) * 255 + 32767) // 65535
    elif pixels.dtype != np.uint8:
        raise ImageFileError(f"{path} has floating-point samples: convert it to 8 or 16 bit.")
    colours = pixels[..., None] if pixels.ndim == 2 else pixels[..., : 1 if pixels.shape[2] == 2 else 3]
    return np.ascontiguousarray(np.broadcast_to(colours, (*colours.shape[:2], 3)).astype(np.uint8))


def _pictures(data: bytes, name: str, *, several: bool, max_pixels: int) -> list[Picture]:
    form = _format(data, name)
    try:
        found = form.read(Source(data, name, several, max_pixels))
    except ImageFileError:
        raise
    except UserError as error:  # an extra that is missing
        raise ImageFileError(f"{name} is a {form.name} file: {error}.") from None
    except Image.DecompressionBombError:
        raise ImageFileError(f"{name} claims too many pixels: cut it into parts.") from None
    except MemoryError:
        raise ImageFileError(f"{name} does not fit into memory: cut it into parts.") from None
    # Decoders meet broken files with errors of every class; the user must know which file is at fault.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageFileError(f"{name} cannot be decoded ({reason}): get a whole copy or save it as PNG.") from error
    return [_upright(page, turned=form.turned) for page in found]


def _format(data: bytes, name: str) -> Format:
    """The format of a file, once its name agrees."""
    if not data:
        raise ImageFileError(f"{name} is empty: get a whole copy of it.")
    ending = Path(name).suffix.lower()
    form = of_data(data, ending)
    if form is None:
        known = ", ".join(other.name for other in FORMATS[:-1])
        raise ImageFileError(
            f"{name} is not an image that can be read here: give a file of {known} or {FORMATS[-1].name}."
        )
    if ending and SUFFIXES.get(ending) != form.name:
        raise ImageFileError(
            f"{name} is in truth a {form.name} file: rename it to {Path(name).stem}{form.endings[0]}."
        )
    return form


def _contents(path: Path) -> bytes:
    if path.is_dir():
        raise ImageFileError(f"{path} is a folder: give an image file.")
    try:
        # a pipe that nobody writes to would keep a plain open waiting
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0))) as file:
            before = os.fstat(file.fileno())
            if stat.S_ISFIFO(before.st_mode):
                return _piped(file.fileno(), path)
            if not stat.S_ISREG(before.st_mode):
                raise ImageFileError(f"{path} is no ordinary file: give an image file.")
            check_bytes(str(path), before.st_size)
            data = file.read()
            after = os.fstat(file.fileno())
    except FileNotFoundError:
        raise ImageFileError(f"{path} does not exist: check the name.") from None
    except OSError as error:
        raise ImageFileError(f"{path} cannot be read ({error.strerror}): check its permissions.") from error
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or len(data) != after.st_size:
        raise ImageFileError(f"{path} changed while it was read: try again when it is complete.")
    return data


def _piped(handle: int, path: Path) -> bytes:
    """All that comes out of a pipe."""
    parts: list[bytes] = []
    size, end = 0, time.monotonic() + PATIENCE_WITH_NOBODY
    while True:
        try:
            part = os.read(handle, 2**20)
        except BlockingIOError:  # somebody has it open for writing
            if not select.select([handle], [], [], PATIENCE)[0]:
                raise ImageFileError(f"{path} is a pipe that sends nothing: give a file.") from None
            continue
        if part:
            parts.append(part)
            size += len(part)
            check_bytes(str(path), size)
        elif parts:
            return b"".join(parts)
        elif time.monotonic() > end:
            raise ImageFileError(f"{path} is a pipe that nobody writes to: give a file.")
        else:
            time.sleep(0.02)


def _upright(page: Picture, *, turned: bool) -> Picture:
    """The picture as it should be seen, and marked so."""
    metadata = page.metadata
    told = None if turned else exif.orientation(metadata.exif) or xmp.orientation(metadata.xmp)
    pixels = exif.turn(page.pixels, told or 1)
    height, width = pixels.shape[:2]
    if told and told >= 5:
        metadata = following.turned(metadata, height, width)
    metadata = replace(
        metadata,
        exif=exif.upright(metadata.exif) if metadata.exif else None,
        xmp=xmp.upright(metadata.xmp),
        size=(height, width),
    )
    return Picture(pixels, metadata)
