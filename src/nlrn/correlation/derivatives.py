"""Tangents of the correlation, and its gradients in a form that can be differentiated again.

The forms of the correlation compute values and gradients quickly, in operations that PyTorch does not see or could
not differentiate. Here is the same once more, tile by tile, out of nothing but differentiable operations: for
forward-mode derivatives, for gradients of gradients and so on to any order. It is slower, and PyTorch keeps the map
of logits meanwhile, window^2 numbers for each pixel.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from nlrn.correlation.tiled import Masks, accumulation, tiles, without_autocast

# Of a tile: its queries and keys as numbers of pixels [images, pixels]; and the mask of who sees whom.
_Places = tuple[Tensor, Tensor, Tensor]


def tangent(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    tangents: tuple[Tensor | None, Tensor | None, Tensor | None],
    window: int,
    normalize: str,
) -> Tensor:
    """The tangent of the attended values [B, M, H, W] for those of q, k and v; None: that one does not move."""
    dtype, size = accumulation(q, k, v), v.shape
    with without_autocast(q.device):
        given = [_pixels(x, dtype) for x in (q, k, v)]
        moved = [
            torch.zeros_like(x) if t is None else _pixels(t, dtype) for x, t in zip(given, tangents, strict=True)
        ]
        of_queries, found = [], []
        for mine, theirs, mask in _tiles(q, window, normalize, dtype):
            (queries, tq), (keys, tk), (values, tv) = (
                (x[where], t[where]) for x, t, where in zip(given, moved, (mine, theirs, theirs), strict=True)
            )
            weights = _weights(queries, keys, mask, normalize)
            logits = tq @ keys.transpose(1, 2) + queries @ tk.transpose(1, 2)
            found.append((_through(logits, weights, mask, normalize) @ values + weights @ tv).flatten(0, 1))
            of_queries.append(mine.flatten())
        return _image(_sums(len(given[0]), of_queries, found), size).to(v.dtype)


def gradients(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, window: int, normalize: str
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of q, k and v, from that of the attended values; differentiable in all four."""
    dtype = accumulation(q, k, v)
    with without_autocast(q.device):
        pixels = [_pixels(x, dtype) for x in (q, k, v, grad)]
        of_queries: list[Tensor] = []
        of_keys: list[Tensor] = []
        dq: list[Tensor] = []
        dk: list[Tensor] = []
        dv: list[Tensor] = []
        for mine, theirs, mask in _tiles(q, window, normalize, dtype):
            places = (mine, theirs, theirs, mine)
            queries, keys, values, dout = (x[where] for x, where in zip(pixels, places, strict=True))
            weights = _weights(queries, keys, mask, normalize)
            dlogits = _through(dout @ values.transpose(1, 2), weights, mask, normalize)
            dq.append((dlogits @ keys).flatten(0, 1))
            dk.append((dlogits.transpose(1, 2) @ queries).flatten(0, 1))
            dv.append((weights.transpose(1, 2) @ dout).flatten(0, 1))
            of_queries.append(mine.flatten())
            of_keys.append(theirs.flatten())
        count = len(pixels[0])
        sums = (_sums(count, of_queries, dq), _sums(count, of_keys, dk), _sums(count, of_keys, dv))
        first, second, third = (_image(x, like.shape).to(like.dtype) for x, like in zip(sums, (q, k, v), strict=True))
        return first, second, third


def _tiles(q: Tensor, window: int, normalize: str, dtype: torch.dtype) -> Iterator[_Places]:
    B, _, H, W = q.shape
    numbers = torch.arange(B * H * W, device=q.device).view(B, H, W)
    masks = Masks(window, normalize, torch.empty(0, dtype=dtype, device=q.device))
    for tile in tiles(numbers[..., None], window):
        yield numbers[tile.queries].flatten(1), numbers[tile.keys].flatten(1), masks[tile.place]


def _pixels(x: Tensor, dtype: torch.dtype) -> Tensor:
    """[B, C, H, W] as the matrix [B H W, C]."""
    return x.permute(0, 2, 3, 1).flatten(0, 2).to(dtype)


def _image(rows: Tensor, size: torch.Size) -> Tensor:
    """The inverse of :func:`_pixels`."""
    B, C, H, W = size
    return rows.view(B, H, W, C).permute(0, 3, 1, 2)


def _sums(count: int, places: list[Tensor], rows: list[Tensor]) -> Tensor:
    """One row for each of ``count`` pixels: the sum of all rows that belong there."""
    found = torch.cat(rows)
    return found.new_zeros(count, found.shape[1]).index_add(0, torch.cat(places), found)


def _weights(queries: Tensor, keys: Tensor, mask: Tensor, normalize: str) -> Tensor:
    logits = queries @ keys.transpose(1, 2)
    return (logits + mask).softmax(2) if normalize == "softmax" else logits * mask


def _through(moved: Tensor, weights: Tensor, mask: Tensor, normalize: str) -> Tensor:
    """Through the normalization, either way: its matrix of derivatives is symmetric.

    Each weight moves by its own part less the mean of all.
    """
    if normalize == "softmax":
        return weights * (moved - (weights * moved).sum(2, keepdim=True))
    return moved * mask
