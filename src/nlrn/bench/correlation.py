"""Times the confined correlation on this machine: the forms side by side, in one run.

Machines, clocks and neighbours differ from one minute to the next; what stays is the ratio of two forms measured
together, and the fraction of the rate at which this PyTorch multiplies large matrices.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from nlrn.bench.arithmetic import gemm_rate, neighbours
from nlrn.bench.timing import seconds
from nlrn.config import Config
from nlrn.correlation import available, dispatch, reference_attention, tiled
from nlrn.correlation.kernels import KERNELS
from nlrn.correlation.operator import attend
from nlrn.models import list_models

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
# The forms that are not this package's kernels; the ratio of a row is to the fastest of them.
PYTORCH_FORMS = ("torch", "eager", "sdpa", "flex")
_SDPA_TILE = 16
# flex_attention takes pixels in the order of tiles of 8 x 16, 128 in a row of its blocks
_FLEX_H, _FLEX_W = 8, 16

Form = Callable[[Tensor, Tensor, Tensor, int], Tensor]


def shipped() -> list[tuple[int, int, int]]:
    """Channels of queries and of values, and the window, of the models that ship and of the paper's network."""
    configs = [Config(**card["config"]) for card in list_models().values()]
    return sorted({(config.embedding, config.filters, config.window) for config in (*configs, Config())})


def correlation(
    *,
    size: int = 128,
    window: int = 45,
    depths: Sequence[int] = (64, 128, 256, 768),
    width: int = 128,
    batch: int = 1,
    forms: Sequence[str] | None = None,
    repeats: int = 3,
    precision: str = "fp32",
) -> dict[str, Any]:
    """Time forward and backward of the correlation on the CPU, with the threads that PyTorch has.

    Args:
        size: side of the images.
        window: side of the neighbourhood, odd.
        depths: channels of queries and keys, one measurement each.
        width: channels of the values.
        batch: images.
        forms: which to compare: names from ``nlrn.correlation.available()``, "eager" (the same as "torch", but
            also its logits and sums in the type of the inputs: less exact), "sdpa" (PyTorch's attention on tiles)
            and "flex" (its compiled flex_attention; both forward only); None for all that make sense.
        repeats: the forms take turns this many times, and the quickest of each counts.
        precision: the type of the inputs, "fp32" or "bf16".

    Returns:
        Ready for JSON: the settings, ``gemm_gflops`` in the same precision, ``rows`` (form, depth, direction,
        ``us_per_pixel``, ``gemm_fraction`` of useful arithmetic, ``ratio``: how many times as fast as the best
        PyTorch form), and ``left_out``: why a form gave no figure.
    """
    dtype = PRECISIONS[precision]
    names = _forms(dtype) if forms is None else list(forms)
    pixels, seen = batch * size * size, neighbours(size, window) ** 2 * batch
    rate = gemm_rate(dtype)
    rows: list[dict[str, Any]] = []
    left_out: dict[str, str] = {}
    for depth in depths:
        inputs = _inputs(batch, depth, width, size, dtype)
        best: dict[tuple[str, str], float] = {}
        for _ in range(repeats):
            for name in names:
                if f"{name}, D={depth}" in left_out:
                    continue
                try:
                    for direction, took in _time(name, inputs, window):
                        key = (name, direction)
                        best[key] = min(took, best.get(key, math.inf))
                except (RuntimeError, ValueError, NotImplementedError) as error:
                    left_out[f"{name}, D={depth}"] = str(error).splitlines()[0]
            rate = max(rate, gemm_rate(dtype))
        for (name, direction), took in best.items():
            multiplications = depth + width if direction == "forward" else 3 * depth + 2 * width
            rivals = [s for (n, d), s in best.items() if d == direction and n in PYTORCH_FORMS]
            rows.append(
                {
                    "form": name,
                    "depth": depth,
                    "direction": direction,
                    "us_per_pixel": took / pixels * 1e6,
                    "gemm_fraction": 2 * seen * multiplications / took / rate,
                    "ratio": min(rivals) / took if rivals else None,
                }
            )
    return {
        "precision": precision,
        "size": size,
        "window": window,
        "width": width,
        "batch": batch,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "capability": torch.backends.cpu.get_cpu_capability(),
        "gemm_gflops": rate / 1e9,
        "rows": rows,
        "left_out": left_out,
    }


def table(results: dict[str, Any]) -> str:
    """The results of :func:`correlation` for reading."""
    lines = [
        "{batch} x {size}x{size}, window {window}, M = {width}, {precision}, {threads} threads, {capability}, "
        "PyTorch {torch}; matrix products {gemm_gflops:.0f} GFLOP/s".format(**results),
        f"{'form':10} {'D':>4} {'direction':9} {'us/pixel':>9} {'of GEMM':>8} {'x PyTorch':>9}",
    ]
    for row in sorted(results["rows"], key=lambda r: (r["depth"], r["direction"] == "backward", r["us_per_pixel"])):
        ratio = "" if row["ratio"] is None else f"{row['ratio']:9.2f}"
        lines.append(
            f"{row['form']:10} {row['depth']:4} {row['direction']:9} {row['us_per_pixel']:9.2f} "
            f"{row['gemm_fraction']:8.2f} {ratio}"
        )
    lines += [f"left out: {what}: {why}" for what, why in results["left_out"].items()]
    return "\n".join(lines)


def _forms(dtype: torch.dtype) -> list[str]:
    """The forms worth comparing for inputs of this type."""
    kernels = [name for name in available() if name in KERNELS]
    names = [name for name in kernels if KERNELS[name].dtype == dtype]
    if dtype != torch.float32:
        # and what runs where there is no kernel for the type: the fastest one that converts its inputs
        names += [*[name for name in kernels if name not in names][:1], "eager"]
    return [*names, "torch", "sdpa", "flex"]


def _inputs(batch: int, depth: int, width: int, size: int, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = [(batch, size, size, channels) for channels in (depth, depth, width)]
    # logits of a few units, as a trained network has them
    scales = (depth**-0.25, depth**-0.25, 1.0)
    images = [torch.randn(s, generator=generator) * scale for s, scale in zip(shapes, scales, strict=True)]
    return [x.to(dtype).permute(0, 3, 1, 2).requires_grad_() for x in images]


class _Eager(torch.autograd.Function):
    """PyTorch's tiles with logits and sums in the type of the inputs."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, window: int) -> Tensor:
        out, lse = tiled.forward(q, k, v, window, "softmax", q.dtype)
        ctx.save_for_backward(q, k, v, out, lse)
        ctx.window = window
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, out, lse = ctx.saved_tensors
        return *tiled.backward(grad, q, k, v, out, lse, ctx.window, "softmax", q.dtype), None


def _form(name: str) -> Form:
    """The form of this name.

    Raises:
        ValueError: there is none.
        RuntimeError: it cannot run here.
    """
    others: dict[str, Form] = {"sdpa": _sdpa, "flex": _flex, "eager": _Eager.apply, "reference": reference_attention}
    return others.get(name) or partial(attend, form=dispatch.check(name))


def _time(name: str, inputs: list[Tensor], window: int) -> Iterator[tuple[str, float]]:
    form = _form(name)
    q, k, v = (x.detach() for x in inputs)
    if name == "flex":
        form(q, k, v, window)  # compiles
    yield "forward", seconds(lambda: form(q, k, v, window))
    if name in ("sdpa", "flex"):
        return  # neither has a backward pass of its own for this on the CPU
    q, k, v = inputs
    out = form(q, k, v, window)
    gradient = torch.ones_like(out)
    yield "backward", seconds(lambda: torch.autograd.grad(out, inputs, gradient))


def _sdpa(q: Tensor, k: Tensor, v: Tensor, window: int) -> Tensor:
    """PyTorch's attention on tiles of queries, with a mask of who sees whom."""
    (_, _, H, W), reach = q.shape, window // 2
    out = torch.empty_like(v)
    masks: dict[tuple[int, ...], Tensor] = {}
    for y in range(0, H, _SDPA_TILE):
        for x in range(0, W, _SDPA_TILE):
            (y1, x1), (top, left) = (
                (min(H, y + _SDPA_TILE), min(W, x + _SDPA_TILE)),
                (max(0, y - reach), max(0, x - reach)),
            )
            bottom, right = min(H, y1 + reach), min(W, x1 + reach)
            place = (y - top, y1 - top, bottom - top, x - left, x1 - left, right - left)
            if place not in masks:
                rows, cols = (
                    (torch.arange(a, b)[:, None] - torch.arange(n)).abs() <= reach
                    for a, b, n in (place[:3], place[3:])
                )
                seen = (rows[:, None, :, None] & cols[None, :, None, :]).flatten(2).flatten(0, 1)
                masks[place] = torch.zeros(seen.shape, dtype=q.dtype).masked_fill_(~seen, -torch.inf)
            queries = q[..., y:y1, x:x1].flatten(2).transpose(1, 2)[:, None]
            keys, values = (i[..., top:bottom, left:right].flatten(2).transpose(1, 2)[:, None] for i in (k, v))
            attended = F.scaled_dot_product_attention(queries, keys, values, masks[place], scale=1.0)
            out[..., y:y1, x:x1] = attended[:, 0].transpose(1, 2).view(*v.shape[:2], y1 - y, x1 - x)
    return out


def _in_tiles(x: Tensor) -> Tensor:
    """[B, C, H, W] as [B, 1, H W, C], tile by tile."""
    B, C, H, W = x.shape
    x = x.reshape(B, C, H // _FLEX_H, _FLEX_H, W // _FLEX_W, _FLEX_W)
    return x.permute(0, 2, 4, 3, 5, 1).flatten(1, 4)[:, None].contiguous()


def _flex(q: Tensor, k: Tensor, v: Tensor, window: int) -> Tensor:
    """PyTorch's flex_attention, compiled; the image must be tiles by a power of two."""
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    (_, _, H, W), reach = q.shape, window // 2
    across = W // _FLEX_W
    if H % _FLEX_H or W % _FLEX_W or across & (across - 1):
        raise ValueError(f"flex is compared on images of {_FLEX_W} times a power of two")
    shift = across.bit_length() - 1

    # bits, for a division in the mask would cost more than the attention
    def place(i: Tensor) -> tuple[Tensor, Tensor]:
        tile = i >> 7
        return (tile >> shift) * _FLEX_H + ((i >> 4) & 7), (tile & (across - 1)) * _FLEX_W + (i & 15)

    def near(_b: Tensor, _h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        (yi, xi), (yj, xj) = place(i), place(j)
        return ((yi - yj).abs() <= reach) & ((xi - xj).abs() <= reach)

    mask = _flex_masks.get((H, W, window))
    if mask is None:
        mask = _flex_masks[H, W, window] = create_block_mask(near, None, None, H * W, H * W, device="cpu")
    if "attend" not in _compiled:
        _compiled["attend"] = torch.compile(flex_attention, dynamic=False)
    out: Tensor = _compiled["attend"](_in_tiles(q), _in_tiles(k), _in_tiles(v), block_mask=mask, scale=1.0)
    out = out.view(v.shape[0], H // _FLEX_H, across, _FLEX_H, _FLEX_W, v.shape[1])
    return out.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)


_flex_masks: dict[tuple[int, int, int], Any] = {}
_compiled: dict[str, Any] = {}
