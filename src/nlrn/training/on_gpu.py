"""The network's forward pass in training on a GPU: the function of :mod:`nlrn.network` in few passes over memory.

Norms that keep still are scales and shifts. The biases of the convolutions before them go into the shifts, and each
is one pass together with the sum before it and the ReLU behind it. Queries, keys and values are one product.
"""

# torch has no types for what makes an operator
# mypy: disable-error-code="no-untyped-call"

from functools import cache
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from nlrn.correlation import form_for, gpu
from nlrn.correlation.forms import GPU
from nlrn.network import NLRN, Body, Norms

_SIZE = 4096
"""Features that a program holds at once."""
_PROGRAMS = 1024
"""Of the backward pass: a few for each processor of a large GPU."""


@cache
def _programs() -> Any:
    from nlrn.training import programs

    return programs


def fits(network: NLRN, device: torch.device) -> bool:
    """Whether :func:`forward` can take the place of the network's own, as long as its norms keep still."""
    config = network.config
    usual = config.propagate and config.similarity == "embedded-gaussian"
    sizes = all(n & (n - 1) == 0 and 16 <= n <= 256 for n in (config.filters, config.embedding))
    return usual and sizes and form_for(torch.bfloat16, device) == GPU


def forward(
    network: NLRN,
    x: Tensor,
    sigma: Tensor | None = None,
    *,
    scale: int | None = None,
    dtype: torch.dtype = torch.bfloat16,
) -> Tensor:
    """As the network's own, in autocast, with all of its steps and with norms that keep still.

    Args:
        network: one that :func:`fits`.
        x, sigma, scale: as for the network.
        dtype: of the features.
    """
    config = network.config
    scales, shifts = _folded(network)
    bodies = [_Kernels.of(cast(Body, body), dtype) for body in network.bodies]
    first = network.head(network.head_norm(network.seen(x, sigma)))
    y = first.permute(0, 2, 3, 1).to(dtype).contiguous()

    made, logits = y, None
    for t in range(config.steps):
        body = bodies[config.group(t)]
        features = _scaled(made, y if t else None, scales[3 * t], shifts[3 * t], relu=True)
        attended = None
        if t in config.blocks:
            projected = F.linear(features, cast(Tensor, body.projections), body.bias)
            attended, logits = _Attend.apply(logits, projected, config.embedding, config.window)
        features = _scaled(features, attended, scales[3 * t + 1], shifts[3 * t + 1], relu=False)
        features = _convolved(features, body.first)
        features = _scaled(features, None, scales[3 * t + 2], shifts[3 * t + 2], relu=True)
        made = _convolved(features, body.second)
    features = _scaled(made, y, scales[-1], shifts[-1], relu=True).permute(0, 3, 1, 2)
    some = network.made(scale)
    residual = F.conv2d(features, network.tail.weight[some], cast(Tensor, network.tail.bias)[some], padding=1)
    return network.finished(residual, x, scale)


class _Kernels(NamedTuple):
    """The kernels of a group of steps."""

    first: Tensor
    second: Tensor
    projections: Tensor | None
    """Those of theta, phi and g as one matrix."""
    bias: Tensor | None
    """Of the projections."""

    @classmethod
    def of(cls, body: Body, dtype: torch.dtype) -> "_Kernels":
        first, second = (conv.weight.to(dtype) for conv in (body.conv1, body.conv2))
        if not hasattr(body, "non_local"):
            return cls(first, second, None, None)
        parts = (body.non_local.theta, body.non_local.phi, body.non_local.g)
        matrix = torch.cat([part.weight.flatten(1) for part in parts]).to(dtype)
        return cls(first, second, matrix, torch.cat([cast(Tensor, part.bias) for part in parts]).to(dtype))


def _folded(network: NLRN) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """A scale and a shift for each norm, in turn, the bias of the convolution before it in the shift."""
    steps = cast(list[Norms], list(network.norms))
    norms = [norm for step in steps for norm in (step.block, step.conv1, step.conv2)] + [network.tail_norm]
    weight, bias, mean, variance = (
        torch.stack([getattr(norm, name) for norm in norms])
        for name in ("weight", "bias", "running_mean", "running_var")
    )
    scale = weight * (variance + network.tail_norm.eps).rsqrt()
    nothing = torch.zeros_like(scale[0])
    before = [nothing]  # the first of all norms sees the output of the head, which has its bias in it
    for t in range(network.config.steps):
        body = cast(Body, network.bodies[network.config.group(t)])
        before += [nothing, cast(Tensor, body.conv1.bias), cast(Tensor, body.conv2.bias)]
    return scale.unbind(), (bias + (torch.stack(before) - mean) * scale).unbind()


def _convolved(features: Tensor, kernel: Tensor) -> Tensor:
    made = F.conv2d(features.permute(0, 3, 1, 2), kernel, padding=1)
    return made.permute(0, 2, 3, 1).contiguous()


def _scaled(a: Tensor, b: Tensor | None, scale: Tensor, shift: Tensor, *, relu: bool) -> Tensor:
    made: Tensor = _Scaled.apply(a, b, scale, shift, relu)
    return made


class _Scaled(torch.autograd.Function):
    """(a + b) scale + shift for features [B, H, W, C], with a ReLU or without."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor | None, scale: Tensor, shift: Tensor, relu: bool) -> Tensor:
        ctx.relu, C = relu, a.shape[-1]
        ctx.save_for_backward(a, b, scale, shift)
        out, rows = torch.empty_like(a), a.numel() // C
        block = _SIZE // C
        _programs().scaled[(-(-rows // block),)](
            a, a if b is None else b, scale, shift, out, rows, C=C, BLOCK=block, TWO=b is not None, RELU=relu
        )
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        a, b, scale, shift = ctx.saved_tensors
        grad, C = gradients[0].contiguous(), a.shape[-1]
        dx, rows, block = torch.empty_like(a), a.numel() // C, _SIZE // C
        count = min(_PROGRAMS, -(-rows // block))
        of_scale, of_shift = scale.new_empty((2, count, C)).unbind()
        _programs().scaled_backward[(count,)](
            a, a if b is None else b, scale, shift, grad, dx, of_scale, of_shift, rows,
            C=C, BLOCK=block, TWO=b is not None, RELU=ctx.relu,
        )  # fmt: skip
        return dx, None if b is None else dx, of_scale.sum(0), of_shift.sum(0), None


class _Attend(torch.autograd.Function):
    """A step of propagated attention for queries, keys and values side by side, [B, H, W, 2 D + M]."""

    @staticmethod
    def forward(ctx: Any, before: Tensor | None, projected: Tensor, embedding: int, window: int) -> Any:
        ctx.first, ctx.sizes, ctx.window = before is None, (embedding, window), window
        parts = _parts(projected, embedding)
        after = projected.new_empty(gpu.map_size(parts[2].shape))
        out, lse = gpu.map_forward(*parts, before, after, window)
        ctx.set_materialize_grads(False)  # the last map has no gradient
        attended = out.permute(0, 2, 3, 1)
        ctx.save_for_backward(projected, attended, after, lse)
        return attended, after

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        grad, later = gradients
        projected, attended, logits, lse = ctx.saved_tensors
        embedding, window = ctx.sizes
        earlier = None if ctx.first else torch.empty_like(logits)
        found = torch.empty_like(projected)
        images = (grad.permute(0, 3, 1, 2), *_parts(projected, embedding), attended.permute(0, 3, 1, 2))
        gpu.map_backward(images, lse, logits, later, earlier, window, _parts(found, embedding))
        return earlier, found, None, None


def _parts(projected: Tensor, embedding: int) -> tuple[Tensor, Tensor, Tensor]:
    image = projected.permute(0, 3, 1, 2)
    return image[:, :embedding], image[:, embedding : 2 * embedding], image[:, 2 * embedding :]
