"""Training images held in memory, and batches of degraded patches cut from them as batched tensor work.

Every random number of a batch comes from one generator seeded with (seed, step), so that a run can be resumed at
any step, and any number of processes share one sequence of batches.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nlrn.config import Config
from nlrn.pixels.degradations.photograph import photographs
from nlrn.pixels.degrade import resize_bicubic, rgb_to_y, round_8bit
from nlrn.pixels.opponent import to_opponent

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}
# pixels around a patch, whose enlargement must not see replicated ones; a multiple of every scale
_SR_MARGIN = 12
# pixels of a reduced image around a patch, whose own must not see replicated ones
_LR_MARGIN = 2
# evens out how much squared error each scale leaves
_SR_WEIGHT = {2: 2.0, 3: 1.0, 4: 0.7}


class Batch(NamedTuple):
    """Degraded and clean patches [B, C, P, P] in [0, 1], and for each its noise level and weight in the loss [B].

    Where the network itself enlarges, the clean patches are ``scale`` times as high and wide as the degraded ones.
    """

    degraded: Tensor
    clean: Tensor
    sigma: Tensor
    weight: Tensor
    scale: int = 1

    def each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        """The batch with every tensor of it changed."""
        degraded, clean, sigma, weight = map(change, self[:4])
        return Batch(degraded, clean, sigma, weight, self.scale)


class Patches:
    """All training images as one flat uint8 tensor, on whatever device trains.

    Args:
        images: uint8 arrays [H, W, C], all with the same C.
        device: where the pixels are held and batches are made.
    """

    def __init__(self, images: Sequence[np.ndarray], device: torch.device | str = "cpu") -> None:
        if not images:
            raise ValueError("there are no training images")
        sizes = torch.tensor([image.shape[:2] for image in images])
        self.pixels = torch.cat([torch.from_numpy(i.reshape(-1, i.shape[2])) for i in images]).to(device)
        areas = sizes.prod(1)
        self.height, self.width = sizes.to(device).unbind(1)
        self.offset = (areas.cumsum(0) - areas).to(device)
        self.share = (areas / areas.sum()).to(device)

    def cut(self, count: int, size: int, generator: torch.Generator) -> Tensor:
        """``count`` patches [count, C, size, size] in [0, 1], each flipped and turned at random.

        Images that are too small for them have no part in it; one at least must not be.
        """
        device = self.pixels.device
        large = (self.height >= size) & (self.width >= size)
        which = torch.multinomial(self.share * large, count, replacement=True, generator=generator)
        random = torch.rand(5, count, 1, 1, generator=generator, device=device)
        top = (random[0] * (self.height[which].view(-1, 1, 1) - size + 1)).long()
        left = (random[1] * (self.width[which].view(-1, 1, 1) - size + 1)).long()
        flip_y, flip_x, turn = random[2] < 0.5, random[3] < 0.5, random[4] < 0.5
        along = torch.arange(size, device=device)
        y = torch.where(turn, along.view(1, 1, -1), along.view(1, -1, 1))
        x = torch.where(turn, along.view(1, -1, 1), along.view(1, 1, -1))
        y, x = torch.where(flip_y, size - 1 - y, y), torch.where(flip_x, size - 1 - x, x)
        index = self.offset[which].view(-1, 1, 1) + (top + y) * self.width[which].view(-1, 1, 1) + left + x
        return self.pixels[index].permute(0, 3, 1, 2).float() / 255


def noisy_batch(
    patches: Patches, count: int, size: int, sigmas: tuple[float, float], generator: torch.Generator
) -> Batch:
    """Patches with white Gaussian noise, never clipped, of a level drawn evenly from ``sigmas`` (0-255 scale).

    The weight 1/sigma keeps the strong noise from ruling the loss: the error that a good denoiser leaves grows
    about as sigma does.
    """
    clean = patches.cut(count, size, generator)
    device = clean.device
    low, high = sigmas
    sigma = (low + (high - low) * torch.rand(count, generator=generator, device=device)) / 255
    noise = torch.randn(clean.shape, generator=generator, device=device)
    return Batch(clean + sigma.view(-1, 1, 1, 1) * noise, clean, sigma, (25 / 255) / sigma.clamp(min=5 / 255))


def photo_batch(patches: Patches, count: int, size: int, generator: torch.Generator) -> Batch:
    """The luma of patches as photographs are. The level that is told is some 20 % off, as an estimate is.

    The weight evens out how much error weak and strong noise leave.
    """
    made = photographs(patches.cut(count, size, generator), generator)
    degraded, clean = (to_opponent(image)[:, :1] for image in (made.degraded, made.clean))
    level = made.levels[:, 0] * torch.exp(0.2 * torch.randn(count, generator=generator, device=clean.device))
    error = (degraded - clean).square().mean((1, 2, 3)).sqrt()
    return Batch(degraded, clean, level, (25 / 255) / error.clamp(min=2 / 255))


def reduced_batch(
    patches: Patches, count: int, size: int, scales: Sequence[int], generator: torch.Generator
) -> Batch:
    """Patches reduced by each of ``scales`` in turn, rounded to 8 bits, and enlarged again by bicubic.

    The scales are mixed within the batch, since its norms must see the mixture they meet later. The weights
    even out how much error each scale leaves.
    """
    whole = _reduced_side(size)
    full = patches.cut(count, whole, generator)
    # a whole image begins where a low-resolution pixel does, so a patch must too: a network that unshuffles is
    # 7 dB worse at x2 on images that begin one pixel later
    middle = slice(_SR_MARGIN, _SR_MARGIN + size)
    scale = torch.tensor(scales).repeat(-(-count // len(scales)))[:count]
    degraded = torch.empty(count, full.shape[1], size, size, device=full.device)
    for s in scales:
        some = (scale == s).to(full.device)
        low = round_8bit(resize_bicubic(full[some], whole // s, whole // s))
        degraded[some] = resize_bicubic(low, whole, whole)[..., middle, middle]
    weight = torch.tensor([_SR_WEIGHT.get(s, 1.0) for s in scale.tolist()])
    return Batch(degraded, full[..., middle, middle], torch.zeros(count, device=full.device), weight.to(full.device))


def low_resolution_batch(patches: Patches, count: int, size: int, scale: int, generator: torch.Generator) -> Batch:
    """Patches [B, C, size, size] of images reduced by ``scale`` and rounded to 8 bits, and what they were before."""
    whole = size + 2 * _LR_MARGIN
    full = patches.cut(count, whole * scale, generator)
    low = round_8bit(resize_bicubic(full, whole, whole))
    inner, middle = slice(_LR_MARGIN, -_LR_MARGIN), slice(_LR_MARGIN * scale, -_LR_MARGIN * scale)
    weight = torch.full((count,), _SR_WEIGHT.get(scale, 1.0), device=full.device)
    sigma = torch.zeros(count, device=full.device)
    return Batch(low[..., inner, inner], full[..., middle, middle], sigma, weight, scale)


def pixels_needed(config: Config, patch: int, scales: Sequence[int]) -> int:
    """The side that an image must have for patches of that side to be cut from it (at the smallest scale)."""
    if config.task == "denoise":
        return patch
    if config.post_upsampling:
        return (patch + 2 * _LR_MARGIN) * min(scales)
    return _reduced_side(patch)


def _reduced_side(patch: int) -> int:
    return -(-(patch + 2 * _SR_MARGIN) // 12) * 12


def read_images(folders: Sequence[Path], channels: int, *, luma: bool = False, smallest: int = 1) -> list[np.ndarray]:
    """All images below the folders as uint8 [H, W, C], sorted by path.

    Args:
        folders: where to look, recursively.
        channels: 1 or 3.
        luma: with one channel, take BT.601 studio-range Y (super-resolution) rather than gray.
        smallest: the width and height that an image must have.

    Raises:
        ValueError: a folder is missing or holds no image, a file cannot be read, or an image is too small.
    """
    images = []
    for folder in folders:
        paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
        if not paths:
            raise ValueError(f"{folder}: no images to train on here")
        for path in paths:
            try:
                with Image.open(path) as file:
                    image = np.array(file.convert("RGB" if channels == 3 or luma else "L"))
            except OSError as error:
                raise ValueError(f"{path}: not an image that can be read ({error})") from error
            if min(image.shape[:2]) < smallest:
                size = f"{image.shape[1]} x {image.shape[0]}"
                raise ValueError(
                    f"{path}: {size} pixels are too few to cut patches from, it takes {smallest} each way; "
                    "use a smaller --patch, or leave the image out"
                )
            if channels == 1 and luma:
                y = rgb_to_y(torch.from_numpy(image).permute(2, 0, 1).double() / 255)
                image = (round_8bit(y) * 255).round().byte().squeeze(0).numpy()
            images.append(image.reshape(*image.shape[:2], channels))
    return images


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


def validation_sets(
    images: Sequence[np.ndarray], config: Config, levels: Sequence[int], device: torch.device
) -> dict[int, Batch]:
    """The same degraded crops at every validation, for each noise level (0-255 scale) or scale."""
    side = min(180, *(min(image.shape[:2]) for image in images)) // 12 * 12
    crops = Patches([_centre(image, side) for image in images], "cpu")
    clean = crops.pixels.view(len(images), side, side, -1).permute(0, 3, 1, 2).float() / 255
    sets = {}
    for level in levels:
        scale = level if config.post_upsampling else 1
        if config.task == "denoise":
            noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(level))
            degraded, sigma = clean + level / 255 * noise, level / 255
        else:
            low = round_8bit(resize_bicubic(clean, side // level, side // level))
            degraded, sigma = low if config.post_upsampling else resize_bicubic(low, side, side), 0.0
        ones = torch.ones(len(images))
        sets[level] = Batch(degraded, clean, sigma * ones, ones, scale).each(lambda tensor: tensor.to(device))
    return sets


def photo_validation(images: Sequence[np.ndarray], device: torch.device) -> dict[int, Batch]:
    """Three drawings of the same photographs at every validation; what a level is called is only their number."""
    side = min(180, *(min(image.shape[:2]) for image in images)) // 12 * 12
    crops = Patches([_centre(image, side) for image in images], "cpu")
    sets = {}
    for number in range(3):
        batch = photo_batch(crops, len(images), side, torch.Generator().manual_seed(number))
        sets[number] = batch.each(lambda tensor: tensor.to(device))
    return sets


def _centre(image: np.ndarray, side: int) -> np.ndarray:
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    return np.ascontiguousarray(image[top : top + side, left : left + side])
