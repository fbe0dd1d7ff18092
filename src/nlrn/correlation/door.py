"""One door to the confined correlation: checks the arguments and chooses the implementation."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from nlrn.correlation import kernels
from nlrn.correlation.choice import implementation
from nlrn.correlation.kernels import KERNELS
from nlrn.correlation.operator import attend, attend_with_map
from nlrn.correlation.reference import reference_attention
from nlrn.correlation.tiled import tiled_attention

NORMALIZATIONS = ("softmax", "mean")


# So many steps are cheaper as one long dot product than by way of a map of logits.
_CONCATENATED = 2
# Beyond it there is no map: with gradients there is one for every step, and a whole image would take more than it is
# worth.
_LARGEST_MAP = 512 * 2**20


@dataclass(frozen=True)
class _Map:
    """The logits of all steps so far, in the kernel's own order."""

    logits: Tensor
    meaning: tuple[object, ...]
    """What the order depends on: a call for which this is another cannot read it."""


@dataclass(frozen=True)
class Carried:
    """The correlation that a recurrent step hands to the next: the queries and keys of all steps so far, in turn.

    The propagated logits are a sum of dot products, sum_s theta_s phi_s^T, which is the dot product of the
    queries and keys of all steps concatenated along the channels: no map of window^2 logits is needed. Where many
    steps add up, the kernels keep one all the same: then a step costs no more than the first.
    """

    queries: tuple[Tensor, ...]
    keys: tuple[Tensor, ...]
    map: _Map | None = None


def confined_attention(q: Tensor, k: Tensor, v: Tensor, window: int, *, normalize: str = "softmax") -> Tensor:
    """Each pixel attends to the ``window`` x ``window`` pixels centred on it, clipped at the image border.

    Differentiable in q, k and v, on any device, in memory proportional to the number of pixels.

    Args:
        q, k: queries and keys, [B, D, H, W]; the logit of i towards j is ``q_i . k_j``, without scaling.
        v: values, [B, M, H, W].
        window: side of the neighbourhood, odd and at least 1; it may be larger than the image.
        normalize: "softmax" over the neighbours, or "mean": logits over the number of neighbours.

    Returns:
        [B, M, H, W], in the dtype of ``v``.

    Raises:
        ValueError: shapes that do not fit together, an even or non-positive window, an unknown normalize.
    """
    if q.dim() != 4 or q.shape != k.shape or v.dim() != 4 or q.shape[0] != v.shape[0] or q.shape[2:] != v.shape[2:]:
        raise ValueError(
            "q and k must be [B, D, H, W] and v [B, M, H, W]; got "
            f"{list(q.shape)}, {list(k.shape)} and {list(v.shape)}"
        )
    if window < 1 or window % 2 == 0:
        raise ValueError(f"window must be odd and positive, not {window}")
    if normalize not in NORMALIZATIONS:
        raise ValueError(f"normalize must be one of {NORMALIZATIONS}, not {normalize!r}")
    name = implementation(q, k, v, normalize=normalize)
    if name == "torch":
        return tiled_attention(q, k, v, window, normalize=normalize)
    if name == "reference":
        return reference_attention(q, k, v, window, normalize=normalize)
    dtype = KERNELS[name].dtype
    out: Tensor = attend(q.to(dtype), k.to(dtype), v.to(dtype), window, name)[0]
    return out.to(v.dtype)


def propagated_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    window: int,
    carried: Carried | None = None,
    *,
    normalize: str = "softmax",
) -> tuple[Tensor, Carried]:
    """:func:`confined_attention` with the logits of earlier steps added before the normalization.

    Args:
        q, k, v, window, normalize: as for :func:`confined_attention`.
        carried: what the previous step returned, or None at the first step.

    Returns:
        The attended values [B, M, H, W], and what the next step needs.
    """
    queries, keys = (*carried.queries, q) if carried else (q,), (*carried.keys, k) if carried else (k,)
    B, _, H, W = v.shape
    with_map = len(queries) > _CONCATENATED and 4 * B * H * W * min(window, H) * min(window, W) <= _LARGEST_MAP
    name = implementation(q, k, v, normalize=normalize) if with_map else "torch"
    if name not in KERNELS:
        attended = confined_attention(torch.cat(queries, 1), torch.cat(keys, 1), v, window, normalize=normalize)
        return attended, Carried(queries, keys)
    meaning = (name, window, v.shape)
    before = carried.map.logits if carried and carried.map and carried.map.meaning == meaning else None
    if before is None:
        q, k = torch.cat(queries, 1), torch.cat(keys, 1)
    dtype = KERNELS[name].dtype
    out, _, logits = attend_with_map(q.to(dtype), k.to(dtype), v.to(dtype), before, window, name)
    return out.to(v.dtype), Carried(queries, keys, _Map(logits, meaning))


class LogitsInPlace:
    """Propagated attention without gradients, by a native kernel, with one map of logits that every step adds to.

    Args:
        like: values as they will come, [B, M, H, W], in the kernel's type (see :func:`map_bytes`).
        window: side of the neighbourhood.
        memory: gives so many bytes to work in, which nobody else uses meanwhile.
    """

    def __init__(self, like: Tensor, window: int, memory: Callable[[int], Tensor]) -> None:
        self.window, self.kernel = window, implementation(like, like, like)
        self.map = memory(map_bytes(like, window)).view(_map_dtype(like.dtype))
        self.empty = True

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """:func:`confined_attention` with the logits of all earlier calls added."""
        before = None if self.empty else self.map
        self.empty = False
        return kernels.map_forward(kernels.load(self.kernel), q, k, v, before, self.map, self.window)[0]


def map_bytes(like: Tensor, window: int) -> int:
    """Bytes of the map that :class:`LogitsInPlace` adds to; 0 where no kernel for tensors like this one runs."""
    name = implementation(like, like, like)
    if name not in KERNELS or KERNELS[name].dtype != like.dtype:
        return 0
    return kernels.map_size(kernels.load(name), like, window) * _map_dtype(like.dtype).itemsize


def _map_dtype(dtype: torch.dtype) -> torch.dtype:
    """bf16 would keep too little of a sum of logits: 2.7e-2 after twelve steps, halves 3.4e-3."""
    return torch.float32 if dtype == torch.float32 else torch.float16
