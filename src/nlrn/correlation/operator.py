"""The kernels as an operator of PyTorch: differentiable, and opaque to torch.compile and torch.export."""

from typing import Any

import torch
from torch import Tensor

from nlrn.correlation import kernels


def _library(kernel: str) -> Any:
    library = kernels.load(kernel)
    if library is None:
        # a program exported where the kernel was built, run where it was not
        raise RuntimeError(f"the correlation kernel {kernel} was not built on this machine")
    return library


@torch.library.custom_op("nlrn::confined_attention", mutates_args=())
def attend(q: Tensor, k: Tensor, v: Tensor, window: int, kernel: str) -> tuple[Tensor, Tensor]:
    """The attended values [B, M, H, W] and the log-sum-exp of each pixel, which only the backward pass reads.

    q, k and v are of the kernel's type.
    """
    return kernels.forward(_library(kernel), q, k, v, window)


@torch.library.custom_op("nlrn::confined_attention_backward", mutates_args=())
def attend_backward(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, window: int, kernel: str
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of q, k and v."""
    return kernels.backward(_library(kernel), grad, q, k, v, out, lse, window)


def _like(x: Tensor) -> Tensor:
    B, C, H, W = x.shape
    return x.new_empty((B, H, W, C)).permute(0, 3, 1, 2)


@attend.register_fake
def _(q: Tensor, k: Tensor, v: Tensor, window: int, kernel: str) -> tuple[Tensor, Tensor]:
    return _like(v), q.new_empty((q.shape[0], q.shape[2], q.shape[3]), dtype=torch.float32)


@attend_backward.register_fake
def _(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, window: int, kernel: str
) -> tuple[Tensor, Tensor, Tensor]:
    return _like(q), _like(k), _like(v)


def _remember(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    q, k, v, ctx.window, ctx.kernel = inputs
    ctx.save_for_backward(q, k, v, *output)


def _differentiate(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
    dq, dk, dv = attend_backward(grad, *ctx.saved_tensors, ctx.window, ctx.kernel)
    return dq, dk, dv, None, None


attend.register_autograd(_differentiate, setup_context=_remember)


@torch.library.custom_op("nlrn::propagated_attention", mutates_args=())
def attend_with_map(
    q: Tensor, k: Tensor, v: Tensor, before: Tensor | None, window: int, kernel: str
) -> tuple[Tensor, Tensor, Tensor]:
    """As :func:`attend`, with the map of logits of the steps before added; returns the map of all steps too."""
    library = _library(kernel)
    after = torch.empty(kernels.map_size(library, v, window))
    return *kernels.map_forward(library, q, k, v, before, after, window), after


@torch.library.custom_op("nlrn::propagated_attention_backward", mutates_args=())
def attend_with_map_backward(
    grad: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    lse: Tensor,
    logits: Tensor,
    later: Tensor | None,
    first: bool,
    window: int,
    kernel: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The gradients of q, k, v and of the map before (empty where this is the first)."""
    earlier = logits.new_empty(0 if first else logits.shape[0])
    gradients = kernels.map_backward(
        _library(kernel), grad, q, k, v, out, lse, logits, later, None if first else earlier, window
    )
    return *gradients, earlier


@attend_with_map.register_fake
def _(
    q: Tensor, k: Tensor, v: Tensor, before: Tensor | None, window: int, kernel: str
) -> tuple[Tensor, Tensor, Tensor]:
    out, lse = _like(v), q.new_empty((q.shape[0], q.shape[2], q.shape[3]), dtype=torch.float32)
    size = before.shape[0] if before is not None else torch.library.get_ctx().new_dynamic_size()
    return out, lse, q.new_empty(size, dtype=torch.float32)


@attend_with_map_backward.register_fake
def _(
    grad: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    lse: Tensor,
    logits: Tensor,
    later: Tensor | None,
    first: bool,
    window: int,
    kernel: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return _like(q), _like(k), _like(v), logits.new_empty(0 if first else logits.shape[0])


def _remember_map(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    q, k, v, before, ctx.window, ctx.kernel = inputs
    ctx.first = before is None
    ctx.set_materialize_grads(False)  # a map that no later step reads has no gradient
    ctx.save_for_backward(q, k, v, *output)


def _differentiate_map(
    ctx: Any, grad: Tensor | None, _: Tensor | None, later: Tensor | None
) -> tuple[Tensor | None, ...]:
    q, k, v, out, lse, logits = ctx.saved_tensors
    dq, dk, dv, earlier = attend_with_map_backward(
        torch.zeros_like(out) if grad is None else grad,
        q, k, v, out, lse, logits, later, ctx.first, ctx.window, ctx.kernel,
    )  # fmt: skip
    return dq, dk, dv, None if ctx.first else earlier, None, None


attend_with_map.register_autograd(_differentiate_map, setup_context=_remember_map)
