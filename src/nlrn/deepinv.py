"""NLRN as a denoiser of deepinv, for its plug-and-play and diffusion methods; needs the package deepinv.

    import nlrn.deepinv
    denoiser = nlrn.deepinv.Denoiser("denoise-color-lite")
    clean = denoiser(y, sigma=0.1)

This module is imported only when asked for.
"""

import torch
from deepinv.models import Denoiser as _Denoiser
from torch import Tensor

from nlrn import ModelError, load


class Denoiser(_Denoiser):  # type: ignore[misc]  # deepinv has no types
    """A trained network as deepinv calls its denoisers: differentiable, the noise level in the units of the image.

    Args:
        model: the name of a model that ships, a folder or a file; it must take a noise level.
        device: where the network is put.

    Raises:
        ModelError: the model cannot be loaded, or is no denoiser for all noise levels.
    """

    def __init__(self, model: str = "denoise-color-lite", device: str | torch.device = "cpu") -> None:
        super().__init__(device=device)
        self.network = load(model).to(device)
        if self.network.config.enlarges or not self.network.config.noise_map:
            raise ModelError(f"{model}: not a denoiser that takes a noise level, which deepinv's methods vary")

    def forward(self, x: Tensor, sigma: float | Tensor, **others: object) -> Tensor:
        """Images [B, C, H, W] in [0, 1] and their noise level, a number or [B], to images of the same shape."""
        restored: Tensor = self.network(x, sigma)
        return restored
