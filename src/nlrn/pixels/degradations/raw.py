"""Noise from where it arises: on a sensor behind a Bayer mosaic, then developed into a picture.

A picture is taken back to what a sensor would have counted (tone curve, colour matrix and white balance undone),
gets the noise of photons and of reading, and is developed again. The idea and the ranges of noise are those of T.
Brooks et al., "Unprocessing Images for Learned Raw Denoising", CVPR 2019; that what comes after the sensor decides
how noise looks, and so belongs into training, of S. Guo et al., "Toward Convolutional Blind Denoising of Real
Photographs", CVPR 2019, and of K. Zhang et al., "Designing a Practical Degradation Model for Deep Blind Image
Super-Resolution", ICCV 2021.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Camera:
    """A batch of cameras that count and develop; one value (or matrix) for each of B."""

    gamma: Tensor
    """Exponent of the tone curve [B, 1, 1, 1]."""
    balance: Tensor
    """What white balance multiplies R, G, B by [B, 3, 1, 1]."""
    matrix: Tensor
    """From the camera's colours to those of the picture [B, 3, 3]; rows add up to 1."""
    sharpening: Tensor
    """How much is added of what a blur takes away, below 0: smoothing [B, 1, 1, 1]."""
    photons: Tensor
    """Variance of the noise per count [B, 1, 1, 1]."""
    reading: Tensor
    """Standard deviation of the noise without light [B, 1, 1, 1]."""

    @classmethod
    def draw(cls, images: int, generator: torch.Generator) -> "Camera":
        random = torch.rand(12, images, generator=generator, device=generator.device)
        photons = torch.exp(math.log(1e-4) + random[0] * math.log(100))
        gain = torch.stack([1.5 + random[1], torch.ones_like(random[0]), 1.4 + 0.9 * random[2]], 1)
        mixing = -0.35 * random[3:9].T.reshape(-1, 3, 2)
        matrix = torch.zeros(images, 3, 3, device=generator.device)
        for row in range(3):
            others = [column for column in range(3) if column != row]
            matrix[:, row, others] = mixing[:, row]
            matrix[:, row, row] = 1 - mixing[:, row].sum(1)
        return cls(
            gamma=_wide(1.8 + 0.6 * random[9]),
            balance=gain[..., None, None],
            matrix=matrix,
            sharpening=_wide(1.7 * random[10] - 0.7),
            photons=_wide(photons),
            reading=_wide(0.3 * photons.sqrt() * random[11]),
        )

    def sensed(self, clean: Tensor) -> Tensor:
        """The counts of the sensor without noise: pictures [B, 3, H, W] in [0, 1] undeveloped."""
        linear = clean.clamp(0, 1) ** self.gamma
        return torch.einsum("boc,bchw->bohw", torch.linalg.inv(self.matrix), linear).clamp(0, 1) / self.balance

    def noisy(self, sensed: Tensor, generator: torch.Generator) -> Tensor:
        """Counts with the noise of photons, as a Gaussian, and of reading."""
        spread = (self.photons * sensed + self.reading.square()).sqrt()
        return sensed + spread * torch.randn(sensed.shape, generator=generator, device=sensed.device)

    def developed(self, counts: Tensor) -> Tensor:
        """The picture made of what is counted behind a mosaic R G / G B: demosaicing and all that follows."""
        linear = demosaiced(counts) * self.balance
        tones = torch.einsum("boc,bchw->bohw", self.matrix, linear).clamp(0, 1) ** (1 / self.gamma)
        return (tones + self.sharpening * (tones - _smooth(tones))).clamp(0, 1)


def demosaiced(colours: Tensor) -> Tensor:
    """[B, 3, H, W], of which a mosaic R G / G B sees one colour a pixel, with the others from their neighbours."""
    height, width = colours.shape[2:]
    seen = torch.zeros(3, height, width, device=colours.device)
    seen[0, ::2, ::2] = seen[1, ::2, 1::2] = seen[1, 1::2, ::2] = seen[2, 1::2, 1::2] = 1
    other, green = [[1, 2, 1], [2, 4, 2], [1, 2, 1]], [[0, 1, 0], [1, 4, 1], [0, 1, 0]]
    kernels = torch.tensor([[other], [green], [other]]).to(colours) / 4
    return F.conv2d(F.pad(colours * seen, (2, 2, 2, 2), mode="reflect"), kernels, groups=3)[..., 1:-1, 1:-1]


def _smooth(images: Tensor) -> Tensor:
    kernel = torch.tensor([1.0, 2, 1], device=images.device) / 4
    kernel = (kernel[:, None] * kernel).expand(3, 1, 3, 3)
    return F.conv2d(F.pad(images, (1, 1, 1, 1), mode="reflect"), kernel, groups=3)


def _wide(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)
