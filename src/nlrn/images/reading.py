"""Reading an image file: what it is, whether it is whole, and which decoder loses nothing of it."""

import os
import stat
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, features

from nlrn.images import exif, pillow, png, pnm, tiff
from nlrn.images.picture import MAX_PIXELS, ImageFileError, Metadata, Picture, mode_of

SUFFIXES = {
    ".png": "PNG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".dib": "BMP",
    ".pbm": "PNM",
    ".pgm": "PNM",
    ".ppm": "PNM",
    ".pnm": "PNM",
    ".avif": "AVIF",
    ".heic": "HEIF",
    ".heif": "HEIF",
}
"""The format of each file suffix that can be read."""

_RAW = {".dng", ".cr2", ".cr3", ".nef", ".nrw", ".arw", ".orf", ".rw2", ".pef", ".raf", ".srw"}
_ADVICE = "give a PNG, TIFF, JPEG, WebP, BMP, PNM, AVIF or HEIC file"


def read(path: str | os.PathLike[str]) -> Picture:
    """The one picture in a file, upright, at its full bit depth, with what the file says besides.

    PNG, TIFF, JPEG, WebP, BMP, PNM and AVIF; HEIC where ``nlrn[heic]`` is installed. Palettes are
    looked up (to gray if all their colours are gray), a transparent colour becomes alpha, 1 bit becomes 0 and
    255, CMYK becomes sRGB through its profile. Integers of 2 to 7 bits are stretched to 8, of 9 to 15 to 16;
    half and double floating point become float32. A JPEG with further pictures in it (MPO) gives the first.

    Raises:
        ImageFileError: the file is missing, empty, damaged, no image, named after another format, animated,
            of several pages, larger than :data:`MAX_PIXELS`, or of a kind that would lose something here.
    """
    return _pictures(Path(path), several=False)[0]


def read_pages(path: str | os.PathLike[str]) -> list[Picture]:
    """Every page of a TIFF, each with its own metadata; of any other file its one picture.

    Everything else is as in :func:`read`; :data:`MAX_PIXELS` holds for all pages together.
    """
    return _pictures(Path(path), several=True)


def decode_pages(data: bytes, name: str = "the picture") -> list[Picture]:
    """The same for the contents of a file, which messages call by ``name``."""
    return _decode(data, Path(name), several=True)


def _pictures(path: Path, *, several: bool) -> list[Picture]:
    return _decode(_contents(path), path, several=several)


def _decode(data: bytes, path: Path, *, several: bool) -> list[Picture]:
    if path.suffix.lower() in _RAW:
        raise ImageFileError(f"{path} is a camera's raw file: develop it to a 16-bit TIFF first.")
    if data[:6] in (b"GIF87a", b"GIF89a"):
        raise ImageFileError(f"{path} is a GIF, of 256 colours: save it, or each of its frames, as PNG.")
    kind = _kind(data)
    if kind is None:
        raise ImageFileError(f"{path} is not an image that can be read here: {_ADVICE}.")
    named = SUFFIXES.get(path.suffix.lower())
    if named != kind and path.suffix:
        suffix = next(suffix for suffix, its_kind in SUFFIXES.items() if its_kind == kind)
        raise ImageFileError(f"{path} is in truth a {kind} file: rename it to {path.stem}{suffix}.")
    try:
        found = _decoded(data, kind, str(path), several=several)
    except ImageFileError:
        raise
    except Image.DecompressionBombError:
        raise ImageFileError(_too_large(str(path), None)) from None
    except MemoryError:
        raise ImageFileError(f"{path} does not fit into memory: cut it into parts.") from None
    # Decoders meet broken files with errors of every class; the user must know which file is at fault.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageFileError(f"{path} cannot be decoded ({reason}): get a whole copy or save it as PNG.") from error
    return [_upright(*page) for page in found]


def _contents(path: Path) -> bytes:
    if path.is_dir():
        raise ImageFileError(f"{path} is a folder: give an image file.")
    try:
        with open(path, "rb") as file:
            before = os.fstat(file.fileno())
            if not stat.S_ISREG(before.st_mode):
                raise ImageFileError(f"{path} is no ordinary file: give an image file.")
            data = file.read()
            after = os.fstat(file.fileno())
    except FileNotFoundError:
        raise ImageFileError(f"{path} does not exist: check the name.") from None
    except OSError as error:
        raise ImageFileError(f"{path} cannot be read ({error.strerror}): check its permissions.") from error
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or len(data) != after.st_size:
        raise ImageFileError(f"{path} changed while it was read: try again when it is complete.")
    if not data:
        raise ImageFileError(f"{path} is empty: get a whole copy of it.")
    return data


def _kind(data: bytes) -> str | None:
    """The format that the first bytes tell, or None."""
    if data.startswith(png.SIGNATURE):
        return "PNG"
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "TIFF"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data.startswith(b"BM"):
        return "BMP"
    if data[:1] == b"P" and data[1:2] in b"123456" and data[2:3].isspace():
        return "PNM"
    if data[4:8] == b"ftyp":
        size = min(struct.unpack_from(">I", data)[0], 256)
        brands = {data[place : place + 4] for place in range(8, size, 4)}
        if brands & {b"avif", b"avis"}:
            return "AVIF"
        if brands & {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}:
            return "HEIF"
    return None


def _decoded(data: bytes, kind: str, name: str, *, several: bool) -> list[tuple[npt.NDArray[np.generic], Metadata]]:
    """Pixels and metadata of each page as they are in the file, before it is set upright."""
    if kind == "TIFF":
        return tiff.decode(data, name, _check_size, several=several)
    return [_one_decoded(data, kind, name)]


def _one_decoded(data: bytes, kind: str, name: str) -> tuple[npt.NDArray[np.generic], Metadata]:
    if kind == "PNM":
        header = pnm.header(data)
        _check_size(header.width, header.height, name)
        mode = "1" if header.kind in (1, 4) else "RGB" if header.kind in (3, 6) else "L"
        return pnm.decode(data), Metadata(kind, mode)
    if kind == "PNG":
        png.refuse_bad_chunks(data, name)
        image = pillow.open_header(png.with_metadata_first(data), kind)
        _check_size(*image.size, name)
        metadata = pillow.metadata_of(image, kind)
        if data[24] < 16:
            return pillow.pixels_of(image), metadata
        deep = png.decode_16_bit(data)
        return deep, replace(metadata, mode=mode_of(deep))
    _refuse_high_bit_depth(data, kind, name)
    if kind == "AVIF" and not features.check("avif"):
        raise ImageFileError(f"{name} is an AVIF file, which this build of Pillow cannot read: save it as PNG.")
    try:
        image = pillow.open_header(data, kind)
    except ImportError:
        raise ImageFileError(f"{name} is a HEIC file: install nlrn[heic] to read it.") from None
    _check_size(*image.size, name)
    if getattr(image, "n_frames", 1) > 1:
        raise ImageFileError(f"{name} is animated: give its frames as single images.")
    pixels = pillow.pixels_of(image)
    lossless = kind == "BMP" or (kind == "WEBP" and b"VP8L" in data[12:64])
    return pixels, replace(pillow.metadata_of(image, kind), lossless=lossless)


def _refuse_high_bit_depth(data: bytes, kind: str, name: str) -> None:
    """AVIF and HEIC may hold 10 or 12 bits, of which their decoders here would keep 8 without a word."""
    box, byte, bits = {"AVIF": (b"av1C", 2, 0x40), "HEIF": (b"hvcC", 17, 0x07)}.get(kind, (b"", 0, 0))
    place = data.find(box) if box else -1
    if place >= 0 and data[place + 4 + byte : place + 5 + byte] and data[place + 4 + byte] & bits:
        raise ImageFileError(f"{name} has more than 8 bits, which are kept only in PNG and TIFF: convert it to one.")


def _check_size(width: int, height: int, name: str) -> None:
    if width * height > MAX_PIXELS:
        raise ImageFileError(_too_large(name, width * height))


def _too_large(name: str, pixels: int | None) -> str:
    count = f"{pixels / 1e6:.0f} megapixels" if pixels else "too many pixels"
    return f"{name} claims {count}, and at most {MAX_PIXELS // 10**6} are opened: cut it into parts."


def _upright(pixels: npt.NDArray[np.generic], metadata: Metadata) -> Picture:
    """The picture as it should be seen, and marked so."""
    how, dpi = exif.orientation(metadata.exif) if metadata.exif else 1, metadata.dpi
    upright = replace(
        metadata,
        exif=exif.upright(metadata.exif) if metadata.exif else None,
        xmp=exif.upright_xmp(metadata.xmp),
        dpi=(dpi[1], dpi[0]) if dpi and how >= 5 else dpi,
    )
    return Picture(exif.turn(pixels, how), upright)
