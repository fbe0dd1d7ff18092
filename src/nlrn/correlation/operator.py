"""The correlation as an operator of PyTorch: differentiable, and opaque to torch.compile, torch.export and tracing.

``torch.ops.nlrn.confined_attention`` runs whatever form is best where it runs, so an exported program is bound to no
processor. :func:`attend` is the same with derivatives of every kind; :func:`attend_with_map` goes by a map of logits.
"""

# torch has no types for what makes an operator
# mypy: disable-error-code="no-untyped-call"

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.forward_ad import unpack_dual

from nlrn.correlation import derivatives, dispatch, forms, tiled

_LIBRARY = torch.library.Library("nlrn", "FRAGMENT")
_ARGUMENTS = "Tensor q, Tensor k, Tensor v, {}int window, str normalize, str form"
_LIBRARY.define(f"confined_attention({_ARGUMENTS.format('')}) -> (Tensor, Tensor)")
_LIBRARY.define(
    f"confined_attention_backward(Tensor grad, {_ARGUMENTS.format('Tensor out, Tensor lse, ')}) "
    "-> (Tensor, Tensor, Tensor)"
)


def _fast(form: str, normalize: str, *tensors: Tensor) -> forms.Form | None:
    """The fast form to run, or None for PyTorch. "auto" is decided here, when and where the operator runs."""
    return forms.find(dispatch.implementation(*tensors, normalize=normalize) if form == "auto" else form)


def _forward(q: Tensor, k: Tensor, v: Tensor, window: int, normalize: str, form: str) -> tuple[Tensor, Tensor]:
    """The attended values [B, M, H, W], channels_last, and the log2-sum-exp of each pixel, for the backward pass."""
    fast = _fast(form, normalize, q, k, v)
    return fast.forward(q, k, v, window) if fast else tiled.forward(q, k, v, window, normalize)


def _backward(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, window: int, normalize: str, form: str
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of q, k and v."""
    fast = _fast(form, normalize, q, k, v)
    if fast is None:
        return tiled.backward(grad, q, k, v, out, lse, window, normalize)
    return _typed(fast.backward((grad, q, k, v, out), lse, window), (q, k, v))


def _typed(found: tuple[Tensor, ...], like: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor]:
    first, second, third = (x.to(y.dtype) for x, y in zip(found, like, strict=True))
    return first, second, third


def _like(x: Tensor) -> Tensor:
    B, C, H, W = x.shape
    return x.new_empty((B, H, W, C)).permute(0, 3, 1, 2)


def _fake_forward(q: Tensor, k: Tensor, v: Tensor, *_: object) -> tuple[Tensor, Tensor]:
    lse = q.new_empty((q.shape[0], q.shape[2], q.shape[3]), dtype=tiled.accumulation(q, k, v))
    return _like(v), lse


def _fake_backward(grad: Tensor, q: Tensor, k: Tensor, v: Tensor, *_: object) -> tuple[Tensor, ...]:
    return _like(q), _like(k), _like(v)


class _Attention(torch.autograd.Function):
    """The operator with its derivatives. What goes beyond a first gradient is :mod:`nlrn.correlation.derivatives`."""

    @staticmethod
    def forward(q: Tensor, k: Tensor, v: Tensor, window: int, normalize: str, form: str) -> Any:
        with torch._C._AutoDispatchBelowAutograd():
            return torch.ops.nlrn.confined_attention(q, k, v, window, normalize, form)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        q, k, v, *ctx.settings = inputs
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(q, k, v, *output)
        ctx.save_for_forward(q, k, v)

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *_: object) -> tuple[Tensor | None, ...]:
        q, k, v, out, lse = ctx.saved_tensors
        window, normalize, form = ctx.settings
        if _differentiated(grad, q, k, v):
            found = derivatives.gradients(grad, q, k, v, window, normalize)
        else:
            found = torch.ops.nlrn.confined_attention_backward(grad, q, k, v, out, lse, window, normalize, form)
        return *found, None, None, None

    @staticmethod
    def jvp(ctx: Any, q: Tensor | None, k: Tensor | None, v: Tensor | None, *_: object) -> tuple[Tensor, None]:
        (at_q, at_k, at_v, *_rest), (window, normalize, _form) = ctx.saved_tensors, ctx.settings
        return derivatives.tangent(at_q, at_k, at_v, (q, k, v), window, normalize), None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> tuple[tuple[Tensor, ...], Any]:
        found = _Attention.apply(*_folded(info.batch_size, in_dims, arguments))
        return _unfolded(info.batch_size, found), (0, 0)


class _AttentionWithMap(torch.autograd.Function):
    """A step of propagated attention by a fast form, with the map of logits of the steps before.

    First gradients go back through the maps. All others go back to the queries and keys of all steps, of which the
    logits are a sum of products, past the maps.
    """

    @staticmethod
    def forward(before: Tensor | None, v: Tensor, window: int, form: str, *history: Tensor) -> tuple[Tensor, ...]:
        q, k = history[len(history) // 2 - 1], history[-1]
        fast = cast(forms.Form, forms.find(form))
        after = fast.new_map(q, v.shape, window)
        out, lse = fast.map_forward(q, k, v, before, after, window)
        return out, after, lse

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        before, v, ctx.window, ctx.form, *history = inputs
        ctx.first, ctx.steps = before is None, len(history) // 2
        ctx.mark_non_differentiable(output[2])
        ctx.set_materialize_grads(False)  # a map that no later step reads has no gradient
        ctx.save_for_backward(v, *history, *output)
        ctx.save_for_forward(v, *history, *output)

    @staticmethod
    def _saved(ctx: Any) -> tuple[Tensor, tuple[Tensor, ...], tuple[Tensor, ...], tuple[Tensor, ...]]:
        """The values, the queries and the keys of all steps, and the outputs."""
        v, *rest = ctx.saved_tensors
        return v, tuple(rest[: ctx.steps]), tuple(rest[ctx.steps : 2 * ctx.steps]), tuple(rest[2 * ctx.steps :])

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None, later: Tensor | None, *_: object) -> tuple[Tensor | None, ...]:
        v, queries, keys, (out, logits, lse) = _AttentionWithMap._saved(ctx)
        grad = torch.zeros_like(out) if grad is None else grad
        if _differentiated(grad, v, *queries, *keys):
            q, k = torch.cat(queries, 1), torch.cat(keys, 1)
            dq, dk, dv = derivatives.gradients(grad, q, k, v, ctx.window, "softmax")
            parts = [part for x in (dq, dk) for part in x.split([y.shape[1] for y in queries], 1)]
            return None, dv, None, None, *parts
        given = (queries[-1], keys[-1], v)
        earlier = None if ctx.first else torch.empty_like(logits)
        fast = cast(forms.Form, forms.find(ctx.form))
        found = fast.map_backward((grad, *given, out), lse, logits, later, earlier, ctx.window)
        dq, dk, dv = _typed(found, given)
        others = (None,) * (ctx.steps - 1)
        return earlier, dv, None, None, *others, dq, *others, dk

    @staticmethod
    def jvp(ctx: Any, _before: Tensor | None, v: Tensor | None, *tangents: Tensor | None) -> tuple[Any, ...]:
        values, queries, keys, (_, logits, _) = _AttentionWithMap._saved(ctx)
        both = []
        for history, some in ((queries, tangents[2 : 2 + ctx.steps]), (keys, tangents[2 + ctx.steps :])):
            moved = [torch.zeros_like(x) if t is None else t for x, t in zip(history, some, strict=True)]
            both.append((torch.cat(history, 1), torch.cat(moved, 1)))
        (q, tq), (k, tk) = both
        # the next step's tangent comes from the history too, and not from that of the map
        return derivatives.tangent(q, k, values, (tq, tk, v), ctx.window, "softmax"), torch.zeros_like(logits), None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> tuple[tuple[Tensor, ...], Any]:
        found = _AttentionWithMap.apply(*_folded(info.batch_size, in_dims, arguments))
        return _unfolded(info.batch_size, found), (0, 0, 0)


def _differentiated(grad: Tensor, *inputs: Tensor) -> bool:
    """Whether somebody differentiates the gradients, backward or forward."""
    if not grad.numel():
        return False
    return torch.is_grad_enabled() or any(unpack_dual(x).tangent is not None for x in (grad, *inputs))


def _folded(size: int, dims: tuple[int | None, ...], arguments: tuple[Any, ...]) -> list[Any]:
    """Tensors with the dimension that vmap maps over made part of their first, the batch; maps lie end to end."""
    return [
        (x.expand(size, *x.shape) if dim is None else x.movedim(dim, 0)).flatten(0, 1) if isinstance(x, Tensor) else x
        for x, dim in zip(arguments, dims, strict=True)
    ]


def _unfolded(size: int, found: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(x.unflatten(0, (size, -1)) for x in found)


def attend(q: Tensor, k: Tensor, v: Tensor, window: int, normalize: str = "softmax", form: str = "auto") -> Tensor:
    """The attended values [B, M, H, W], differentiable to any order; in the dtype of ``v``, laid out channels_last.

    Args:
        q, k, v, window, normalize: as for :func:`nlrn.correlation.confined_attention`.
        form: "auto", "torch" or the name of a fast form.
    """
    # the compiler looks into functions, and finds this one too clever; the operator has what it can make use of
    apply: Callable[..., tuple[Tensor, Tensor]] = (
        torch.ops.nlrn.confined_attention if torch.compiler.is_compiling() else _Attention.apply
    )
    return apply(q, k, v, window, normalize, form)[0]


def attend_with_map(
    queries: tuple[Tensor, ...], keys: tuple[Tensor, ...], v: Tensor, before: Tensor | None, window: int, form: str
) -> tuple[Tensor, Tensor]:
    """As :func:`attend` for the last step's queries and keys, the logits of the map before added.

    Returns:
        The attended values, and the map of all steps, in the form's own order.
    """
    out, logits, _ = _AttentionWithMap.apply(before, v, window, form, *queries, *keys)
    return out, logits


_LIBRARY.impl("confined_attention", _forward, "CompositeExplicitAutograd")
_LIBRARY.impl("confined_attention_backward", _backward, "CompositeExplicitAutograd")
torch.library.register_fake("nlrn::confined_attention", _fake_forward, lib=_LIBRARY)
torch.library.register_fake("nlrn::confined_attention_backward", _fake_backward, lib=_LIBRARY)
_LIBRARY.impl("confined_attention", _Attention.apply, "Autograd")
