"""The C++ kernels: which of them this machine can run, and how they are called.

Each instruction set is a shared library of its own with a few C functions, ``native/attention.h`` in the source tree.
They know nothing of Python or PyTorch, so one build serves every version of both. Where they were not built (no
compiler at installation) this package works without them, slower.
"""

import ctypes
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Kernel:
    """A kernel: the numbers that it multiplies and its needs. Sums and the softmax are float32 in all of them."""

    dtype: torch.dtype
    """The type of q, k, v, the values and the gradients; others are converted."""
    capabilities: tuple[str, ...] = ()
    """One of them PyTorch must report as the machine's capability; none where every machine will do."""
    instructions: tuple[str, ...] = ()
    """What PyTorch must list beside it."""
    permission: bool = False
    """Whether the system must permit their use."""
    slow_beside: str | None = None
    """Instructions whose processors run this kernel slower than the next one."""
    packs: bool = False
    """Whether it copies all keys and values into an order of its own."""
    concatenated: int = 2
    """So many steps of propagated attention are quicker as one long dot product than by way of a map of logits."""


# Fastest first, as measured: docs/kernels.md
KERNELS = {
    "amxbf16": Kernel(
        torch.bfloat16, ("AVX512",), ("amx_bf16", "amx_tile"), permission=True, packs=True, concatenated=1
    ),
    # with a matrix unit: 7.2 us per pixel at D = 64, M = 128, window 45, where avx512 takes 5.0
    "avx512bf16": Kernel(torch.bfloat16, ("AVX512",), ("avx512_bf16",), slow_beside="amx_bf16"),
    "avx512": Kernel(torch.float32, ("AVX512",)),
    "avx2": Kernel(torch.float32, ("AVX2", "AVX512")),
    "portable": Kernel(torch.float32),
}
# What they take; each converts what is not its own
DTYPES = (torch.float32, torch.bfloat16, torch.float16)
# The kernels take channels in multiples of the widest register; missing ones are filled with zeros.
_LANES = 16


@cache
def load(kernel: str) -> ctypes.CDLL | None:
    """The library of a kernel, or None where it was not built."""
    spec = importlib.util.find_spec(f"nlrn.correlation._{kernel}")
    return None if spec is None or spec.origin is None else opened(spec.origin)


def opened(path: str) -> ctypes.CDLL:
    """The library in a file, its functions ready to be called."""
    library = ctypes.CDLL(path)
    pointer, size, threads = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
    strided = (pointer, size) * 3
    library.nlrn_attention_forward.argtypes = (*strided, *(pointer,) * 2, *(size,) * 6, threads)
    library.nlrn_attention_backward.argtypes = (*strided, *(pointer,) * 6, *(size,) * 6, threads)
    library.nlrn_map_size.argtypes, library.nlrn_map_size.restype = (size,) * 5, size
    library.nlrn_map_forward.argtypes = (*strided, *(pointer,) * 4, ctypes.c_int, *(size,) * 6, threads)
    library.nlrn_map_backward.argtypes = (*strided, *(pointer,) * 9, *(size,) * 6, threads)
    return library


def obstacle(kernel: str) -> str | None:
    """Why a kernel cannot run here, or None if it can."""
    needed = KERNELS[kernel]
    capability = torch.backends.cpu.get_cpu_capability()
    if needed.capabilities and capability not in needed.capabilities:
        return f"this processor has {capability}"
    for instructions in needed.instructions:
        if not torch.cpu.get_capabilities().get(instructions):
            return f"this processor has no {instructions}"
    library = load(kernel)
    if library is None:
        return "it was not built: no suitable compiler at installation"
    if needed.permission and not library.nlrn_permitted():
        return "the system does not permit it"
    return None


def drawback(kernel: str) -> str | None:
    """Why a kernel that can run here is better passed over, or None."""
    beside = KERNELS[kernel].slow_beside
    if beside and torch.cpu.get_capabilities().get(beside):
        return f"slower than float32 on processors with {beside}"
    return None


def _pixel_major(x: Tensor) -> Tensor:
    """[B, C, H, W] as [B, H, W, C] with C a multiple of the register, copied only where it has to be."""
    x = x.permute(0, 2, 3, 1)
    missing = -x.shape[3] % _LANES
    if missing:
        return _packed(torch.nn.functional.pad(x, (0, missing)))
    _, H, W, _ = x.shape
    pixel = x.stride(2)
    # the channels of a pixel side by side, the pixels evenly spaced: so a slice of a wider image will do
    even = x.stride(3) == 1 and x.stride(1) == W * pixel and x.stride(0) == H * W * pixel and pixel >= x.shape[3]
    # kernels step in cells of four bytes
    return x if even and pixel * x.element_size() % 4 == 0 else _packed(x)


def _packed(x: Tensor) -> Tensor:
    """Copied if need be. Dimensions of one have any stride in PyTorch; here they get the one that kernels expect."""
    return x.contiguous().view(-1).view(x.shape)


def _channels_first(x: Tensor, channels: int) -> Tensor:
    """[B, H, W, C] back as [B, channels, H, W], laid out as channels_last."""
    if x.shape[3] != channels:
        x = x[..., :channels].contiguous()
    return x.permute(0, 3, 1, 2)


def _call(
    function: Callable[..., int], inputs: list[Tensor], others: Sequence[Tensor | None], window: int, *flags: int
) -> None:
    """Calls a kernel with q, k, v (any pixel stride), other tensors (contiguous, or none), flags and the sizes."""
    q, _, v = inputs
    strided = [argument for x in inputs for argument in (x.data_ptr(), x.stride(2))]
    sizes = (*q.shape, v.shape[3], window, torch.get_num_threads())
    if function(*strided, *(None if x is None else x.data_ptr() for x in others), *flags, *sizes):
        raise MemoryError("not enough memory for the scratch space of the correlation")


def forward(library: Any, q: Tensor, k: Tensor, v: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """The attended values [B, M, H, W], channels_last, and the log2-sum-exp of each pixel [B, H, W], float32."""
    channels = v.shape[1]
    q, k, v = (_pixel_major(x) for x in (q, k, v))
    out, lse = v.new_empty(v.shape), q.new_empty(q.shape[:3], dtype=torch.float32)
    if out.numel() and lse.numel():
        _call(library.nlrn_attention_forward, [q, k, v], [out, lse], window)
    return _channels_first(out, channels), lse


def backward(library: Any, images: tuple[Tensor, ...], lse: Tensor, window: int) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of q, k and v, channels_last.

    Args:
        library: the kernel.
        images: the gradient of ``out``; q, k, v, and ``out``, as :func:`forward` took and returned them.
        lse: as it returned it.
        window: side of the neighbourhood.
    """
    return _differentiate(library.nlrn_attention_backward, images, [lse], [], window)


def _differentiate(
    function: Callable[..., int],
    images: tuple[Tensor, ...],
    kept: list[Tensor],
    more: list[Tensor | None],
    window: int,
) -> tuple[Tensor, Tensor, Tensor]:
    grad, q, k, v, out = images
    D, M = q.shape[1], v.shape[1]
    q, k, v = (_pixel_major(x) for x in (q, k, v))
    out, grad = (_pixel_major(x).contiguous() for x in (out, grad))
    # those of keys and values are sums over many tiles
    dq, dk, dv = q.new_empty(q.shape), *(x.new_empty(x.shape, dtype=torch.float32) for x in (k, v))
    if q.numel() and v.numel():
        _call(function, [q, k, v], [out, *kept, grad, dq, dk, dv, *more], window)
    return _channels_first(dq, D), _channels_first(dk.to(k.dtype), D), _channels_first(dv.to(v.dtype), M)


def map_size(library: Any, size: Sequence[int], window: int) -> int:
    """Numbers in the map of logits that :func:`map_forward` carries on: about window^2 for each pixel.

    Args:
        library: the kernel.
        size: of the values, [B, M, H, W].
        window: side of the neighbourhood.
    """
    B, M, H, W = size
    return int(library.nlrn_map_size(B, H, W, M + -M % _LANES, window)) if min(size) else 0


def map_forward(
    library: Any,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    before: Tensor | None,
    after: Tensor | None,
    window: int,
    into: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """As :func:`forward`, with the logits of ``before`` added; ``after`` gets all of them, where one is given.

    Numbers in maps have the size of those that the kernel multiplies, whatever PyTorch takes them for: float32, or
    halves for logits and bf16 for their gradients. The two maps may be one and the same. Where ``into`` is given, the
    attended values are added to it.
    """
    channels = v.shape[1]
    q, k, v = (_pixel_major(x) for x in (q, k, v))
    out = v.new_empty(v.shape) if into is None else _pixel_major(into).contiguous()
    lse = q.new_empty(q.shape[:3], dtype=torch.float32)
    if out.numel() and lse.numel():
        _call(library.nlrn_map_forward, [q, k, v], [out, lse, before, after], window, int(into is not None))
    out = _channels_first(out, channels)
    if into is not None and out.data_ptr() != into.data_ptr():
        into.copy_(out)
    return out, lse


def map_backward(
    library: Any,
    images: tuple[Tensor, ...],
    lse: Tensor,
    logits: Tensor,
    later: Tensor | None,
    earlier: Tensor | None,
    window: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """As :func:`backward`; ``earlier`` gets the gradient of the map before, from ``later``, that of the map after."""
    return _differentiate(library.nlrn_map_backward, images, [lse], [logits, later, earlier], window)
