"""Makes views of a picture for a screen: eight-bit RGB, the whole reduced or a part of it pixel by pixel."""

import io

import numpy as np
from PIL import Image

from nlrn.pixels.arrays import full_scale
from nlrn.pixels.range import Range

LONGEST = 2048
"""The longest side of what is shown at once; larger pictures are shown reduced by a whole number."""
_ROWS = 256


def shown(pixels: np.ndarray, longest: int = LONGEST, span: Range | None = None) -> tuple[np.ndarray, int]:
    """A picture [H, W] or [H, W, 1 to 4] of any kind as uint8 [h, w, 3], transparency on white, and its reduction.

    The last pixels stand for what is left where the reduction does not fit.

    Args:
        span: where black and white are; None: where the type has them.
    """
    span = span or Range(0.0, full_scale(pixels.dtype))
    height, width = pixels.shape[:2]
    factor = -(-max(width, height) // longest)
    bands = []
    for top in range(0, height, factor * _ROWS):  # in bands: a large picture is never in memory as a whole
        band = _eight_bit(np.asarray(pixels[top : top + factor * _ROWS]), span)
        bands.append(np.asarray(Image.fromarray(band).reduce(factor)) if factor > 1 else band)
    return np.concatenate(bands), factor


def _eight_bit(pixels: np.ndarray, span: Range) -> np.ndarray:
    """uint8 [h, w, 3]."""
    deep = pixels[..., None] if pixels.ndim == 2 else pixels
    if deep.shape[2] in (2, 4):
        alpha = _in_unit(deep[..., -1:], Range(0.0, full_scale(deep.dtype)))
        deep = np.floor((_in_unit(deep[..., :-1], span) * alpha + (1 - alpha)) * 255 + 0.5).astype(np.uint8)
    elif deep.dtype != np.uint8:
        deep = np.floor(_in_unit(deep, span) * 255 + 0.5).astype(np.uint8)
    return deep if deep.shape[2] == 3 else np.repeat(deep, 3, 2)


def _in_unit(pixels: np.ndarray, span: Range) -> np.ndarray:
    """float32 in [0, 1]; what is no number is black."""
    values = (pixels.astype(np.float32) - np.float32(span.black)) / np.float32(span.span)
    return np.asarray(np.nan_to_num(values, copy=False).clip(0, 1))


def png(pixels: np.ndarray) -> bytes:
    """uint8 [h, w, 3] as a file, without loss and quickly."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()
