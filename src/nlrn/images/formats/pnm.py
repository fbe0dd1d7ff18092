"""The portable any-map formats: PBM, PGM and PPM, as text or binary, 8 or 16 bit."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nlrn.images.formats.record import Format, Options, Source
from nlrn.images.picture import Metadata, Picture

_NUMBER = rb"(?:\s|#[^\n]*\n)+(\d{1,9})"
_BITMAP = re.compile(rb"P[14]" + _NUMBER * 2 + rb"\s")
_OTHER = re.compile(rb"P[2356]" + _NUMBER * 3 + rb"\s")


@dataclass(frozen=True)
class Header:
    """The first line or lines of a file."""

    kind: int
    """1 to 6, the digit after the P: bitmap, gray, colour as text, then the same as bytes."""
    height: int
    width: int
    top: int
    """The value of white."""
    end: int
    """Where the pixels start in the file."""


def header(data: bytes) -> Header:
    """The header of a file; ValueError where it cannot be understood."""
    bitmap = data[1:2] in (b"1", b"4")
    found = (_BITMAP if bitmap else _OTHER).match(data)
    if found is None:
        raise ValueError("the header is incomplete")
    width, height, *top = map(int, found.groups())
    result = Header(int(data[1:2]), height, width, 1 if bitmap else top[0], found.end())
    if not (width and height and 1 <= result.top <= 65535):
        raise ValueError("the header makes no sense")
    return result


def decode(data: bytes) -> npt.NDArray[np.generic]:
    """The pixels [H, W] or [H, W, 3], uint8 or uint16; ValueError where the file is damaged.

    A white other than 255 or 65535 is stretched to the next of them, so that it stays white.
    """
    head = header(data)
    shape = (head.height, head.width, 3) if head.kind in (3, 6) else (head.height, head.width)
    count = int(np.prod(shape))
    values: npt.NDArray[np.generic]
    if head.kind == 1:  # the digits of a text bitmap need no blanks between them
        digits = np.frombuffer(data, np.uint8, offset=head.end)
        values = digits[(digits == ord("0")) | (digits == ord("1"))] - ord("0")
    elif head.kind in (2, 3):
        values = np.array(data[head.end :].split(None, count)[:count], np.uint32)
    elif head.kind == 4:
        stride = (head.width + 7) // 8
        packed = np.frombuffer(data[head.end : head.end + stride * head.height], np.uint8)
        values = np.unpackbits(packed[: packed.size // stride * stride].reshape(-1, stride), axis=1)
        values = values[:, : head.width].ravel()
    else:
        sample = np.dtype(np.uint8 if head.top < 256 else ">u2")
        raw = data[head.end : head.end + count * sample.itemsize]
        values = np.frombuffer(raw[: len(raw) // sample.itemsize * sample.itemsize], sample)
    if values.size < count:
        raise ValueError("the file ends early")
    values = values[:count].reshape(shape)
    if head.kind in (1, 4):
        return np.where(values, 0, 255).astype(np.uint8)  # a set bit is black
    full = 255 if head.top < 256 else 65535
    if head.top != full:
        values = (np.minimum(values, head.top).astype(np.float64) * (full / head.top)).round()
    return values.astype(np.uint8 if full == 255 else np.uint16)


def encode(pixels: npt.NDArray[np.generic]) -> bytes:
    """A binary PGM of [H, W], or PPM of [H, W, 3]; uint8 or uint16."""
    height, width = pixels.shape[:2]
    kind, top = (5 if pixels.ndim == 2 else 6), 255 if pixels.dtype == np.uint8 else 65535
    return f"P{kind}\n{width} {height}\n{top}\n".encode() + pixels.astype(pixels.dtype.newbyteorder(">")).tobytes()


def _read(source: Source) -> list[Picture]:
    head = header(source.data)
    source.check(head.width, head.height)
    mode = "1" if head.kind in (1, 4) else "RGB" if head.kind in (3, 6) else "L"
    return [Picture(decode(source.data), Metadata("PNM", mode))]


def _write(pages: Sequence[Picture], options: Options) -> bytes:
    pixels = pages[0].pixels
    if options.ending == ".ppm" and pixels.ndim == 2:
        pixels = np.stack([pixels] * 3, -1)
    return encode(pixels)


PNM = Format(
    name="PNM",
    endings=(".pnm", ".pgm", ".ppm", ".pbm"),
    matches=lambda head: head[:1] == b"P" and head[1:2] in [b"%d" % n for n in range(1, 7)] and head[2:3].isspace(),
    read=_read,
    write=_write,
    samples=("uint8", "uint16"),
    channels=(1, 3),
    read_only_endings=(".pbm",),
    gray_endings=(".pgm",),
    written_as=".pgm",
    loses={
        "float": "refused",
        "alpha": "refused",
        "extra": "refused",
        "pages": "refused",
        "frames": "refused",
        "CMYK": "becomes sRGB",
        **dict.fromkeys(
            ("ICC", "gAMA", "EXIF", "XMP", "IPTC", "comment", "text", "dpi", "density", "description", "GeoTIFF"),
            "lost",
        ),
    },
)
