"""Brightness and colour apart: the Y, Cb, Cr of JPEG, in which the levels of luma and chroma noise are counted."""

import torch
from torch import Tensor

# ITU-R BT.601 in full range, as JFIF has it
_TO = torch.tensor(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], dtype=torch.float64
)
_FROM = torch.linalg.inv(_TO)


def to_opponent(rgb: Tensor) -> Tensor:
    """[..., 3, H, W], an image or a difference of two, to luma and two chroma planes centred on 0."""
    return torch.einsum("oc,...chw->...ohw", _TO.to(rgb), rgb)


def to_rgb(opponent: Tensor) -> Tensor:
    """The inverse of :func:`to_opponent`."""
    return torch.einsum("oc,...chw->...ohw", _FROM.to(opponent), opponent)


def levels_of(noise: Tensor) -> Tensor:
    """The standard deviations of luma and of chroma [B, 2] in noise [B, 3, H, W] whose mean is 0."""
    power = to_opponent(noise).square().mean((2, 3))
    return torch.stack([power[:, 0], power[:, 1:].mean(1)], 1).sqrt()
