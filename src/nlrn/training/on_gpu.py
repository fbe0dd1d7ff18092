"""The passes of :mod:`nlrn.training.few_passes` on a GPU: programs in Triton."""

# torch has no types for what makes an operator
# mypy: disable-error-code="no-untyped-call"

from functools import cache
from typing import Any, cast

import torch
from torch import Tensor

from nlrn.config import Config
from nlrn.correlation import form_for, gpu
from nlrn.correlation.forms import GPU

_SIZE = 4096
"""Features that a program holds at once."""
_PROGRAMS = 1024
"""Of the backward pass: a few for each processor of a large GPU."""


@cache
def _programs() -> Any:
    from nlrn.training import programs

    return programs


def fits(config: Config, device: torch.device) -> bool:
    """Whether there are programs for it."""
    sizes = all(n & (n - 1) == 0 and 16 <= n <= 256 for n in (config.filters, config.embedding))
    return sizes and form_for(torch.bfloat16, device) == GPU


def scaled(a: Tensor, b: Tensor | None, scale: Tensor, shift: Tensor, *, relu: bool) -> Tensor:
    """(a + b) scale + shift for features [B, H, W, C], with a ReLU or without."""
    C = a.shape[-1]
    out, rows, block = torch.empty_like(a), a.numel() // C, _SIZE // C
    _programs().scaled[(-(-rows // block),)](
        a, a if b is None else b, scale, shift, out, rows, C=C, BLOCK=block, TWO=b is not None, RELU=relu
    )
    return out


def scaled_backward(
    a: Tensor, b: Tensor | None, scale: Tensor, shift: Tensor, grad: Tensor, *, relu: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of a and b, which are the same, and of scale and shift in parts [P, C]."""
    C = a.shape[-1]
    of_both, rows, block = torch.empty_like(a), a.numel() // C, _SIZE // C
    count = min(_PROGRAMS, -(-rows // block))
    of_scale, of_shift = scale.new_empty((2, count, C)).unbind()
    _programs().scaled_backward[(count,)](
        a, a if b is None else b, scale, shift, grad, of_both, of_scale, of_shift, rows,
        C=C, BLOCK=block, TWO=b is not None, RELU=relu,
    )  # fmt: skip
    return of_both, of_scale, of_shift


class Attention:
    """The correlation of one step after another."""

    def __init__(self, config: Config) -> None:
        self.embedding, self.window = config.embedding, config.window
        self.logits: Tensor | None = None

    def __call__(self, projected: Tensor) -> Tensor:
        """The attended values [B, H, W, M] of queries, keys and values side by side, [B, H, W, 2 D + M]."""
        attended, self.logits = _Attend.apply(self.logits, projected, self.embedding, self.window)
        return cast(Tensor, attended)


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
