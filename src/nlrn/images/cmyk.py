"""Printing inks: restored as sRGB, and taken back to the inks of the same profile."""

import io

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

_INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC
_FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION


def to_srgb(image: Image.Image, profile: bytes | None) -> npt.NDArray[np.uint8]:
    """[H, W, 3] of a CMYK image: through its profile, or by (1 - ink)(1 - black) where none can be used."""
    inks = _profile(profile)
    if inks is not None:
        try:
            converted = ImageCms.profileToProfile(image, inks, _srgb(), _INTENT, "RGB", flags=_FLAGS)
        except ImageCms.PyCMSError:  # damaged inside
            converted = None
        if converted is not None:
            return np.array(converted)
    return np.array(image.convert("RGB"))


def leads_back(profile: bytes | None) -> bool:
    """Whether sRGB can be taken to the inks of the profile; without a profile it can.

    Those of scanners and proofs lead from inks to colours only.
    """
    if profile is None:
        return True
    try:
        from_srgb(np.zeros((1, 1, 3), np.uint8), profile)
    except ImageCms.PyCMSError:
        return False
    return True


def from_srgb(pixels: npt.NDArray[np.generic], profile: bytes | None) -> Image.Image:
    """The CMYK image of [H, W, 3] sRGB: through the profile, or with all that the inks share as black.

    Raises:
        ImageCms.PyCMSError: the profile does not lead back.
    """
    inks = _profile(profile)
    if inks is not None:
        converted = ImageCms.profileToProfile(Image.fromarray(pixels), _srgb(), inks, _INTENT, "CMYK", flags=_FLAGS)
        assert converted is not None  # it is None only for a conversion in place
        return converted
    light = pixels.astype(np.float32).max(2, keepdims=True)
    ink = 255 * (light - pixels.astype(np.float32)) / np.maximum(light, 1)
    return Image.fromarray(np.concatenate([ink, 255 - light], 2).round().astype(np.uint8), "CMYK")


def _profile(data: bytes | None) -> ImageCms.ImageCmsProfile | None:
    """The profile, if it is one of inks that can be read."""
    if data is None or data[16:20] != b"CMYK":
        return None
    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(data))
    except OSError:
        return None


def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
