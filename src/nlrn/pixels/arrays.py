"""Pixels whose white is that of their type, as the tensors that networks take; their colours."""

from typing import Any

import numpy as np
import torch
from torch import Tensor


def to_tensor(pixels: np.ndarray) -> Tensor:
    """[H, W, C] of any dtype to float32 [C, H, W] in [0, 1]."""
    scaled = pixels.astype(np.float32) / np.float32(full_scale(pixels.dtype))
    return torch.from_numpy(scaled).permute(2, 0, 1)


def to_pixels(tensor: Tensor, dtype: np.dtype[Any]) -> np.ndarray:
    """[C, H, W] in [0, 1] to [H, W, C]: integers are clipped and rounded, floats stay as they are."""
    values = tensor.permute(1, 2, 0).numpy()
    if dtype.kind == "f":
        return values.astype(dtype)
    full = full_scale(dtype)
    return np.floor(values.clip(0, 1) * full + 0.5).astype(dtype)


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


def are_same(some: np.ndarray, others: np.ndarray) -> bool:
    """Whether two arrays hold the same numbers; NaN is as NaN."""
    return np.array_equal(some, others, equal_nan=some.dtype.kind == "f")
