"""Whole image files of every kind, the same damaged at random, and what becomes of them when they are opened.

    python tests/damaged_images.py SEED FIRST COUNT

opens some and prints a line for each; scripts/fuzz_images.py watches over many such processes.
"""

import io
import random
import resource
import struct
import sys
import warnings

import numpy as np
import tifffile
from PIL import Image

from nlrn import images
from nlrn.images import exif, photoshop
from nlrn.images.picture import TiffTag

MAX_PIXELS = 2**22
_EXTREMES = (0, 1, 2, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def whole_files() -> list[tuple[str, bytes]]:
    """Small files of every format, layout and kind of metadata: ending and contents."""
    rng = np.random.default_rng(0)
    block = Image.Exif()
    block[0x0112], block[0x010E] = 6, "a description"
    block.get_ifd(0x8769).update({0x829A: 0.01, 0xA002: 16, 0xA003: 12, 0x927C: b"notes of the camera"})
    told = images.Metadata(
        exif=exif.bare(block.tobytes()),
        xmp=b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><d tiff:Orientation="1"/></x:xmpmeta>',
        dpi=(300.0, 150.0),
        text=(("Comment", "a comment"), ("Title", "a title")),
        photoshop=photoshop.block(photoshop.IPTC, b"a caption"),
        chunks=(("gAMA", struct.pack(">I", 45455)),),
        tags=(TiffTag(33550, 12, 3, (1.0, 1.0, 0.0)), TiffTag(42113, 2, 0, "-9999")),
    )
    found = []
    for form in images.FORMATS:
        for ending in form.writable_endings[:1]:
            for channels in form.channels:
                for dtype in form.samples:
                    shape = (12, 16) if channels == 1 else (12, 16, channels)
                    pixels = (rng.random(shape) * (1 if dtype == "float32" else np.iinfo(dtype).max)).astype(dtype)
                    try:
                        data = images.encode_pages(f"x{ending}", [images.Picture(pixels, told)])
                    except images.ImageFileError as error:
                        if "nlrn[" not in str(error):  # an optional package that is not installed
                            raise
                    else:
                        found.append((ending, data))
    frames = [Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)) for _ in range(3)]
    for ending, name in ((".gif", "GIF"), (".png", "PNG"), (".webp", "WEBP"), (".avif", "AVIF"), (".tif", "TIFF")):
        file = io.BytesIO()
        frames[0].save(file, name, save_all=True, append_images=frames[1:], duration=50)
        found.append((ending, file.getvalue()))
    for name, ending, mode in (
        *(("PNG", ".png", mode) for mode in ("1", "P")),
        *(("TIFF", ".tif", mode) for mode in ("1", "P", "CMYK")),
        *(("JPEG", ".jpg", mode) for mode in ("CMYK",)),
        *(("BMP", ".bmp", mode) for mode in ("1", "P")),
        *(("JPEG2000", ".jp2", mode) for mode in ("L", "RGBA")),
    ):
        file = io.BytesIO()
        frames[0].convert(mode).save(file, name)
        found.append((ending, file.getvalue()))
    stack = rng.integers(0, 65536, (3, 12, 16), dtype=np.uint16)
    for options in (
        {"bigtiff": True, "byteorder": ">"},
        {"imagej": True},
        {"ome": True},
        {"truncate": True},
        {"tile": (16, 16), "compression": "zlib"},
    ):
        file = io.BytesIO()
        tifffile.imwrite(file, stack, photometric="minisblack", **options)  # type: ignore[arg-type]
        found.append((".tif", file.getvalue()))
    import cv2

    for ending, options in ((".tif", [cv2.IMWRITE_TIFF_COMPRESSION, 5]), (".hdr", []), (".jp2", [])):
        pixels = np.tile(stack[0], (6, 6)) if ending != ".hdr" else rng.random((12, 16, 3), np.float32)
        found.append((ending, cv2.imencode(ending, pixels, options)[1].tobytes()))
    found += [(".pnm", text) for text in (b"P1 3 2 1 0 1 0 1 0", b"P3 1 1 255 1 2 3", b"P5 2 1 #c\n4095\n\0\1\2\3")]
    try:
        import OpenEXR
        import pillow_jxl  # noqa: F401  # adds JPEG XL to Pillow

        file = io.BytesIO()
        frames[0].save(file, "JXL", lossless=True)
        found.append((".jxl", file.getvalue()))
        file = io.BytesIO()
        head = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
        OpenEXR.File(head, {"RGB": rng.random((12, 16, 3), np.float32)}).write(file)
        found.append((".exr", file.getvalue()))
    except ModuleNotFoundError:
        pass
    return found


def damaged(data: bytes, rng: random.Random) -> bytes:
    """The file with one to four things wrong with it."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(changed)) if changed else 0
        match rng.randrange(7):
            case 0:
                changed[place : place + 1] = bytes([rng.randrange(256)])
            case 1:
                changed[place : place + 1] = bytes([changed[place] ^ 1 << rng.randrange(8)]) if changed else b""
            case 2:  # a number of four bytes, of either order
                changed[place : place + 4] = struct.pack(rng.choice("<>") + "I", rng.choice(_EXTREMES))
            case 3:
                changed[place : place + 2] = struct.pack(rng.choice("<>") + "H", rng.choice(_EXTREMES) & 0xFFFF)
            case 4:
                del changed[place : place + rng.randint(1, 64)]
            case 5:
                start = rng.randrange(len(changed)) if changed else 0
                changed[place:place] = changed[start : start + rng.randint(1, 64)]
            case _:
                del changed[place:]
    return bytes(changed)


def case(files: list[tuple[str, bytes]], seed: int, number: int) -> tuple[str, bytes]:
    """The file of that number: its ending and its contents."""
    rng = random.Random(f"{seed} {number}")
    ending, data = files[rng.randrange(len(files))]
    return ending, damaged(data, rng)


def open_one(ending: str, data: bytes) -> str:
    """Open a file and write it again; "read", "refused" or what is wrong."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            pages = images.decode_pages(data, f"x{ending}", max_pixels=MAX_PIXELS)
    except images.ImageFileError as error:
        message = str(error)
        return "refused" if message.startswith(f"x{ending}") and "\n" not in message else f"odd sentence: {message}"
    except Exception as error:
        return f"{type(error).__name__} in reading: {error}"
    for page in pages:
        if page.pixels.dtype.name not in ("uint8", "uint16", "float32") or page.pixels.ndim not in (2, 3):
            return f"odd pixels: {page.pixels.dtype} of shape {page.pixels.shape}"
    try:
        for target in {images.writable_ending(ending), ".tif"}:
            images.encode_pages(f"y{target}", pages)
    except images.ImageFileError:
        return "read, not written again"
    except Exception as error:
        return f"{type(error).__name__} in writing: {error}"
    return "read"


def work(seed: int, first: int, count: int) -> None:
    """Open some files; one line for each, and at the end the bytes by which the process grew."""
    files = whole_files()
    for ending, data in files:
        open_one(ending, data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(first, first + count):
        print(number, open_one(*case(files, seed, number)), flush=True)
    print("grown", (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024, flush=True)


if __name__ == "__main__":
    work(*map(int, sys.argv[1:]))
