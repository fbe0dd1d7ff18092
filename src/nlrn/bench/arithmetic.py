"""Counts a network's products and times a device's products of matrices: what a speed is to be held against."""

from typing import cast

import torch
from torch import nn

from nlrn.bench.timing import CPU, seconds
from nlrn.network import NLRN, NonLocalBlock


def neighbours(size: int, window: int) -> int:
    """The sum over the pixels of a row of how many of them each sees."""
    reach = window // 2
    return sum(min(size, i + reach + 1) - max(0, i - reach) for i in range(size))


def forward_flops(network: NLRN, size: int) -> int:
    """Floating-point operations of one pass over an image of size x size: those of its products, norms left out.

    Each step's own logits count once, as where a map of them is carried. A network that enlarges does so twice.
    """
    config, body = network.config, network.bodies[0]
    side = -(-size // config.unshuffle)
    tail = network.tail.weight[network.made(2)]
    kernels = _kernels(network.head) + tail.numel()
    kernels += config.steps * (_kernels(cast(nn.Module, body.conv1)) + _kernels(cast(nn.Module, body.conv2)))
    correlation = 0
    if config.every:
        block, blocks = cast(NonLocalBlock, body.non_local), -(-config.steps // config.every)
        kernels += blocks * _kernels(block)
        depth = config.embedding if "embedded" in config.similarity else config.filters
        correlation = blocks * neighbours(side, config.window) ** 2 * (depth + config.filters)
    return 2 * (side**2 * kernels + correlation)


_TIMED = 0.05
"""Seconds of a product that is long enough to be timed."""


def _kernels(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters() if p.dim() == 4)


def gemm_rate(dtype: torch.dtype, device: torch.device = CPU) -> float:
    """Floating-point operations a second of large matrix products, the best of all tried.

    The matrices grow until a product takes long enough to be timed: without instructions for it bf16 is so slow that
    large ones would take minutes.
    """
    side, largest, best, taken = 192, 8192 if device.type == "cuda" else 1536, 0.0, 0.0
    while side <= largest and taken < _TIMED:
        a = torch.ones(side, side, dtype=dtype, device=device)
        a @ a
        taken = min(seconds(lambda a=a: a @ a, device) for _ in range(5))  # type: ignore[misc]  # its default is a
        best = max(best, 2 * side**3 / taken)
        side *= 2
    return best
