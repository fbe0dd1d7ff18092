"""The training images, and the batches that a degradation makes of them.

Every random number of a batch comes from one generator seeded with (seed, step), so that a run can be resumed at
any step, and any number of processes share one sequence of batches.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nlrn.images import SUFFIXES, read_rgb
from nlrn.pixels.degradations.record import Batch, Degradation
from nlrn.pixels.degrade import resize_bicubic, rgb_to_y, round_8bit
from nlrn.pixels.patches import Patches
from nlrn.training.settings import Settings


def read_images(folders: Sequence[Path], sees: str, *, smallest: int = 1) -> list[np.ndarray]:
    """All images below the folders as uint8 [H, W, C], sorted by path.

    Args:
        folders: where to look, recursively.
        sees: "rgb", "gray" (luma of BT.601 in full range) or "luma" (Y in studio range, for super-resolution).
        smallest: the width and height that an image must have.

    Raises:
        ValueError: a folder is missing or holds no image, or an image is too small.
        ImageFileError: a file cannot be read.
    """
    images = []
    for folder in folders:
        paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
        if not paths:
            raise ValueError(f"{folder}: no images to train on here")
        for path in paths:
            image = _seen(read_rgb(path), sees)
            if min(image.shape[:2]) < smallest:
                size = f"{image.shape[1]} x {image.shape[0]}"
                raise ValueError(
                    f"{path}: {size} pixels are too few to cut patches from, it takes {smallest} each way; "
                    "use a smaller --patch, or leave the image out"
                )
            images.append(image)
    return images


def _seen(rgb: np.ndarray, sees: str) -> np.ndarray:
    if sees == "rgb":
        return rgb
    if sees == "gray":
        return np.array(Image.fromarray(rgb).convert("L"))[..., None]
    y = rgb_to_y(torch.from_numpy(rgb).permute(2, 0, 1).double() / 255)
    return (round_8bit(y) * 255).round().byte().permute(1, 2, 0).numpy()


def hold_out(images: Sequence[np.ndarray], count: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Split into images for training and ``count`` spread evenly over the list for validation."""
    if not 0 < count < len(images):
        raise ValueError(f"{count} of {len(images)} training images cannot be set aside for validation")
    aside = {int((i + 0.5) * len(images) / count) for i in range(count)}
    return [im for i, im in enumerate(images) if i not in aside], [images[i] for i in sorted(aside)]


def smaller_copies(images: Sequence[np.ndarray], factors: Sequence[float], smallest: int) -> list[np.ndarray]:
    """The images, then each reduced by each of ``factors`` (below 1) unless it gets smaller than ``smallest``."""
    copies = list(images)
    for factor in factors:
        for image in images:
            height, width = (round(side * factor) for side in image.shape[:2])
            if min(height, width) >= smallest:
                pixels = torch.from_numpy(image).permute(2, 0, 1).float() / 255
                small = (round_8bit(resize_bicubic(pixels, height, width)) * 255).round().byte()
                copies.append(small.permute(1, 2, 0).contiguous().numpy())
    return copies


def validation(degradation: Degradation, images: Sequence[np.ndarray], device: torch.device) -> dict[int, Batch]:
    """Degraded middles of the images by level, the same at every call."""
    side = min(180, *(min(image.shape[:2]) for image in images)) // 12 * 12
    made = degradation.validation(Patches([_centre(image, side) for image in images], "cpu"))
    return {level: batch.each(lambda tensor: tensor.to(device)) for level, batch in made.items()}


def share(
    degradation: Degradation, patches: Patches, settings: Settings, side: int, i: int, rank: int, processes: int
) -> Batch:
    """One process's share of batch ``i``, which is the same however many processes share it."""
    generator = torch.Generator(patches.pixels.device).manual_seed(settings.seed * 1_000_003 + i)
    batch = degradation.batch(patches, settings.batch, side, i, generator)
    return batch.each(lambda tensor: tensor[rank::processes].contiguous(memory_format=_layout(tensor)))


def _layout(tensor: Tensor) -> torch.memory_format:
    return torch.channels_last if tensor.dim() == 4 else torch.contiguous_format


def _centre(image: np.ndarray, side: int) -> np.ndarray:
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    return np.ascontiguousarray(image[top : top + side, left : left + side])
