"""Clean pictures as soft as a camera's.

A camera interpolates its colours, so its pixels hold less detail than those of the small pictures that networks are
trained on. A part of such a picture, enlarged, is as soft.
"""

import torch
from torch import Tensor


def enlarge_middle(images: Tensor, factor: Tensor) -> Tensor:
    """The middle of each image [B, C, P, P], enlarged by its factor [B] (1 or more) to the whole size, by bicubic."""
    matrix = _bicubic(factor, images.shape[-1])[:, None]
    enlarged: Tensor = matrix @ images @ matrix.transpose(-1, -2)
    return enlarged


def _bicubic(factor: Tensor, size: int) -> Tensor:
    """Keys' kernel (a = -0.5) as matrices [B, size, size]: rows are pixels made, columns those they are made of."""
    middle = (size - 1) / 2
    along = torch.arange(size, dtype=torch.float32, device=factor.device)
    x = (middle + (along[:, None] - middle) / factor.view(-1, 1, 1) - along).abs()
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    weights = torch.where(x <= 1, near, torch.where(x < 2, far, torch.zeros(())))
    return weights / weights.sum(2, keepdim=True)
