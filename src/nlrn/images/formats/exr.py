"""OpenEXR, through the optional package of that name. Only read."""

import io
from typing import Any

import numpy as np
import numpy.typing as npt

from nlrn.errors import needs
from nlrn.images.alpha import straight
from nlrn.images.formats.record import Format, Source
from nlrn.images.picture import ImageFileError, Metadata, Picture, mode_of


def _read(source: Source) -> list[Picture]:
    """float32, linear as it is stored; what is premultiplied there is divided by its alpha."""
    with needs("exr"):
        import OpenEXR
    head: dict[str, Any] = OpenEXR.File(io.BytesIO(source.data), header_only=True).header()
    low, high = head["dataWindow"]
    width, height = (int(high[axis]) - int(low[axis]) + 1 for axis in (0, 1))
    source.check(width, height)
    with OpenEXR.File(io.BytesIO(source.data), separate_channels=True) as file:
        if len(file.parts) > 1:
            raise ImageFileError(f"{source.name} has several parts: save the one that is meant as a file of its own.")
        channels = {name: channel.pixels for name, channel in file.channels().items()}
    for names in ("RGBA", "RGB", "YA", "Y"):
        if set(names) == set(channels):
            break
    else:
        raise ImageFileError(
            f"{source.name} has the channels {', '.join(sorted(channels))}: save R, G, B or Y, with A or without."
        )
    if any(
        getattr(plane, "shape", None) != (height, width) or plane.dtype.kind != "f" for plane in channels.values()
    ):
        raise ValueError("its pixels are missing")
    planes = [np.asarray(channels[name], np.float32) for name in names]
    pixels: npt.NDArray[np.generic] = planes[0] if len(planes) == 1 else np.stack(planes, -1)
    if not np.isfinite(pixels).all():
        raise ImageFileError(f"{source.name} contains NaN or infinite values: replace them by numbers.")
    if names.endswith("A"):
        pixels = straight(pixels, 1.0, bounded=False)
    return [Picture(pixels, Metadata(format="EXR", mode=mode_of(pixels)))]


EXR = Format(
    name="EXR",
    endings=(".exr",),
    matches=lambda head: head.startswith(b"\x76\x2f\x31\x01"),
    read=_read,
    written_as=".tif",
)
