"""Noise as coarse as it is in photographs: grain in the brightness, blotches in the colours.

Measured on five cameras, noise is alike at neighbouring pixels (0.5 to 0.7 in luma, 0.9 in chroma), has a long tail
(0.05 to 0.2 in luma and 0.25 to 0.45 in chroma at a distance of eight), and its strength goes with the brightness,
which gives it a kurtosis of 3.5 to 5.5.
"""

import torch
from torch import Tensor

from nlrn.pixels.opponent import to_opponent, to_rgb

_COARSEST = 6.0
_MARGIN = 18
"""Pixels around a patch that its coarsest noise is made of: three standard deviations."""


def camera_noise(clean: Tensor, luma: Tensor, chroma: Tensor, generator: torch.Generator) -> Tensor:
    """Noise for each of the images, of grain and blotches of a coarseness of their own.

    Args:
        clean: [B, 3, P, P].
        luma, chroma: about the standard deviations wanted [B], in the units of ``clean``.

    Returns:
        The noise [B, 3, P, P].
    """
    images, size = len(clean), clean.shape[-1]
    # what is fine and what is coarse of luma; the same of chroma, alike in Cb and Cr
    fine_y, coarse_y, part_y, fine_c, coarse_c, part_c, slope, lean = _uniform(8, images, generator)
    fine, coarse = 1.3 * fine_y, 1.5 + 4.5 * coarse_y
    fine_colour, coarse_colour = 0.6 + 1.6 * fine_c, 0.6 + 5.4 * coarse_c
    blur = torch.stack([fine, fine_colour, fine_colour, coarse, coarse_colour, coarse_colour], 1)
    made = blurred_noise(blur, size, generator)
    share = torch.stack([0.6 * part_y, 0.4 + 0.6 * part_c, 0.4 + 0.6 * part_c], 1)[..., None, None]
    mixed = (1 - share.square()).sqrt() * made[:, :3] + share * made[:, 3:]
    brightness = to_opponent(clean)[:, :1]
    # more of it in the shadows (slope above 0) or in the light
    strength = torch.exp((2.5 * slope - 1).view(-1, 1, 1, 1) * (0.5 - brightness))
    # red and blue are not equally noisy
    tilt = 0.4 * (lean - 0.5)
    levels = torch.stack([luma, chroma * (1 + tilt), chroma * (1 - tilt)], 1)[..., None, None]
    return to_rgb(levels * strength * mixed)


def even_noise(clean: Tensor, level: Tensor, blur: Tensor, generator: torch.Generator) -> Tensor:
    """Noise of standard deviation ``level`` [B] alike and independent in R, G and B, blurred by ``blur`` pixels [B].

    Not blurred, it is white.
    """
    made = blurred_noise(blur[:, None].expand(-1, clean.shape[1]), clean.shape[-1], generator)
    return level.view(-1, 1, 1, 1) * made


def blurred_noise(blur: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Planes of noise of variance 1 [B, N, size, size], white noise blurred by Gaussians of so many pixels [B, N]."""
    whole = size + 2 * _MARGIN
    white = torch.randn(*blur.shape, whole, whole, generator=generator, device=blur.device)
    offset = torch.arange(whole, device=blur.device) - _MARGIN - torch.arange(size, device=blur.device)[:, None]
    matrix = torch.exp(-0.5 * (offset / blur.clamp(0.05, _COARSEST)[..., None, None]).square())
    matrix = matrix / matrix.square().sum(-1, keepdim=True).sqrt()
    made: Tensor = matrix @ white @ matrix.transpose(-1, -2)
    return made


def _uniform(count: int, images: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    return torch.rand(count, images, generator=generator, device=generator.device).unbind(0)
