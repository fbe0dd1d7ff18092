"""Passes over features on a GPU, in Triton: what stands between two products of matrices, as one pass over memory."""

import triton
import triton.language as tl


@triton.jit
def scaled(
    a, b, scale, shift, out, rows, C: tl.constexpr, BLOCK: tl.constexpr, TWO: tl.constexpr, RELU: tl.constexpr
):  # fmt: skip
    """(a + b) scale + shift, channel by channel, with a ReLU or without."""
    row, channel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK), tl.arange(0, C)
    place, inside = row[:, None] * C + channel[None, :], (row < rows)[:, None]
    x = tl.load(a + place, inside, 0.0).to(tl.float32)
    if TWO:
        x += tl.load(b + place, inside, 0.0).to(tl.float32)
    x = x * tl.load(scale + channel)[None, :] + tl.load(shift + channel)[None, :]
    if RELU:
        x = tl.maximum(x, 0.0)
    tl.store(out + place, x.to(out.dtype.element_ty), inside)


@triton.jit
def scaled_backward(
    a, b, scale, shift, grad, dx, of_scale, of_shift, rows,
    C: tl.constexpr, BLOCK: tl.constexpr, TWO: tl.constexpr, RELU: tl.constexpr,
):  # fmt: skip
    """The gradient of a, which is that of b too, and what each program finds of those of scale and shift."""
    channel = tl.arange(0, C)
    factor, added = tl.load(scale + channel)[None, :], tl.load(shift + channel)[None, :]
    sum_scale, sum_shift = tl.zeros([C], tl.float32), tl.zeros([C], tl.float32)
    for first in range(tl.program_id(0) * BLOCK, rows, tl.num_programs(0) * BLOCK):
        row = first + tl.arange(0, BLOCK)
        place, inside = row[:, None] * C + channel[None, :], (row < rows)[:, None]
        x = tl.load(a + place, inside, 0.0).to(tl.float32)
        if TWO:
            x += tl.load(b + place, inside, 0.0).to(tl.float32)
        slope = tl.load(grad + place, inside, 0.0).to(tl.float32)
        if RELU:
            slope = tl.where(x * factor + added > 0, slope, 0.0)
        sum_scale += tl.sum(slope * x, 0)
        sum_shift += tl.sum(slope, 0)
        tl.store(dx + place, (slope * factor).to(dx.dtype.element_ty), inside)
    place = tl.program_id(0) * C + channel
    tl.store(of_scale + place, sum_scale)
    tl.store(of_shift + place, sum_shift)
