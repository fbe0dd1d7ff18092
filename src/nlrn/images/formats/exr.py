"""OpenEXR, through the optional package of that name. Only read."""

import io
from typing import Any

import numpy as np
import numpy.typing as npt

from nlrn.errors import needs
from nlrn.images.alpha import straight
from nlrn.images.formats.record import Format, Source
from nlrn.images.picture import ImageFileError, Metadata, Picture, mode_of

_SAMPLES = {"HALF": np.float16, "FLOAT": np.float32}


def _read(source: Source) -> list[Picture]:
    """float32, linear as it is stored; what is premultiplied there is divided by its alpha."""
    with needs("exr"):
        import OpenEXR
    file = OpenEXR.File(io.BytesIO(source.data), header_only=True)
    if len(file.parts) > 1:
        raise ImageFileError(f"{source.name} has several parts: save the one that is meant as a file of its own.")
    head: dict[str, Any] = file.header()
    low, high = head["dataWindow"]
    width, height = (int(high[axis]) - int(low[axis]) + 1 for axis in (0, 1))
    source.check(width, height)
    channels = {channel.name for channel in head["channels"]}
    for names in ("RGBA", "RGB", "YA", "Y"):
        if set(names) == channels:
            break
    else:
        raise ImageFileError(
            f"{source.name} has the channels {', '.join(sorted(channels))}: save R, G, B or Y, with A or without."
        )
    # the older of its two readers: the other prints what is wrong with a file, and goes on
    reader = OpenEXR.InputFile(io.BytesIO(source.data))
    try:
        kinds = {name: _SAMPLES[str(channel.type)] for name, channel in reader.header()["channels"].items()}
        planes = [np.frombuffer(reader.channel(name), kinds[name]).astype(np.float32) for name in names]
    finally:
        reader.close()
    planes = [plane.reshape(height, width) for plane in planes]
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
