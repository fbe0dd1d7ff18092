"""Shared parts of the formats that Pillow reads and writes."""

import contextlib
import io
import threading
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile

from nlrn.images import cmyk, exif
from nlrn.images.formats.record import Source
from nlrn.images.limits import check_pages
from nlrn.images.picture import ImageFileError, Metadata, Picture

_warnings_lock = threading.Lock()


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Without Pillow's complaints about odd metadata. The filters are global, hence the lock."""
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def opened(plugin: type[ImageFile.ImageFile], data: bytes) -> ImageFile.ImageFile:
    """The file with its header read and no pixel decoded; raises what Pillow raises.

    The class itself, not Image.open: that one holds every image against a limit of its own, which is global, too low
    for a stitched panorama, and a warning before it is an error.
    """
    with quietly():
        return plugin(io.BytesIO(data))


def frames(image: ImageFile.ImageFile, source: Source, metadata: Metadata) -> list[Picture]:
    """The one picture of a file, or all frames of an animation with their timing.

    Raises ImageFileError where one picture is wanted and there are several, and what Pillow raises.
    """
    with quietly():
        count = int(getattr(image, "n_frames", 1))
    if count == 1:
        source.check(*image.size)
        return [Picture(pixels_of(image), metadata)]
    if not source.several:
        raise ImageFileError(f"{source.name} is animated: give its frames as single images.")
    check_pages(source.name, count)
    source.check(image.size[0], image.size[1] * count)
    found = []
    # the picture that viewers without animations show, where it is none of the frames
    first = int(bool(image.info.get("default_image")))
    for number in range(first, count):
        with quietly():
            image.seek(number)
        pixels = pixels_of(image)
        duration = float(image.info.get("duration") or 0)
        found.append((pixels, duration))
    # Pillow opens the first frame of some with fewer channels than it composes for the others
    channels = max(1 if pixels.ndim == 2 else pixels.shape[2] for pixels, _ in found)
    loop = int(image.info.get("loop", 1) or 0)
    return [
        Picture(_with_channels(pixels, channels), replace(metadata, duration=duration, loop=loop))
        for pixels, duration in found
    ]


def pixels_of(image: Image.Image) -> npt.NDArray[np.uint8]:
    """[H, W] or [H, W, 2 to 4]; a palette is looked up, a transparent colour made alpha, CMYK made sRGB.

    Raises what Pillow raises, and ValueError for a mode that is none of these.
    """
    with quietly():
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


def metadata_of(image: ImageFile.ImageFile, name: str) -> Metadata:
    """The metadata of the opened file, the orientation as it is in the file."""
    info = image.info
    dpi, xmp, comment = info.get("dpi"), info.get("xmp"), info.get("comment")
    if isinstance(comment, bytes):
        comment = comment.decode("utf-8", "surrogateescape")
    return Metadata(
        format=name,
        mode=image.mode,
        icc=info.get("icc_profile") or None,
        exif=exif.bare(info.get("exif")),
        xmp=xmp if isinstance(xmp, bytes) and xmp else None,
        dpi=(float(dpi[0]), float(dpi[1])) if dpi and min(dpi) > 0 else None,
        text=(("Comment", comment),) if isinstance(comment, str) and comment else (),
    )


def options_of(metadata: Metadata) -> dict[str, Any]:
    """Profile, EXIF and XMP as most of Pillow's writers take them."""
    options: dict[str, Any] = {}
    if metadata.icc:
        options["icc_profile"] = metadata.icc
    if metadata.exif:
        options["exif"] = b"Exif\0\0" + metadata.exif
    if metadata.xmp:
        options["xmp"] = metadata.xmp
    return options


def timing_of(pages: list[Picture], *, whole: bool = True) -> dict[str, Any]:
    """The further frames and the timing of an animation as Pillow's writers take them; nothing for one picture.

    Args:
        whole: the format counts in whole milliseconds.
    """
    if len(pages) == 1:
        return {}
    return {
        "save_all": True,
        "append_images": [Image.fromarray(page.pixels) for page in pages[1:]],
        "duration": [round(shown) if whole else shown for shown in (page.metadata.duration or 0 for page in pages)],
        "loop": pages[0].metadata.loop,
    }


def comment_of(metadata: Metadata) -> bytes | None:
    """The comment as bytes."""
    found = next((text for keyword, text in metadata.text if keyword == "Comment"), None)
    return None if found is None else found.encode("utf-8", "surrogateescape")


def saved(image: Image.Image, plugin: str, options: dict[str, Any]) -> bytes:
    """The file as bytes; raises what Pillow raises."""
    out = io.BytesIO()
    image.save(out, plugin, **options)
    return out.getvalue()


def _with_channels(pixels: npt.NDArray[np.uint8], channels: int) -> npt.NDArray[np.uint8]:
    """The pixels with so many channels, full alpha where they had none."""
    has = 1 if pixels.ndim == 2 else pixels.shape[2]
    if has == channels:
        return pixels
    image = Image.fromarray(pixels)
    return np.array(image.convert(("L", "LA", "RGB", "RGBA")[channels - 1]))
