"""Arrays, Pillow images, tensors and whatever can become an array, as one kind: pixels [H, W, C]; and back."""

import os
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageCms
from torch import Tensor

Kind = TypeVar("Kind", bound="np.ndarray | Image.Image | Tensor")

Restored = Callable[[np.ndarray, "np.ndarray | None"], np.ndarray]
"""Makes a restored [H, W, C] of pixels [H, W, C] and the mask [H, W] of those that hold nothing, if any."""

_STRAIGHT = {"La": "LA", "RGBa": "RGBA"}
_AS_RGB = ("CMYK", "YCbCr", "HSV", "RGBX")


def for_any(
    image: Any, channel_axis: int | None, restored: Restored, *, stack_axis: int | None = None
) -> "np.ndarray | Image.Image | Tensor":
    """Apply what works on [H, W, C] to whatever kind of image came in.

    Raises:
        ValueError: it is no image, or its axes do not fit.
    """
    if isinstance(image, (Image.Image, Tensor)):
        if channel_axis is not None or stack_axis is not None:
            kind = "a Pillow image" if isinstance(image, Image.Image) else "a tensor [..., C, H, W]"
            raise ValueError(f"the axes of {kind} are known: leave out channel_axis and stack_axis")
        return _for_pillow(image, restored) if isinstance(image, Image.Image) else _for_tensor(image, restored)
    if isinstance(image, (str, bytes, os.PathLike)):
        raise ValueError(f"{image!r} is the name of a file, not an image: open it first, as with PIL.Image.open")
    if image is None or isinstance(image, dict):
        raise ValueError(f"an image is an array, a Pillow image or a tensor, not {type(image).__name__}")
    try:
        array = np.ma.asarray(image) if isinstance(image, np.ma.MaskedArray) else np.asarray(image)
    except Exception as error:  # an object's own __array__ may fail as it likes
        raise ValueError(f"an image is an array, and {type(image).__name__} becomes none ({error})") from error
    return _for_array(array, channel_axis, stack_axis, restored)


def _for_array(
    array: npt.NDArray[Any], channel_axis: int | None, stack_axis: int | None, restored: Restored
) -> npt.NDArray[Any]:
    wanted = 2 + (channel_axis is not None) + (stack_axis is not None)
    if array.ndim != wanted:
        raise ValueError(
            f"an array of {array.ndim} dimensions needs to be [H, W], or to have channel_axis say which axis holds "
            "the channels (-1 for [H, W, C]) and stack_axis which one the images of a stack; got shape "
            f"{array.shape}, channel_axis {channel_axis}, stack_axis {stack_axis}"
        )
    try:
        axes = [
            np.lib.array_utils.normalize_axis_index(axis, array.ndim)
            for axis in (stack_axis, channel_axis)
            if axis is not None
        ]
        moved = np.moveaxis(array, axes[:1], [0]) if stack_axis is not None else array[None]
        if channel_axis is not None:
            place = axes[-1] + (stack_axis is None or axes[0] > axes[-1])
            moved = np.moveaxis(moved, place, -1)
        else:
            moved = moved[..., None]
    except (TypeError, ValueError) as error:
        raise ValueError(f"an array of shape {array.shape} has no such axes ({error})") from None
    if moved.shape[3] > 4 or 0 in moved.shape or len(set(axes)) < len(axes):
        raise ValueError(f"an image has 1 to 4 channels and no side of 0; got an array of shape {array.shape}")
    done = [_with_mask(one, restored) for one in moved]
    out = np.ma.stack(done) if isinstance(array, np.ma.MaskedArray) else np.stack(done)
    out = out.astype(done[0].dtype, copy=False)  # stacking takes the byte order of this machine
    out = out[..., 0] if channel_axis is None else np.moveaxis(out, -1, place)
    return out[0] if stack_axis is None else np.moveaxis(out, 0, axes[0])


def _with_mask(pixels: npt.NDArray[Any], restored: Restored) -> npt.NDArray[Any]:
    if not isinstance(pixels, np.ma.MaskedArray):
        return restored(pixels, None)
    mask = np.ma.getmaskarray(pixels)
    out = restored(pixels.data, np.any(mask, axis=2))
    larger = (out.shape[0] // mask.shape[0], out.shape[1] // mask.shape[1])
    return np.ma.array(out, mask=mask.repeat(larger[0], 0).repeat(larger[1], 1), fill_value=pixels.fill_value)


def _for_pillow(image: Image.Image, restored: Restored) -> Image.Image:
    info, mode = dict(image.info), image.mode
    if mode in ("P", "PA", "L", "RGB", "1") and image.has_transparency_data:
        gray = mode in ("L", "1")
        image, _ = image.convert("LA" if gray else "RGBA"), info.pop("transparency", None)
    elif mode == "1":
        image = image.convert("L")
    elif mode in _STRAIGHT:
        image = image.convert(_STRAIGHT[mode])
    elif mode == "LAB":
        image = _from_lab(image)
    elif mode in ("P", *_AS_RGB):
        image = image.convert("RGB")
    pixels = np.array(image)
    counts = image.mode == "I" and pixels.size and pixels.min() >= 0 and pixels.max() <= 65535
    if counts:  # 16-bit files are opened so
        pixels = pixels.astype(np.uint16)
    if 0 in pixels.shape:
        raise ValueError(f"an image has no side of 0; got one of {image.width} x {image.height}")
    result = restored(pixels[..., None] if pixels.ndim == 2 else pixels, None)
    result = result[..., 0] if pixels.ndim == 2 else result
    out = Image.fromarray(result.astype(np.int32) if counts else result)
    if mode in _STRAIGHT:
        out = out.convert(mode)
    out.info = info
    return out


def _from_lab(image: Image.Image) -> Image.Image:
    to_rgb = ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
    done = ImageCms.applyTransform(image, to_rgb)
    assert done is not None  # it is not changed in place
    return done


def _for_tensor(image: Tensor, restored: Restored) -> Tensor:
    if image.is_nested or image.is_meta:
        raise ValueError("a tensor must be [..., C, H, W] with numbers in it; nested and meta ones are not")
    fits = image.is_floating_point() or image.dtype in (torch.uint8, torch.uint16)
    if not fits or image.dim() < 3 or image.shape[-3] not in (1, 3) or image.layout != torch.strided:
        raise ValueError(
            "a tensor must be floating point, uint8 or uint16 and [..., C, H, W] with C 1 or 3; "
            f"got {image.dtype} {list(image.shape)}"
        )
    if 0 in image.shape:
        raise ValueError(f"there is no image in a tensor of shape {list(image.shape)}")
    if image.requires_grad and torch.is_grad_enabled():
        raise ValueError(
            "no gradient passes through this function: give tensor.detach(), or call the network that nlrn.load "
            "returns, network(x, sigma), for gradients"
        )
    flat = image.detach().cpu().reshape(-1, *image.shape[-3:])
    pixels = (flat.float() if flat.is_floating_point() else flat).permute(0, 2, 3, 1).numpy()
    done = [torch.from_numpy(restored(one, None)).permute(2, 0, 1) for one in pixels]
    stacked = torch.stack(done).to(image.device, image.dtype)
    return stacked.reshape(*image.shape[:-2], *stacked.shape[-2:])
