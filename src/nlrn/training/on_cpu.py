"""The passes of :mod:`nlrn.training.few_passes` on a CPU: loops in C++ over bf16, ``native/passes.cpp``."""

# torch has no types for split
# mypy: disable-error-code="no-untyped-call"

import ctypes
import importlib.util
import math
from functools import cache

import torch
from torch import Tensor

from nlrn.config import Config
from nlrn.correlation import Carried, propagated_attention

_LANES = 16
"""The loops take channels in multiples of it."""
_PIXELS = 1024
"""Of a part of the work: as many whatever the number of threads, so that sums are always the same."""


@cache
def _library() -> ctypes.CDLL | None:
    """None where it was not built."""
    spec = importlib.util.find_spec("nlrn.training._passes")
    if spec is None or spec.origin is None:
        return None
    library = ctypes.CDLL(spec.origin)
    pointer, size = ctypes.c_void_p, ctypes.c_int64
    sizes = (size, size, ctypes.c_float, size, ctypes.c_int)
    library.nlrn_scaled.argtypes = (*(pointer,) * 5, *sizes)
    library.nlrn_scaled_backward.argtypes = (*(pointer,) * 8, *sizes)
    return library


def fits(config: Config, device: torch.device) -> bool:
    """Whether there are loops for it."""
    return device.type == "cpu" and config.filters % _LANES == 0 and _library() is not None


def scaled(a: Tensor, b: Tensor | None, scale: Tensor, shift: Tensor, *, relu: bool) -> Tensor:
    """(a + b) scale + shift for features [B, H, W, C], with a ReLU or without."""
    out = torch.empty_like(a)
    _call("nlrn_scaled", relu, a, b, scale, shift, out)
    return out


def scaled_backward(
    a: Tensor, b: Tensor | None, scale: Tensor, shift: Tensor, grad: Tensor, *, relu: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of a and b, which are the same, and of scale and shift in parts [P, C]."""
    of_both = torch.empty_like(a)
    of_scale, of_shift = scale.new_empty((2, _parts(a), a.shape[-1])).unbind()
    _call("nlrn_scaled_backward", relu, a, b, scale, shift, grad, of_both, of_scale, of_shift)
    return of_both, of_scale, of_shift


def _call(function: str, relu: bool, a: Tensor, *others: Tensor | None) -> None:
    channels, least = a.shape[-1], 0.0 if relu else -math.inf
    addresses = [None if x is None else x.data_ptr() for x in (a, *others)]
    sizes = (a.numel() // channels, channels, least, _parts(a), torch.get_num_threads())
    getattr(_library(), function)(*addresses, *sizes)


def _parts(features: Tensor) -> int:
    return -(-features.numel() // (features.shape[-1] * _PIXELS))


class Attention:
    """The correlation of one step after another."""

    def __init__(self, config: Config) -> None:
        self.sizes, self.window = (config.embedding, config.embedding, config.filters), config.window
        self.carried: Carried | None = None

    def __call__(self, projected: Tensor) -> Tensor:
        """The attended values [B, H, W, M] of queries, keys and values side by side, [B, H, W, 2 D + M]."""
        q, k, v = projected.permute(0, 3, 1, 2).split(self.sizes, 1)
        attended, self.carried = propagated_attention(q, k, v, self.window, self.carried)
        return attended.permute(0, 2, 3, 1).contiguous()
