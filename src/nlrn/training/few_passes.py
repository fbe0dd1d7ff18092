"""The network's forward pass in training in bf16: the function of :mod:`nlrn.network` in few passes over memory.

Norms that keep still are scales and shifts. The biases of the convolutions before them go into the shifts, and each
is one pass together with the sum before it and the ReLU behind it. Queries, keys and values are one product.
"""

# torch has no types for what makes an operator
# mypy: disable-error-code="no-untyped-call"

from types import ModuleType
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from nlrn.network import NLRN, Body, Norms
from nlrn.training import on_cpu, on_gpu


def fits(network: NLRN, device: torch.device) -> bool:
    """Whether :func:`forward` can take the place of the network's own, as long as its norms keep still."""
    usual = network.config.propagate and network.config.similarity == "embedded-gaussian"
    return usual and (on_gpu if device.type == "cuda" else on_cpu).fits(network.config, device)


def forward(
    network: NLRN,
    x: Tensor,
    sigma: Tensor | None = None,
    *,
    scale: int | None = None,
    dtype: torch.dtype = torch.bfloat16,
    on: ModuleType | None = None,
) -> Tensor:
    """As the network's own, in autocast, with all of its steps and with norms that keep still.

    Args:
        network: one that :func:`fits`.
        x, sigma, scale: as for the network.
        dtype: of the features.
        on: the passes to take, :mod:`nlrn.training.on_cpu` or :mod:`nlrn.training.on_gpu`; by default where x is.
    """
    config = network.config
    scales, shifts = _folded(network)
    bodies = [_Kernels.of(cast(Body, body), dtype) for body in network.bodies]
    first = network.head(network.head_norm(network.seen(x, sigma)))
    y = first.permute(0, 2, 3, 1).to(dtype).contiguous()

    on = on or (on_gpu if x.is_cuda else on_cpu)
    attend, made = on.Attention(config), y
    for t in range(config.steps):
        body = bodies[config.group(t)]
        features = scaled(on, made, y if t else None, scales[3 * t], shifts[3 * t], relu=True)
        attended = None
        if t in config.blocks:
            projected = F.linear(features, cast(Tensor, body.projections), body.bias)
            attended = attend(projected)
        features = scaled(on, features, attended, scales[3 * t + 1], shifts[3 * t + 1], relu=False)
        features = _convolved(features, body.first)
        features = scaled(on, features, None, scales[3 * t + 2], shifts[3 * t + 2], relu=True)
        made = _convolved(features, body.second)
    features = scaled(on, made, y, scales[-1], shifts[-1], relu=True).permute(0, 3, 1, 2)
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


def scaled(on: ModuleType, a: Tensor, b: Tensor | None, scale: Tensor, shift: Tensor, *, relu: bool) -> Tensor:
    """(a + b) scale + shift for features [B, H, W, C], with a ReLU or without, by the passes of ``on``."""
    return cast(Tensor, _Scaled.apply(on, a, b, scale, shift, relu))


class _Scaled(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, on: ModuleType, a: Tensor, b: Tensor | None, scale: Tensor, shift: Tensor, relu: bool
    ) -> Tensor:
        ctx.on, ctx.relu = on, relu
        ctx.save_for_backward(a, b, scale, shift)
        made: Tensor = on.scaled(a, b, scale, shift, relu=relu)
        return made

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        a, b, scale, shift = ctx.saved_tensors
        back = ctx.on.scaled_backward(a, b, scale, shift, gradients[0].contiguous(), relu=ctx.relu)
        of_both, of_scale, of_shift = back
        return None, of_both, None if b is None else of_both, of_scale.sum(0), of_shift.sum(0), None


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
