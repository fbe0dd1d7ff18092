"""What the pixels of an image are: their colours, and what white is by their type alone."""

from typing import Any

import numpy as np


def colours_of(pixels: np.ndarray) -> int:
    """1 for gray and 3 for RGB, with or without transparency: what [H, W] or [H, W, C] shows."""
    return 1 if pixels.ndim == 2 or pixels.shape[2] <= 2 else 3


def full_scale(dtype: np.dtype[Any]) -> float:
    """White by the type alone. Raises ValueError for a type that says nothing of it."""
    if dtype.newbyteorder("=") in (np.uint8, np.uint16):
        return float(np.iinfo(dtype).max)
    if dtype.kind == "f":
        return 1.0
    if dtype.kind in "iu":
        raise ValueError(
            f"where is white? images are uint8, uint16 or floating point in [0, 1]; for {dtype} say data_range=WHITE "
            "or data_range=(BLACK, WHITE)"
        )
    raise ValueError(f"images must be uint8, uint16, floating point or other integers with data_range, not {dtype}")


def in_units_of(dtype: np.dtype[Any], sigma: float | None) -> float | None:
    """A noise level where white is 255, in the units of images whose white is that of their type; None stays None.

    >>> in_units_of(np.dtype(np.uint16), 25)
    6425.0
    """
    return None if sigma is None else sigma / 255 * full_scale(dtype)
