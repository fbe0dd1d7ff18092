"""PNG: Pillow decodes 8 bits, OpenCV 16; OpenCV compresses, and the other chunks are put together here.

Pillow knows no 16-bit colour; OpenCV no gray with alpha, no resolution and no text. Neither keeps the chunks that say
what the colours mean, and Pillow refuses texts and profiles of more than a megabyte.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, PngImagePlugin

from nlrn.images import exif, photoshop
from nlrn.images.formats import opencv, pillow
from nlrn.images.formats.record import Format, Options, Source
from nlrn.images.limits import MAX_METADATA
from nlrn.images.picture import ImageFileError, Metadata, Picture, mode_of

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_METRE = 1 / 0.0254
_XMP_KEYWORD = "XML:com.adobe.xmp"
_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"acTL", b"fcTL", b"fdAT")
_COLOURS = ("gAMA", "cHRM", "sRGB", "cICP", "mDCV", "cLLI")
_BESIDE = ("tIME", "sBIT", "bKGD", "oFFs")
_DEFLATE = 3  # of OpenCV: four times as fast as 6, and no larger for photographs with grain


def chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of each chunk; ValueError where the file ends early or a checksum is wrong."""
    place = len(SIGNATURE)
    name = b""
    while name != b"IEND":
        if place + 12 > len(data):
            raise ValueError("the file ends early")
        size, name = struct.unpack_from(">I4s", data, place)
        content = data[place + 8 : place + 8 + size]
        if len(content) < size or place + 12 + size > len(data):
            raise ValueError("the file ends early")
        if zlib.crc32(content, zlib.crc32(name)) != struct.unpack_from(">I", data, place + 8 + size)[0]:
            raise ValueError("a checksum is wrong")
        yield name, content
        place += 12 + size


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(content, zlib.crc32(name)))


def _read(source: Source) -> list[Picture]:
    try:
        found = list(chunks(source.data))
    except ValueError as error:
        raise ImageFileError(f"{source.name} is damaged ({error}): get a whole copy of it.") from None
    # The decoders see the pixels only: they complain about other chunks, or refuse large ones.
    lean = SIGNATURE + b"".join(chunk(name, content) for name, content in found if name in _PIXELS)
    image = pillow.opened(PngImagePlugin.PngImageFile, lean)
    source.check(*image.size)
    metadata = _metadata(found, image.mode)
    if source.data[24] < 16:
        return pillow.frames(image, source, metadata)
    if getattr(image, "n_frames", 1) > 1:
        raise ImageFileError(f"{source.name} is animated with 16 bits: give its frames as single images.")
    pixels = _16_bit(lean, found)
    return [Picture(pixels, replace(metadata, mode=mode_of(pixels)))]


def _16_bit(lean: bytes, found: Sequence[tuple[bytes, bytes]]) -> npt.NDArray[np.uint16]:
    """[H, W] or [H, W, 2 to 4]; ValueError where the pixels cannot be decoded."""
    parts = dict(found)
    pixels = np.asarray(opencv.decoded(lean))
    if pixels.dtype != np.uint16:
        raise ValueError("the pixels are damaged")
    colour_type = parts[b"IHDR"][9]
    if colour_type == 4:  # gray with alpha comes as B = G = R with alpha
        return np.ascontiguousarray(pixels[..., [0, 3]])
    if colour_type == 0 and b"tRNS" in parts:
        key = struct.unpack(">H", parts[b"tRNS"][:2])[0]
        return np.stack([pixels, np.where(pixels == key, 0, 65535).astype(np.uint16)], -1)
    return np.ascontiguousarray(pixels)


def _metadata(found: Sequence[tuple[bytes, bytes]], mode: str) -> Metadata:
    """The metadata in the chunks; those that cannot be understood are passed over."""
    icc = block = xmp = resources = dpi = density = None
    text: list[tuple[str, str]] = []
    kept: list[tuple[str, bytes]] = []
    room = MAX_METADATA
    for name, content in found:
        if name == b"iCCP":
            icc = _inflated(content.partition(b"\0")[2][1:], room) or None
        elif name == b"eXIf":
            block = block or exif.bare(content)
        elif name == b"pHYs" and len(content) == 9:
            x, y, unit = struct.unpack(">IIB", content)
            if x and y and unit == 1:
                dpi = (x / _METRE, y / _METRE)
            elif x and y:
                density = (float(x), float(y))
        elif name in (b"tEXt", b"zTXt", b"iTXt"):
            keyword, value = _text_of(name, content, room)
            room = max(room - len(value), 0)
            profile = _raw_profile(value) if keyword.startswith("Raw profile type ") else b""
            if keyword == _XMP_KEYWORD:
                xmp = value or None
            elif keyword in ("Raw profile type exif", "Raw profile type APP1"):
                block = block or exif.bare(profile)
            elif keyword in ("Raw profile type iptc", "Raw profile type 8bim"):
                resources = photoshop.kept(profile if profile[:4] == b"8BIM" else b"")
                if resources is None and profile:
                    resources = photoshop.block(photoshop.IPTC, profile)
            elif not profile and keyword:
                text.append((keyword, value.decode("utf-8" if name == b"iTXt" else "latin-1", "replace")))
        elif name == b"IHDR":
            kept.append(("IHDR", content[8:10]))
        elif name.decode("latin-1") in (*_COLOURS, *_BESIDE):
            kept.append((name.decode("latin-1"), content))
    return Metadata(
        format="PNG",
        mode=mode,
        icc=icc,
        exif=block,
        xmp=xmp,
        dpi=dpi,
        density=density,
        text=tuple(text),
        photoshop=resources,
        chunks=tuple(kept) if len(kept) > 1 else (),
    )


def _text_of(name: bytes, content: bytes, room: int) -> tuple[str, bytes]:
    """Keyword and text; both empty where they are damaged, or longer than there is room."""
    keyword, _, rest = content.partition(b"\0")
    packed = name == b"zTXt"
    if name == b"iTXt":
        packed = rest[:1] == b"\1"
        rest = rest[2:].split(b"\0", 2)[-1] if rest[2:].count(b"\0") >= 2 else b""
    elif packed:
        rest = rest[1:]
    return keyword.decode("latin-1"), _inflated(rest, room) if packed else rest


def _inflated(packed: bytes, room: int) -> bytes:
    """The content; empty where it is damaged, or larger than there is room."""
    if room <= 0:  # which the decoder takes for no limit
        return b""
    inflator = zlib.decompressobj()
    try:
        content = inflator.decompress(packed, room)
    except zlib.error:
        return b""
    return content if inflator.eof else b""


def _raw_profile(value: bytes) -> bytes:
    """The bytes that ImageMagick and ExifTool keep as text: a name, a length, hexadecimal digits."""
    parts = value.strip().split(b"\n", 2)
    try:
        return bytes.fromhex(parts[2].decode("ascii")) if len(parts) == 3 else b""
    except ValueError:
        return b""


def _write(pages: Sequence[Picture], options: Options) -> bytes:
    pages = list(pages)
    metadata = pages[0].metadata
    if len(pages) == 1:
        head, body = _compressed(pages[0].pixels)
    else:
        data = pillow.saved(Image.fromarray(pages[0].pixels), "PNG", pillow.timing_of(pages, whole=False))
        head, *rest = (chunk(name, content) for name, content in chunks(data))
        body = b"".join(rest)
    # depth and kind of colour stand behind name, length, width and height
    return b"".join([SIGNATURE, head, *_described(metadata, head[16:18]), body])


def _described(metadata: Metadata, kind: bytes) -> Iterator[bytes]:
    """The chunks that come before pixels of that depth and kind of colour."""
    if metadata.icc:
        yield chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.icc))
    for name, content in metadata.chunks:
        of_these_pixels = name in ("sBIT", "bKGD") and ("IHDR", kind) in metadata.chunks
        if of_these_pixels or name in ("tIME", "oFFs", *_COLOURS):
            yield chunk(name.encode(), content)
    if metadata.dpi:
        yield chunk(b"pHYs", struct.pack(">IIB", *(round(dots * _METRE) for dots in metadata.dpi), 1))
    elif metadata.density:
        yield chunk(b"pHYs", struct.pack(">IIB", *(round(dots) for dots in metadata.density), 0))
    if metadata.xmp:
        yield _text(_XMP_KEYWORD, metadata.xmp)
    for keyword, text in metadata.text:
        yield _text(keyword, text.encode("utf-8", "replace"))
    if metadata.photoshop:
        digits = metadata.photoshop.hex()
        lines = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
        yield _text("Raw profile type iptc", f"\niptc\n{len(metadata.photoshop):8}\n{lines}\n".encode())
    if metadata.exif:
        yield chunk(b"eXIf", metadata.exif)


def _text(keyword: str, text: bytes) -> bytes:
    """An international text chunk, not compressed, with no language."""
    return chunk(b"iTXt", keyword.encode("latin-1", "replace") + b"\0\0\0\0\0" + text)


def _compressed(pixels: npt.NDArray[np.generic]) -> tuple[bytes, bytes]:
    """The first chunk, and those of the pixels with the last."""
    if pixels.ndim == 3 and pixels.shape[2] == 2:
        return _gray_with_alpha(pixels)
    import cv2

    theirs: Any = pixels if pixels.ndim == 2 else pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]
    done, data = cv2.imencode(".png", theirs, [cv2.IMWRITE_PNG_COMPRESSION, _DEFLATE])
    if not done:
        raise ValueError("OpenCV cannot encode it")
    head, *rest = (
        chunk(name, content) for name, content in chunks(data.tobytes()) if name in (b"IHDR", b"IDAT", b"IEND")
    )
    return head, b"".join(rest)


def _gray_with_alpha(pixels: npt.NDArray[Any]) -> tuple[bytes, bytes]:
    """The same for a kind that OpenCV does not write: each byte less that of the pixel before it, deflated."""
    height, width = pixels.shape[:2]
    raw = np.ascontiguousarray(pixels.astype(pixels.dtype.newbyteorder(">"))).view(np.uint8).reshape(height, -1)
    step = 2 * pixels.dtype.itemsize
    rows = np.ones((height, raw.shape[1] + 1), np.uint8)  # the first byte of each row names the filter
    rows[:, 1 : 1 + step] = raw[:, :step]
    rows[:, 1 + step :] = raw[:, step:] - raw[:, :-step]
    head = chunk(b"IHDR", struct.pack(">IIBBxxx", width, height, 8 * pixels.dtype.itemsize, 4))
    return head, chunk(b"IDAT", zlib.compress(rows.tobytes())) + chunk(b"IEND", b"")


PNG = Format(
    name="PNG",
    endings=(".png", ".apng"),
    matches=lambda head: head.startswith(SIGNATURE),
    read=_read,
    write=_write,
    samples=("uint8", "uint16"),
    holds_frames=True,
    loses={
        "float": "refused",
        "extra": "refused",
        "pages": "refused",
        "CMYK": "becomes sRGB",
        "description": "lost",
        "GeoTIFF": "lost",
    },
)
