"""Arrays, Pillow images and tensors as one kind: pixels [H, W, C]; and pixels as the tensors that networks take."""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

AnyImage = TypeVar("AnyImage", np.ndarray, Image.Image, Tensor)


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
    """What white is. Raises ValueError for a dtype that images do not have."""
    if dtype in (np.uint8, np.uint16):
        return float(np.iinfo(dtype).max)
    if dtype.kind == "f":
        return 1.0
    raise ValueError(f"images must be uint8, uint16 or floating point in [0, 1], not {dtype}")


def in_units_of(dtype: np.dtype[Any], sigma: float | None) -> float | None:
    """A noise level where white is 255, in the units of images of a dtype; None stays None.

    >>> in_units_of(np.dtype(np.uint16), 25)
    6425.0
    """
    return None if sigma is None else sigma / 255 * full_scale(dtype)


def for_any(image: AnyImage, channel_axis: int | None, restored: Callable[[np.ndarray], np.ndarray]) -> AnyImage:
    """Apply what works on [H, W, C] to whatever kind of image came in."""
    if isinstance(image, Image.Image):
        return _for_pillow(image, restored)
    if isinstance(image, Tensor):
        return _for_tensor(image, restored)
    if not isinstance(image, np.ndarray):
        raise ValueError(f"an image is an array, a Pillow image or a tensor, not {type(image).__name__}")
    if image.ndim == 2 and channel_axis is None:
        return restored(image[..., None])[..., 0]
    if image.ndim != 3 or channel_axis is None:
        raise ValueError(
            f"an array of {image.ndim} dimensions needs to be [H, W], or 3-D with channel_axis saying which "
            f"axis holds the channels (-1 for [H, W, C]); got shape {image.shape}, channel_axis {channel_axis}"
        )
    last = np.moveaxis(image, channel_axis, -1)
    if last.shape[2] > 4 or 0 in last.shape:
        raise ValueError(f"an image has 1 to 4 channels and no side of 0; got shape {image.shape}")
    return np.moveaxis(restored(last), -1, channel_axis)


def _for_pillow(image: Image.Image, restored: Callable[[np.ndarray], np.ndarray]) -> Image.Image:
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    elif image.mode in ("1", "CMYK", "YCbCr", "HSV", "LAB"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    pixels = np.array(image)
    result = restored(pixels[..., None] if pixels.ndim == 2 else pixels)
    out = Image.fromarray(result[..., 0] if pixels.ndim == 2 else result)
    out.info = dict(image.info)
    return out


def _for_tensor(image: Tensor, restored: Callable[[np.ndarray], np.ndarray]) -> Tensor:
    if not image.is_floating_point() or image.dim() < 3 or image.shape[-3] not in (1, 3):
        raise ValueError(
            "a tensor must be floating point in [0, 1] and [..., C, H, W] with C 1 or 3; "
            f"got {image.dtype} {list(image.shape)}"
        )
    flat = image.detach().cpu().float().flatten(0, -4) if image.dim() > 3 else image.detach().cpu().float()[None]
    done = [torch.from_numpy(restored(one.permute(1, 2, 0).numpy())).permute(2, 0, 1) for one in flat]
    stacked = torch.stack(done).to(image)
    return stacked.reshape(*image.shape[:-2], *stacked.shape[-2:])
