"""What a screen shows of a picture: eight-bit RGB, the whole reduced or a part of it pixel by pixel."""

import io

import numpy as np
from PIL import Image

from nlrn.pixels.arrays import full_scale

LONGEST = 2048
"""The longest side of what is shown at once; larger pictures are shown reduced by a whole number."""
_ROWS = 256


def shown(pixels: np.ndarray, longest: int = LONGEST) -> tuple[np.ndarray, int]:
    """A picture [H, W] or [H, W, 1 to 4] of any kind as uint8 [h, w, 3], transparency on white, and its reduction.

    The last pixels stand for what is left where the reduction does not fit.
    """
    height, width = pixels.shape[:2]
    factor = -(-max(width, height) // longest)
    bands = []
    for top in range(0, height, factor * _ROWS):  # in bands: a large picture is never in memory as a whole
        band = _on_white(np.asarray(pixels[top : top + factor * _ROWS]))
        if factor > 1:
            rows, cols = np.arange(0, band.shape[0], factor), np.arange(0, width, factor)
            heights, widths = np.diff(rows, append=band.shape[0]), np.diff(cols, append=width)
            band = np.add.reduceat(np.add.reduceat(band, rows, 0), cols, 1)
            band /= (heights[:, None] * widths[None, :])[..., None]
        bands.append(np.floor(band * 255 + 0.5).astype(np.uint8))
    return np.concatenate(bands), factor


def _on_white(pixels: np.ndarray) -> np.ndarray:
    """float32 [h, w, 3] in [0, 1]."""
    deep = pixels[..., None] if pixels.ndim == 2 else pixels
    values = (deep.astype(np.float32) / np.float32(full_scale(pixels.dtype))).clip(0, 1)
    if values.shape[2] in (2, 4):
        values = values[..., :-1] * values[..., -1:] + (1 - values[..., -1:])
    return values if values.shape[2] == 3 else np.repeat(values, 3, 2)


def png(pixels: np.ndarray) -> bytes:
    """uint8 [h, w, 3] as a file, without loss and quickly."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()
