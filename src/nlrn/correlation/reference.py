"""The definition of the confined correlation: slow, obvious, and the oracle of every faster form."""

import torch
from torch import Tensor


def reference_attention(q: Tensor, k: Tensor, v: Tensor, window: int, *, normalize: str = "softmax") -> Tensor:
    """Each pixel attends to the ``window`` x ``window`` pixels centred on it, clipped at the image border.

    The logit of pixel i towards pixel j is ``q_i . k_j``, without scaling. Pixels outside the image take no
    part: the softmax runs over real neighbours only (paper, section 3.1, equations 1 to 4).

    Args:
        q, k: queries and keys, [B, D, H, W].
        v: values, [B, M, H, W].
        window: side of the neighbourhood, odd.
        normalize: "softmax", or "mean": the logits themselves, divided by the number of neighbours, are the
            weights (the dot-product similarity of the paper's comparison).

    Returns:
        [B, M, H, W], in the dtype of ``v``.
    """
    B, _, H, W = q.shape
    reach = window // 2
    out = torch.empty_like(v)
    for b in range(B):
        for y in range(H):
            for x in range(W):
                rows = slice(max(0, y - reach), min(H, y + reach + 1))
                cols = slice(max(0, x - reach), min(W, x + reach + 1))
                keys, values = k[b, :, rows, cols].flatten(1), v[b, :, rows, cols].flatten(1)
                logits = q[b, :, y, x] @ keys
                weights = logits.softmax(0) if normalize == "softmax" else logits / logits.numel()
                out[b, :, y, x] = values @ weights
    return out
