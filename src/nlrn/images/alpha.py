"""Colour that was multiplied by its alpha."""

import numpy as np
import numpy.typing as npt


def straight(pixels: npt.NDArray[np.generic], full: float, *, bounded: bool = True) -> npt.NDArray[np.generic]:
    """The pixels [H, W, C] with their colour divided by alpha, which is the channel behind it.

    Args:
        full: the alpha of what is not transparent.
        bounded: colours end there too.

    >>> straight(np.array([[[64, 128]]], np.uint8), 255.0)
    array([[[127, 128]]], dtype=uint8)
    """
    colours = 1 if pixels.shape[2] < 3 else 3
    colour = pixels[..., :colours].astype(np.float32)
    alpha = pixels[..., colours : colours + 1].astype(np.float32) / np.float32(full)
    divided = np.divide(colour, alpha, out=np.zeros_like(colour), where=alpha > 0)
    if bounded:
        divided = np.minimum(divided, np.float32(full))
    result = pixels.copy()
    result[..., :colours] = divided if pixels.dtype.kind == "f" else divided.round()
    return result
