"""What Pillow reads and writes well: the 8-bit formats."""

import contextlib
import io
import threading
import warnings
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from nlrn.images import cmyk, exif, heif
from nlrn.images.picture import Metadata

# The classes themselves, not Image.open: that one holds every image against a limit of its own, which is
# global, too low for a stitched panorama, and a warning before it is an error.
_PLUGINS: dict[str, type[ImageFile.ImageFile]] = {
    "AVIF": AvifImagePlugin.AvifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
}
_warnings_lock = threading.Lock()


def open_header(data: bytes, kind: str) -> ImageFile.ImageFile:
    """The file with its header read and no pixel decoded; raises what Pillow raises."""
    with _quietly():
        return heif.plugin()(io.BytesIO(data)) if kind == "HEIF" else _PLUGINS[kind](io.BytesIO(data))


def turn_to(image: ImageFile.ImageFile, page: int) -> None:
    """Go on to a page of a TIFF, counted from 0, and read its header; raises what Pillow raises."""
    with _quietly():
        if page != image.tell():
            image.info.clear()  # a page without a profile would be given that of the one before
            image.seek(page)


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Without Pillow's complaints about odd metadata. The filters are global, hence the lock."""
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def pixels_of(image: Image.Image) -> npt.NDArray[np.uint8]:
    """[H, W] or [H, W, 2 to 4]; a palette is looked up, a transparent colour made alpha, CMYK made sRGB.

    Raises what Pillow raises, and ValueError for a mode that is none of these.
    """
    with _quietly():
        image.load()
    mode = image.mode
    if mode == "CMYK":
        return cmyk.to_srgb(image, image.info.get("icc_profile"))
    if mode in ("P", "PA"):
        if image.has_transparency_data:
            return np.array(image.convert("RGBA"))
        colours = np.array(image.convert("RGB"))
        gray = bool((colours == colours[..., :1]).all())
        return np.ascontiguousarray(colours[..., 0]) if gray else colours
    if mode not in ("1", "L", "LA", "RGB", "RGBA", "RGBX", "YCbCr"):
        raise ValueError(f"pixels of mode {mode} are not supported")
    wanted = "L" if mode in ("1", "L", "LA") else "RGB"
    if image.has_transparency_data:
        wanted += "A"
    return np.array(image if mode == wanted else image.convert(wanted))


def metadata_of(image: ImageFile.ImageFile, kind: str) -> Metadata:
    """What the opened file says besides its pixels, the orientation as it is in the file."""
    info = image.info
    block = info.get("exif")
    if kind == "PNG":
        for name in ("Raw profile type exif", "Raw profile type APP1"):  # how ImageMagick used to write it
            if block is None and name in info:
                block = bytes.fromhex("".join(str(info[name]).split("\n")[3:]))
    text: tuple[tuple[str, str], ...] = ()
    if isinstance(image, PngImagePlugin.PngImageFile):
        text = tuple(
            (key, str(value))
            for key, value in image.text.items()
            if key != "XML:com.adobe.xmp" and not key.startswith("Raw profile type")
        )
    dpi = info.get("dpi")
    xmp = info.get("xmp")
    return Metadata(
        format=kind,
        mode=image.mode,
        icc=info.get("icc_profile") or None,
        exif=exif.bare(block),
        xmp=xmp if isinstance(xmp, bytes) and xmp else None,
        dpi=(float(dpi[0]), float(dpi[1])) if dpi and min(dpi) > 0 else None,
        text=text,
        quality=_fine_quality(image) if isinstance(image, JpegImagePlugin.JpegImageFile) else None,
    )


def encode(pixels: npt.NDArray[np.generic], kind: str, metadata: Metadata, quality: int | None) -> bytes:
    """The file as bytes; ``kind`` is any but PNG, TIFF and PNM, the pixels uint8. Raises what Pillow raises.

    A lossy file is written so finely that a clean picture stays above 45 dB: at the usual 95, at 98 in WebP (which
    always halves the resolution of colour), and as finely as it came where that is finer.
    """
    image = Image.fromarray(pixels)
    if kind == "JPEG" and metadata.mode == "CMYK":
        image = cmyk.from_srgb(pixels, metadata.icc)
    options: dict[str, Any] = {}
    if metadata.dpi and kind in ("JPEG", "BMP"):
        options["dpi"] = metadata.dpi
    if kind != "BMP":
        usual = 98 if kind == "WEBP" else metadata.quality or 95
        options["quality"] = usual if quality is None else quality
        if metadata.icc:
            options["icc_profile"] = metadata.icc
        if metadata.exif:
            options["exif"] = b"Exif\0\0" + metadata.exif
        if metadata.xmp:
            options["xmp"] = metadata.xmp
    if kind == "JPEG":
        options["subsampling"] = 0
    elif kind == "AVIF":
        options["subsampling"] = "4:4:4"
    elif kind == "WEBP" and (quality == 100 or (quality is None and metadata.lossless)):
        options.update(lossless=True, exact=True, quality=75)  # here the quality is the effort, not the loss
    out = io.BytesIO()
    if kind == "HEIF":
        heif.save(image, out, **options)
    else:
        image.save(out, kind, **options)
    return out.getvalue()


def _fine_quality(image: JpegImagePlugin.JpegImageFile) -> int | None:
    """The quality, 96 to 100, whose steps of brightness are in the mean no coarser than the file's."""
    steps = sum(image.quantization.get(0, ()))
    if steps >= _sum_of_steps(95):
        return None
    return next((quality for quality in range(96, 100) if _sum_of_steps(quality) <= steps), 100)


@lru_cache
def _sum_of_steps(quality: int) -> int:
    """The sum of the first quantization table that the JPEG library makes for a quality."""
    file = io.BytesIO()
    Image.new("L", (8, 8)).save(file, "JPEG", quality=quality)
    return sum(JpegImagePlugin.JpegImageFile(io.BytesIO(file.getvalue())).quantization[0])


def without_profile_of_other_kind(metadata: Metadata, channels: int) -> Metadata:
    """The metadata less an ICC profile that would be wrong for pixels of so many channels."""
    space = (metadata.icc or b"")[16:20]
    fits = space == b"RGB " if channels >= 3 else space in (b"GRAY", b"RGB ")
    return metadata if fits else replace(metadata, icc=None)
