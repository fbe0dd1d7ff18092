"""One door to the confined correlation: checks the arguments and chooses the implementation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nlrn.correlation import forms, kernels
from nlrn.correlation.dispatch import CPU, form_for, implementation
from nlrn.correlation.kernels import KERNELS
from nlrn.correlation.operator import attend, attend_with_map
from nlrn.correlation.reference import reference_attention
from nlrn.correlation.tiled import without_autocast

NORMALIZATIONS = ("softmax", "mean")


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

    Differentiable in q, k and v, on any device; first gradients take memory in proportion to the number of pixels,
    tangents and further derivatives ``window ** 2`` times as much.

    Args:
        q, k: queries and keys, [B, D, H, W]; the logit of i towards j is ``q_i . k_j``, without scaling.
        v: values, [B, M, H, W].
        window: side of the neighbourhood, odd and at least 1; it may be larger than the image.
        normalize: "softmax" over the neighbours, or "mean": logits over the number of neighbours.

    Returns:
        [B, M, H, W], in the dtype of ``v``.

    Raises:
        ValueError: shapes that do not fit together, types that are not floating point, an even or non-positive
            window, an unknown normalize.

    Example:
        >>> import torch
        >>> x = torch.rand(1, 4, 8, 8)
        >>> confined_attention(x, x, x, window=5).shape
        torch.Size([1, 4, 8, 8])
    """
    _check(q, k, v, window, normalize)
    return _attended(q, k, v, window, normalize, _form(q, k, v, normalize))


def _form(q: Tensor, k: Tensor, v: Tensor, normalize: str) -> str:
    """The form to run; a program that is compiled or exported is not bound to the best of this machine."""
    return "auto" if torch.compiler.is_compiling() else implementation(q, k, v, normalize=normalize)


def _attended(q: Tensor, k: Tensor, v: Tensor, window: int, normalize: str, form: str) -> Tensor:
    if form == "reference":
        with without_autocast(q.device):
            return reference_attention(q, k, v, window, normalize=normalize)
    return attend(q, k, v, window, normalize, form)


def tiled_attention(q: Tensor, k: Tensor, v: Tensor, window: int, *, normalize: str = "softmax") -> Tensor:
    """:func:`confined_attention` in plain PyTorch, whatever else there is; its result is laid out channels_last."""
    _check(q, k, v, window, normalize)
    return attend(q, k, v, window, normalize, "torch")


def _check(q: Tensor, k: Tensor, v: Tensor, window: int, normalize: str) -> None:
    if q.dim() != 4 or q.shape != k.shape or v.dim() != 4 or q.shape[0] != v.shape[0] or q.shape[2:] != v.shape[2:]:
        raise ValueError(
            "q and k must be [B, D, H, W] and v [B, M, H, W]; got "
            f"{list(q.shape)}, {list(k.shape)} and {list(v.shape)}"
        )
    if not (q.is_floating_point() and k.is_floating_point() and v.is_floating_point()):
        raise ValueError(f"q, k and v must be floating point, not {q.dtype}, {k.dtype} and {v.dtype}")
    check_window(window)
    if normalize not in NORMALIZATIONS:
        raise ValueError(f"normalize must be one of {NORMALIZATIONS}, not {normalize!r}")


def check_window(window: int) -> None:
    """Raises ValueError where no neighbourhood can have this side."""
    if window < 1 or window % 2 == 0:
        raise ValueError(f"window must be odd and positive, not {window}")


def propagated_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    window: int,
    carried: Carried | None = None,
    *,
    normalize: str = "softmax",
    concatenated: int | None = None,
) -> tuple[Tensor, Carried]:
    """:func:`confined_attention` with the logits of earlier steps added before the normalization.

    Args:
        q, k, v, window, normalize: as for :func:`confined_attention`.
        carried: what the previous step returned, or None at the first step.
        concatenated: so many steps multiply the queries and keys of all steps so far; the later ones, where a fast
            form runs, add to a map of logits. By default what is quickest, and no map that takes too much memory.

    Returns:
        The attended values [B, M, H, W], and what the next step needs.
    """
    queries, keys = (*carried.queries, q) if carried else (q,), (*carried.keys, k) if carried else (k,)
    _check(q, k, v, window, normalize)
    name = _form(q, k, v, normalize)
    fast = forms.find(name)
    few = fast.concatenated(v, window) if fast and concatenated is None else concatenated or 0
    if fast is None or len(queries) <= few:
        attended = _attended(torch.cat(queries, 1), torch.cat(keys, 1), v, window, normalize, name)
        return attended, Carried(queries, keys)
    meaning = (name, window, v.shape)
    if carried and carried.map and carried.map.meaning == meaning:
        out, logits = attend_with_map(queries, keys, v, carried.map.logits, window, name)
    else:
        out, logits = attend_with_map((torch.cat(queries, 1),), (torch.cat(keys, 1),), v, None, window, name)
    return out, Carried(queries, keys, _Map(logits, meaning))


class LogitsInPlace:
    """Propagated attention without gradients, by a native kernel, with one map of logits that every step adds to.

    Args:
        size: of the values as they will come, [B, M, H, W].
        dtype: of queries, keys and values, the kernel's own (see :func:`map_bytes`).
        window: side of the neighbourhood.
        memory: gives so many bytes to work in, which nobody else uses meanwhile.
    """

    def __init__(self, size: Sequence[int], dtype: torch.dtype, window: int, memory: Callable[[int], Tensor]) -> None:
        self.window, self.library = window, kernels.load(form_for(dtype))
        self.map = memory(map_bytes(size, dtype, window)).view(_map_dtype(dtype))
        self.empty = True

    def attend(self, q: Tensor, k: Tensor, v: Tensor, into: Tensor, *, last: bool) -> None:
        """Add to ``into`` what :func:`confined_attention` gives with the logits of all earlier calls added.

        ``last`` spares the map, so that no call can follow.
        """
        before, after = None if self.empty else self.map, None if last else self.map
        self.empty = False
        kernels.map_forward(self.library, q, k, v, before, after, self.window, into)


def map_bytes(size: Sequence[int], dtype: torch.dtype, window: int, device: torch.device = CPU) -> int:
    """Bytes of the map that :class:`LogitsInPlace` adds to; 0 where no kernel for values of this kind runs.

    Args:
        size: of the values, [B, M, H, W].
        dtype: of queries, keys and values.
        window: side of the neighbourhood.
        device: where they are.
    """
    name = form_for(dtype, device)
    if name not in KERNELS or KERNELS[name].dtype != dtype:
        return 0
    return kernels.map_size(kernels.load(name), size, window) * _map_dtype(dtype).itemsize


def _map_dtype(dtype: torch.dtype) -> torch.dtype:
    """bf16 would keep too little of a sum of logits: 2.7e-2 after twelve steps, halves 3.4e-3."""
    return torch.float32 if dtype == torch.float32 else torch.float16
