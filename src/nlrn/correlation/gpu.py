"""The correlation on an NVIDIA GPU: the Triton programs, called as the kernels of the CPU are.

Triton comes with PyTorch's builds for CUDA. The functions are those of :mod:`nlrn.correlation.kernels`; here the map
of logits has room for every pixel of an image beside every other, which patches can afford. It holds halves; that it
says it is bf16 is for its gradient, which is.
"""

import importlib.util
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

MOST_CHANNELS = 256
"""Of queries and of values, for gradients: beyond, there are too few registers."""
_CHUNK = 64
_FEWEST = 16
"""A product of matrices takes no fewer columns."""


@cache
def obstacle() -> str | None:
    """Why the programs cannot run here, or None if they can."""
    if not torch.cuda.is_available():
        return "there is no NVIDIA GPU"
    if torch.cuda.get_device_capability() < (8, 0):
        return "this GPU has no products of bf16"
    return None if importlib.util.find_spec("triton") else "Triton is not installed"


@cache
def _programs() -> Any:
    from nlrn.correlation import programs

    return programs


def map_size(size: Sequence[int]) -> int:
    """Numbers in the map of logits of values of a size [B, M, H, W]."""
    B, _, H, W = size
    side = int(_programs().SIDE)
    return B * (-(-H // side) * -(-W // side) * side**2) ** 2


def forward(q: Tensor, k: Tensor, v: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """The attended values [B, M, H, W], channels_last, and the log2-sum-exp of each pixel [B, H, W], float32."""
    return map_forward(q, k, v, None, None, window)


def map_forward(
    q: Tensor, k: Tensor, v: Tensor, before: Tensor | None, after: Tensor | None, window: int
) -> tuple[Tensor, Tensor]:
    """As :func:`forward`, with the logits of ``before`` added, if it is given; ``after``, if given, gets all."""
    M, (B, _, H, W) = v.shape[1], q.shape
    q, k, v = _pixel_major(q, _CHUNK), _pixel_major(k, _CHUNK), _pixel_major(v)
    D, wide = q.shape[3], v.shape[3]
    out, lse = v.new_empty((B, H, W, wide)), q.new_empty((B, H, W), dtype=torch.float32)
    maps = [lse if x is None else x.view(torch.float16) for x in (before, after)]
    _run(
        _programs().forward, B, H, W, [q, k, v, out, lse, *maps], [q, k, v], window,
        D=D, M=wide, CHUNK=min(D, _CHUNK), ADDS=before is not None, KEEPS=after is not None,
    )  # fmt: skip
    return _channels_first(out, M), lse


def backward(images: tuple[Tensor, ...], lse: Tensor, window: int) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of q, k and v, channels_last; of the gradient of ``out``, q, k, v and ``out``."""
    return _differentiate(images, lse, None, None, None, window)


def map_backward(
    images: tuple[Tensor, ...],
    lse: Tensor,
    logits: Tensor,
    later: Tensor | None,
    earlier: Tensor | None,
    window: int,
    into: tuple[Tensor, ...] | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """As :func:`backward`; ``earlier`` gets the gradient of the map before, from ``later``, that of the map after.

    ``into`` are tensors for the three, which may be slices of a wider one.
    """
    slope = torch.empty_like(logits) if earlier is None else earlier
    return _differentiate(images, lse, logits, later, slope, window, into)


def _differentiate(
    images: tuple[Tensor, ...],
    lse: Tensor,
    logits: Tensor | None,
    later: Tensor | None,
    slope: Tensor | None,
    window: int,
    into: tuple[Tensor, ...] | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    grad, q, k, v, out = images
    channels, values, (B, _, H, W) = q.shape[1], v.shape[1], q.shape
    grad, q, k, v, out = (_pixel_major(x) for x in (grad, q, k, v, out))
    grad, out = grad.contiguous(), out.contiguous()
    D, M = q.shape[3], v.shape[3]
    share = torch.empty_like(lse)
    dq, dk, dv = (_pixel_major(x) for x in into) if into else (x.new_empty(x.shape) for x in (q, k, v))
    maps = [lse if x is None else x for x in (None if logits is None else logits.view(torch.float16), later, slope)]
    sizes = {"D": D, "M": M, "MAP": logits is not None}
    programs, strided = _programs(), [q, k, v]
    given = [q, k, v, out, grad, lse, share, dq, *maps]
    _run(programs.of_queries, B, H, W, given, [*strided, dq], window, ADDS=later is not None, **sizes)
    given = [q, k, v, grad, lse, share, dk, dv, maps[0], maps[2]]
    _run(programs.of_keys, B, H, W, given, [*strided, dk, dv], window, **sizes)
    return _channels_first(dq, channels), _channels_first(dk, channels), _channels_first(dv, values)


def _run(
    program: Any, B: int, H: int, W: int, tensors: list[Tensor], strided: list[Tensor], window: int, **constants: int
) -> None:
    """One program for each tile of each image."""
    side = _programs().SIDE
    tiles = -(-H // side) * -(-W // side)
    # loads run ahead of the products by one block, but not those of many chunks, for which there is no room
    ahead = 1 if constants["D"] > 2 * _CHUNK else 2
    if B * tiles:
        program[(tiles, B)](
            *tensors, H, W, *(x.stride(2) for x in strided), window // 2, num_warps=4, num_stages=ahead, **constants
        )


def _pixel_major(x: Tensor, multiple: int = 0) -> Tensor:
    """[B, C, H, W] as [B, H, W, C] with the pixels evenly spaced, filled up with zeros to a power of two channels, or
    to one below ``multiple`` or else that."""
    C = x.shape[1]
    filled = max(_FEWEST, 1 << (C - 1).bit_length())
    if multiple and filled > multiple:
        filled = -(-C // multiple) * multiple
    x = x.permute(0, 2, 3, 1)
    if filled > C:
        return torch.nn.functional.pad(x, (0, filled - C)).contiguous()
    _, H, W, _ = x.shape
    pixel = x.stride(2)
    even = x.stride(3) == 1 and x.stride(1) == W * pixel and x.stride(0) == H * W * pixel and pixel >= C
    return x if even else x.contiguous().view(-1).view(x.shape)


def _channels_first(x: Tensor, channels: int) -> Tensor:
    """[B, H, W, C] back as [B, channels, H, W], laid out as channels_last."""
    return (x if x.shape[3] == channels else x[..., :channels].contiguous()).permute(0, 3, 1, 2)
