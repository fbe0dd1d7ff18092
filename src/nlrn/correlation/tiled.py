"""The confined correlation in plain PyTorch: tiles of queries against the block of keys around them.

Runs on any device and in any floating dtype. The map of logits exists for one tile at a time, also in the
backward pass, which computes it again from the queries and keys; so memory grows with the pixels only.
Logits and sums are held in float32, or in float64 where an input is.
"""

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

# Offsets along one axis: the first and last query and the end of the keys, counted from the first key.
_Axis = tuple[int, int, int]


@dataclass(frozen=True)
class Tile:
    """A rectangle of queries and the rectangle of keys that its pixels may see."""

    queries: tuple[slice, slice, slice]
    keys: tuple[slice, slice, slice]
    # where the queries lie among the keys: the same for all tiles away from the border
    place: tuple[_Axis, _Axis]


def _sizes(device: torch.device, window: int) -> tuple[int, int]:
    """The side of a tile, and how many logits may be held at once.

    A tile of t x t queries needs (t + window - 1)^2 keys, of which each query uses window^2: small tiles
    waste little, large tiles make large matrix products. The figures are the fastest measured on CPU; on a
    GPU each launch has to be worth its while.
    """
    if device.type == "cpu":
        return (8 if window < 35 else 12), 1 << 20
    return 32, 1 << 25


def _spans(size: int, side: int, reach: int) -> Iterator[tuple[slice, slice, _Axis]]:
    """The queries and the keys of each tile along one axis."""
    for start in range(0, size, side):
        stop, first, end = min(size, start + side), max(0, start - reach), min(size, start + side + reach)
        yield slice(start, stop), slice(first, end), (start - first, stop - first, end - first)


def tiles(like: Tensor, window: int) -> Iterator[Tile]:
    """The tiles of a pixel-major batch [B, H, W, C]; small images are taken together."""
    side, at_once = _sizes(like.device, window)
    B, H, W, _ = like.shape
    block = side + window - 1
    images = max(1, at_once // (min(side, H) * min(side, W) * min(block, H) * min(block, W)))
    for first in range(0, B, images):
        some = slice(first, first + images)
        for qy, ky, rows in _spans(H, side, window // 2):
            for qx, kx, cols in _spans(W, side, window // 2):
                yield Tile((some, qy, qx), (some, ky, kx), (rows, cols))


class Masks:
    """Who sees whom: one matrix [queries, keys] for each place that a tile takes in its block of keys."""

    def __init__(self, window: int, normalize: str, like: Tensor) -> None:
        self._reach = window // 2
        self._normalize = normalize
        self._like = like
        self._made: dict[tuple[_Axis, _Axis], Tensor] = {}

    def __getitem__(self, place: tuple[_Axis, _Axis]) -> Tensor:
        """For softmax 0 or -inf, to add to the logits; for mean 1 / neighbours or 0, to multiply them."""
        if place not in self._made:
            self._made[place] = self._make(*(self._near(axis) for axis in place))
        return self._made[place]

    def _near(self, axis: _Axis) -> Tensor:
        start, stop, end = axis
        index = torch.arange(end, device=self._like.device)
        return (index[start:stop, None] - index).abs() <= self._reach

    def _make(self, rows: Tensor, cols: Tensor) -> Tensor:
        seen = (rows[:, None, :, None] & cols[None, :, None, :]).flatten(2).flatten(0, 1)
        if self._normalize == "softmax":
            return torch.zeros_like(seen, dtype=self._like.dtype).masked_fill_(~seen, -torch.inf)
        share = seen.to(self._like.dtype)
        return share / share.sum(1, keepdim=True)


def accumulation(*tensors: Tensor) -> torch.dtype:
    """The dtype of logits and sums: that of the inputs, but at least float32."""
    dtype = torch.float32
    for tensor in tensors:
        dtype = torch.promote_types(dtype, tensor.dtype)
    return dtype


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """A context in which products have the types of their factors, whatever the caller's autocast says."""
    if not torch.amp.is_autocast_available(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


def _pixel_major(x: Tensor) -> Tensor:
    """[B, C, H, W] as [B, H, W, C]: a rectangle of pixels is then a matrix whose rows are contiguous."""
    return x.permute(0, 2, 3, 1).contiguous()


def _rows(image: Tensor, where: tuple[slice, slice, slice], dtype: torch.dtype) -> Tensor:
    """The pixels of a rectangle as the rows of a matrix, [images, pixels, channels]."""
    return image[where].flatten(1, 2).to(dtype)


def forward(
    q: Tensor, k: Tensor, v: Tensor, window: int, normalize: str, dtype: torch.dtype | None = None
) -> tuple[Tensor, Tensor]:
    """The attended values [B, M, H, W], channels_last, and the log2-sum-exp of each pixel [B, H, W].

    ``dtype`` is that of logits and sums, if it shall not be the usual one.
    """
    with without_autocast(q.device):
        q, k, v = map(_pixel_major, (q, k, v))
        dtype = dtype or accumulation(q, k, v)
        out, lse = torch.empty_like(v), torch.zeros(q.shape[:3], dtype=dtype, device=q.device)
        masks = Masks(window, normalize, lse)
        for tile in tiles(q, window):
            queries, keys, values = (
                _rows(image, where, dtype) for image, where in ((q, tile.queries), (k, tile.keys), (v, tile.keys))
            )
            if normalize == "softmax":
                weights = torch.baddbmm(masks[tile.place], queries, keys.transpose(1, 2))
                top = weights.amax(2, keepdim=True)
                weights = weights.sub_(top).exp_()
                total = weights.sum(2, keepdim=True)
                attended = torch.bmm(weights, values).div_(total)
                lse[tile.queries] = total.log_().add_(top).div_(math.log(2)).view_as(lse[tile.queries])
            else:
                weights = torch.bmm(queries, keys.transpose(1, 2)).mul_(masks[tile.place])
                attended = torch.bmm(weights, values)
            out[tile.queries] = attended.view_as(out[tile.queries]).to(out.dtype)
        return out.permute(0, 3, 1, 2), lse


def backward(
    grad: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    lse: Tensor,
    window: int,
    normalize: str,
    dtype: torch.dtype | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of q, k and v, channels_last, from that of ``out`` and what :func:`forward` returned."""
    with without_autocast(q.device):
        grad, q, k, v, out = map(_pixel_major, (grad, q, k, v, out))
        dtype = dtype or accumulation(q, k, v)
        dq, dk, dv = (torch.zeros(x.shape, dtype=dtype, device=x.device) for x in (q, k, v))
        masks = Masks(window, normalize, dq)
        for tile in tiles(q, window):
            queries, dout, attended = (_rows(image, tile.queries, dtype) for image in (q, grad, out))
            keys, values = (_rows(image, tile.keys, dtype) for image in (k, v))
            dlogits = torch.bmm(dout, values.transpose(1, 2))
            if normalize == "softmax":
                weights = torch.baddbmm(masks[tile.place], queries, keys.transpose(1, 2))
                total = lse[tile.queries].reshape(*weights.shape[:2], 1).to(dtype) * math.log(2)
                weights = weights.sub_(total).exp_()
                # the softmax's backward: each weight moves by its own gradient less the mean gradient
                dlogits = dlogits.sub_((dout * attended).sum(2, keepdim=True)).mul_(weights)
            else:
                weights = torch.bmm(queries, keys.transpose(1, 2)).mul_(masks[tile.place])
                dlogits = dlogits.mul_(masks[tile.place])
            dq[tile.queries] = torch.bmm(dlogits, keys).view_as(dq[tile.queries])
            dk[tile.keys] += torch.bmm(dlogits.transpose(1, 2), queries).view_as(dk[tile.keys])
            dv[tile.keys] += torch.bmm(weights.transpose(1, 2), dout).view_as(dv[tile.keys])
        dq, dk, dv = (x.to(like.dtype).permute(0, 3, 1, 2) for x, like in ((dq, q), (dk, k), (dv, v)))
        return dq, dk, dv
