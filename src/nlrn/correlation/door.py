"""One door to the confined correlation: checks the arguments and chooses the implementation."""

from dataclasses import dataclass

import torch
from torch import Tensor

from nlrn.correlation.choice import implementation
from nlrn.correlation.kernels import KERNELS
from nlrn.correlation.operator import attend
from nlrn.correlation.reference import reference_attention
from nlrn.correlation.tiled import tiled_attention

NORMALIZATIONS = ("softmax", "mean")


@dataclass(frozen=True)
class Carried:
    """The correlation that a recurrent step hands to the next: the queries and keys of all steps so far.

    The propagated logits are a sum of dot products, sum_s theta_s phi_s^T, which is the dot product of the
    queries and keys of all steps concatenated along the channels. So no map of window^2 logits is kept.
    """

    q: Tensor
    k: Tensor


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
    if carried is not None:
        q, k = torch.cat([carried.q, q], 1), torch.cat([carried.k, k], 1)
    return confined_attention(q, k, v, window, normalize=normalize), Carried(q, k)
