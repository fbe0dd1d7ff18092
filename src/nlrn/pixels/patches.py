"""Images held in memory as one, and patches cut from them as batched tensor work."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


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

    @property
    def whole(self) -> Tensor:
        """The images themselves as [B, C, H, W] in [0, 1], where all are of one size."""
        height, width = int(self.height[0]), int(self.width[0])
        return self.pixels.view(len(self.height), height, width, -1).permute(0, 3, 1, 2).float() / 255
