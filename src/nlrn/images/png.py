"""PNG: written here for every mode and depth, so that no library squeezes 16 bits into 8 or drops a chunk.

Pillow knows no 16-bit colour and OpenCV no gray with alpha, no resolution and no text. Decoding 16 bit is
OpenCV's; 8 bit goes through Pillow.
"""

import struct
import zlib
from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt

from nlrn.images import threads
from nlrn.images.picture import ImageFileError, Metadata

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}
_ROWS = 128  # a piece of a photograph is then a few megabytes, and costs next to nothing in size
_METRE = 1 / 0.0254
_XMP_KEYWORD = "XML:com.adobe.xmp"


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


def decode_16_bit(data: bytes) -> npt.NDArray[np.uint16]:
    """The pixels of a 16-bit PNG, [H, W] or [H, W, 2 to 4]; ValueError where they cannot be decoded."""
    parts = dict.fromkeys((b"IHDR", b"tRNS"), b"")
    # The decoder sees the pixels only: it prints complaints about profiles that it then ignores.
    lean = bytearray(SIGNATURE)
    for name, content in chunks(data):
        if name in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"):
            lean += chunk(name, content)
        if name in parts:
            parts[name] = content
    colour_type = parts[b"IHDR"][9]
    found = cv2.imdecode(np.frombuffer(lean, np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None or found.dtype != np.uint16:
        raise ValueError("the pixels are damaged")
    pixels = np.asarray(found, np.uint16)
    if colour_type == 4:  # gray with alpha comes as B = G = R with alpha
        return np.ascontiguousarray(pixels[..., [0, 3]])
    if colour_type == 0 and parts[b"tRNS"]:
        key = struct.unpack(">H", parts[b"tRNS"][:2])[0]
        return np.stack([pixels, np.where(pixels == key, 0, 65535).astype(np.uint16)], -1)
    if pixels.ndim == 3:
        return np.ascontiguousarray(pixels[..., [2, 1, 0, 3][: pixels.shape[2]]])
    return pixels


def encode(pixels: npt.NDArray[np.generic], metadata: Metadata) -> bytes:
    """A PNG of the pixels, [H, W] or [H, W, 2 to 4], uint8 or uint16."""
    height, width = pixels.shape[:2]
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    depth = 8 * pixels.dtype.itemsize
    out = [SIGNATURE, chunk(b"IHDR", struct.pack(">IIBBxxx", width, height, depth, _COLOUR_TYPE[channels]))]
    if metadata.icc:
        out.append(chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.icc)))
    if metadata.dpi:
        out.append(chunk(b"pHYs", struct.pack(">IIB", *(round(dots * _METRE) for dots in metadata.dpi), 1)))
    if metadata.xmp:
        out.append(_text(_XMP_KEYWORD, metadata.xmp))
    out.extend(_text(keyword, text.encode()) for keyword, text in metadata.text)
    if metadata.exif:
        out.append(chunk(b"eXIf", metadata.exif))
    out.extend(chunk(b"IDAT", part) for part in _compressed(pixels, channels))
    out.append(chunk(b"IEND", b""))
    return b"".join(out)


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(content, zlib.crc32(name)))


def _text(keyword: str, text: bytes) -> bytes:
    """An international text chunk, not compressed, with no language."""
    return chunk(b"iTXt", keyword.encode("latin-1") + b"\0\0\0\0\0" + text)


def _compressed(pixels: npt.NDArray[np.generic], channels: int) -> Iterator[bytes]:
    """The filtered and deflated rows, in pieces that are made in parallel and continue one another."""
    step = channels * pixels.dtype.itemsize
    rows = pixels.reshape(pixels.shape[0], -1)

    def piece(top: int) -> tuple[bytes, int, int]:
        filtered = _filtered(rows, top, step)
        packer = zlib.compressobj(6, zlib.DEFLATED, -15)  # a bare stream, without header and checksum
        last = top + _ROWS >= len(rows)
        packed = packer.compress(filtered) + packer.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)
        return packed, zlib.adler32(filtered), len(filtered)

    yield b"\x78\x9c"
    low, high = 1, 0
    with threads.pool() as pool:
        for packed, checksum, size in pool.map(piece, range(0, len(rows), _ROWS)):
            # Adler-32 of what came so far and this piece, from those of both.
            high = (high + (low - 1) * size + (checksum >> 16)) % 65521
            low = (low + (checksum & 0xFFFF) - 1) % 65521
            yield packed
    yield struct.pack(">HH", high, low)


def _filtered(rows: npt.NDArray[np.generic], top: int, step: int) -> bytes:
    """Some rows from ``top`` on; each takes the filter with the least residuals."""
    # The row above the first one is empty.
    block = rows[max(top - 1, 0) : top + _ROWS]
    raw = np.ascontiguousarray(block.astype(block.dtype.newbyteorder(">"))).view(np.uint8)
    here = raw if top == 0 else raw[1:]
    up = np.concatenate([np.zeros_like(raw[:1]), here[:-1]]) if top == 0 else raw[:-1]
    left = np.pad(here[:, :-step], ((0, 0), (step, 0)))
    corner = np.pad(up[:, :-step], ((0, 0), (step, 0)))
    # The numbers are the format's names of the filters; 3, the average, hardly ever wins.
    residuals = {0: here, 1: here - left, 2: here - up, 4: here - _paeth(left, up, corner)}
    costs = [np.abs(r.view(np.int8).astype(np.int16)).sum(1, dtype=np.int64) for r in residuals.values()]
    best = np.argmin(costs, axis=0)
    filtered = np.empty((len(here), here.shape[1] + 1), np.uint8)
    for number, (name, residual) in enumerate(residuals.items()):
        filtered[best == number, 0] = name
        filtered[best == number, 1:] = residual[best == number]
    return filtered.tobytes()


def _paeth(
    left: npt.NDArray[np.uint8], up: npt.NDArray[np.uint8], corner: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint8]:
    """Of the three neighbours the one nearest to left + up - corner; ties go to left, then to up."""
    a, b, c = left.astype(np.int16), up.astype(np.int16), corner.astype(np.int16)
    to_left, to_up, to_corner = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
    return np.where((to_left <= to_up) & (to_left <= to_corner), left, np.where(to_up <= to_corner, up, corner))


def refuse_bad_chunks(data: bytes, name: str) -> None:
    """Raise ImageFileError unless every chunk is whole and there is one frame only."""
    try:
        for kind, content in chunks(data):
            if kind == b"acTL" and struct.unpack(">I", content[:4])[0] > 1:
                raise ImageFileError(f"{name} is animated: give its frames as single images.")
    except ValueError as error:
        raise ImageFileError(f"{name} is damaged ({error}): get a whole copy of it.") from None


def with_metadata_first(data: bytes) -> bytes:
    """The same file with every other chunk before the pixels, so that its header alone tells all metadata."""
    found = list(chunks(data))
    found.sort(key=lambda chunk: (chunk[0] != b"IHDR", chunk[0] in (b"IDAT", b"IEND"), chunk[0] == b"IEND"))
    return SIGNATURE + b"".join(chunk(name, content) for name, content in found)
