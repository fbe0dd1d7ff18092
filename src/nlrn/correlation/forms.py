"""The fast forms of the correlation under one set of names: the kernels of the CPU, and the programs of a GPU."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from nlrn.correlation import gpu, kernels, tiled

GPU = "triton"
"""The name of the form that runs on a GPU."""
Three = tuple[Tensor, Tensor, Tensor]


class Form(Protocol):
    """The calls that a fast form answers, all of them for softmax.

    ``forward`` gives the attended values [B, M, H, W], channels_last, and the log2-sum-exp of each pixel [B, H, W],
    float32; ``backward`` the gradients of q, k and v, from that of the values, q, k, v, and what ``forward`` gave.
    With a map, ``map_forward`` adds the logits of ``before``, where it is given, and puts all into ``after``;
    ``map_backward`` takes ``later``, the gradient of the map after, if there is any, and puts that of the map before
    into ``earlier``, if it is asked for.
    """

    def forward(self, q: Tensor, k: Tensor, v: Tensor, window: int) -> tuple[Tensor, Tensor]: ...

    def backward(self, images: tuple[Tensor, ...], lse: Tensor, window: int) -> Three: ...

    def new_map(self, like: Tensor, size: Sequence[int], window: int) -> Tensor: ...

    def map_forward(
        self, q: Tensor, k: Tensor, v: Tensor, before: Tensor | None, after: Tensor, window: int
    ) -> tuple[Tensor, Tensor]: ...

    def map_backward(
        self,
        images: tuple[Tensor, ...],
        lse: Tensor,
        logits: Tensor,
        later: Tensor | None,
        earlier: Tensor | None,
        window: int,
    ) -> Three: ...

    def concatenated(self, v: Tensor, window: int) -> int:
        """So many steps of propagated attention are quicker as one long dot product than by way of a map."""
        ...


# Beyond it there is no map on a CPU: with gradients there is one for every step, and a whole image would take more
# than it is worth.
_LARGEST_MAP = 512 * 2**20
# Of a GPU's memory, for each of the maps of all steps
_SHARE = 1 / 32
_NEVER = 2**31


@dataclass(frozen=True)
class OnCpu:
    """A C++ kernel; it converts what is not of its type."""

    kernel: str

    @property
    def dtype(self) -> torch.dtype:
        return kernels.KERNELS[self.kernel].dtype

    def forward(self, q: Tensor, k: Tensor, v: Tensor, window: int) -> tuple[Tensor, Tensor]:
        like, (q, k, v) = v.dtype, self._converted(q, k, v)
        out, lse = kernels.forward(kernels.load(self.kernel), q, k, v, window)
        return out.to(like), lse

    def backward(self, images: tuple[Tensor, ...], lse: Tensor, window: int) -> Three:
        return kernels.backward(kernels.load(self.kernel), self._all_converted(images), lse, window)

    def new_map(self, like: Tensor, size: Sequence[int], window: int) -> Tensor:
        # to PyTorch of the type of its gradients
        return like.new_empty(kernels.map_size(kernels.load(self.kernel), size, window), dtype=self.dtype)

    def map_forward(
        self, q: Tensor, k: Tensor, v: Tensor, before: Tensor | None, after: Tensor, window: int
    ) -> tuple[Tensor, Tensor]:
        like, (q, k, v) = v.dtype, self._converted(q, k, v)
        out, lse = kernels.map_forward(kernels.load(self.kernel), q, k, v, before, after, window)
        return out.to(like), lse

    def map_backward(
        self,
        images: tuple[Tensor, ...],
        lse: Tensor,
        logits: Tensor,
        later: Tensor | None,
        earlier: Tensor | None,
        window: int,
    ) -> Three:
        library = kernels.load(self.kernel)
        return kernels.map_backward(library, self._all_converted(images), lse, logits, later, earlier, window)

    def concatenated(self, v: Tensor, window: int) -> int:
        B, _, H, W = v.shape
        fits = self.dtype.itemsize * B * H * W * min(window, H) * min(window, W) <= _LARGEST_MAP
        return kernels.KERNELS[self.kernel].concatenated if fits else _NEVER

    def _converted(self, q: Tensor, k: Tensor, v: Tensor) -> Three:
        return q.to(self.dtype), k.to(self.dtype), v.to(self.dtype)

    def _all_converted(self, images: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(x.to(self.dtype) for x in images)


class OnGpu:
    """The Triton programs, for halves."""

    forward = staticmethod(gpu.forward)
    map_forward = staticmethod(gpu.map_forward)
    map_backward = staticmethod(gpu.map_backward)

    def backward(self, images: tuple[Tensor, ...], lse: Tensor, window: int) -> Three:
        grad, q, k, v, out = images
        if max(q.shape[1], v.shape[1]) > gpu.MOST_CHANNELS:
            return tiled.backward(grad, q, k, v, out, lse, window, "softmax")
        return gpu.backward(images, lse, window)

    def new_map(self, like: Tensor, size: Sequence[int], window: int) -> Tensor:
        return like.new_empty(gpu.map_size(size), dtype=torch.bfloat16)

    def concatenated(self, v: Tensor, window: int) -> int:
        """A map from the first step on, where there is memory for it: one for each step, with gradients."""
        most = torch.cuda.get_device_properties(v.device).total_memory * _SHARE
        return 0 if 2 * gpu.map_size(v.shape) <= most else _NEVER


def find(name: str) -> Form | None:
    """The fast form of that name, or None: it is done in plain PyTorch, or by the definition."""
    if name == GPU:
        return OnGpu()
    return OnCpu(name) if name in kernels.KERNELS else None
