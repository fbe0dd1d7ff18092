"""JPEG XL, through the optional packages pillow-jxl-plugin and, above 8 bits, imagecodecs. Only read."""

from dataclasses import replace

import numpy as np

from nlrn.errors import needs
from nlrn.images import exif
from nlrn.images.formats.boxes import boxes
from nlrn.images.formats.jpeg import JPEG
from nlrn.images.formats.record import Format, Source
from nlrn.images.picture import ImageFileError, Metadata, Picture, mode_of

_CONTAINER = b"\0\0\0\x0cJXL \r\n\x87\n"
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "I;16": 1, "F": 1}


def _read(source: Source) -> list[Picture]:
    told = list(boxes(source.data)) if source.data.startswith(_CONTAINER) else []
    stream = b"".join(
        content[4:] if name == b"jxlp" else content for name, content in told if name in (b"jxlc", b"jxlp")
    )
    width, height, bits, animated = _head(stream or source.data)
    source.check(width, height)
    if animated:
        raise ImageFileError(f"{source.name} is animated: give its frames as single images.")
    with needs("jxl"):
        import pillow_jxl

        if bits > 8:
            import imagecodecs
    rebuilt, info, data, icc, _ = pillow_jxl.Decoder()(source.data)
    if bits > 8:
        pixels = np.asarray(imagecodecs.jpegxl_decode(source.data))
    elif rebuilt:  # it holds a JPEG, which comes out as a file
        return _inside(source, bytes(data))
    else:
        channels = _CHANNELS[info.mode]
        pixels = np.frombuffer(data, np.uint8).reshape(info.height, info.width, channels)
        pixels = pixels[..., 0] if channels == 1 else pixels
    block = next((content for name, content in told if name == b"Exif"), b"")
    metadata = Metadata(
        format="JPEGXL",
        mode=mode_of(pixels),
        icc=bytes(icc) if icc else None,
        exif=exif.bare(block[4:]) or exif.bare(block),  # some writers leave the four bytes before it out
        xmp=next((content for name, content in told if name == b"xml "), None),
        lossless=False,
    )
    return [Picture(np.ascontiguousarray(pixels), metadata)]


def _inside(source: Source, jpeg: bytes) -> list[Picture]:
    """The picture of a JPEG that was packed without loss, with what the JPEG says."""
    found = JPEG.read(replace(source, data=jpeg))
    return [Picture(page.pixels, replace(page.metadata, format="JPEGXL")) for page in found]


class _Bits:
    """Bits from the lowest of the first byte on."""

    def __init__(self, data: bytes) -> None:
        self.value, self.left = int.from_bytes(data, "little"), 8 * len(data)

    def take(self, count: int) -> int:
        if count > self.left:
            raise ValueError("the file ends early")
        taken = self.value & ((1 << count) - 1)
        self.value >>= count
        self.left -= count
        return taken

    def choice(self, *of: tuple[int, int]) -> int:
        """One of four numbers: an offset and so many bits."""
        offset, count = of[self.take(2)]
        return offset + self.take(count)


def _head(stream: bytes) -> tuple[int, int, int, bool]:
    """Width, height, bits of a sample and whether it is animated, from the head of a codestream."""
    if stream[:2] != b"\xff\x0a":
        raise ValueError("its head is damaged")
    bits = _Bits(stream[2:64])
    width, height = _size(bits)
    if bits.take(1):
        return width, height, 8, False
    sideways = animated = False
    if bits.take(1):
        sideways = bits.take(3) >= 4
        if bits.take(1):  # a size that it should be shown at
            _size(bits)
        if bits.take(1):
            raise ValueError("a preview in it is not supported")
        animated = bool(bits.take(1))
    if animated:
        return width, height, 8, True
    floating = bits.take(1)
    if floating:
        depth = bits.choice((32, 0), (16, 0), (24, 0), (1, 6))
    else:
        depth = bits.choice((8, 0), (10, 0), (12, 0), (1, 6))
    return (height, width, depth, False) if sideways else (width, height, depth, False)


def _size(bits: _Bits) -> tuple[int, int]:
    """Width and height."""
    small = bits.take(1)

    def side() -> int:
        return 8 * (1 + bits.take(5)) if small else 1 + bits.choice((0, 9), (0, 13), (0, 18), (0, 30))

    height = side()
    ratio = bits.take(3)
    if not ratio:
        return side(), height
    across, down = _RATIOS[ratio - 1]
    return height * across // down, height


JPEGXL = Format(
    name="JPEGXL",
    endings=(".jxl",),
    matches=lambda head: head.startswith((_CONTAINER, b"\xff\x0a")),
    read=_read,
    turned=True,
    written_as=".png",
)
