"""A kernel's results on a small problem against their definition: a wrong result is worse than a slow one.

It is done once in a process for each kernel that would be used, in a few milliseconds. In NumPy, so that no mode,
default type or compiler of PyTorch has a part in it.
"""

import warnings
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from nlrn.correlation import kernels

TOLERANCES = {torch.float32: 1e-4, torch.bfloat16: 5e-2}
"""Of all results, relative to the largest number of each."""
_SIZES = (1, 7, 10, 16, 32, 5)

Array = NDArray[Any]


class _Step(NamedTuple):
    """The inputs of a step of propagated attention, [B, H W, channels]."""

    q: Array
    k: Array
    v: Array
    dout: Array


@cache
def failure(kernel: str) -> str | None:
    """The fault in the results of a kernel that can be called here, or None. Warns of it."""
    library, dtype = kernels.load(kernel), kernels.KERNELS[kernel].dtype
    name, error = max(errors(library, dtype, *_SIZES).items(), key=lambda item: item[1])
    if error <= TOLERANCES[dtype]:
        return None
    why = f"it fails its self-test here ({name} is off by {error:.1g})"
    warnings.warn(f"the correlation kernel {kernel} is passed over: {why}", RuntimeWarning, stacklevel=2)
    return why


def errors(
    library: Any,
    dtype: torch.dtype,
    B: int,
    H: int,
    W: int,
    D: int,
    M: int,
    window: int,
    *,
    seed: int = 0,
    threads: int = 1,
) -> dict[str, float]:
    """The largest error of each result of a kernel, relative to its largest number, or to 1; infinite for NaN.

    Two steps of propagated attention, forward and backward, by all functions of the library.

    Args:
        library: as :func:`nlrn.correlation.kernels.opened` returns it.
        dtype: the type that it multiplies.
        B, H, W, D, M, window: sizes; D and M must be multiples of 16. The definition takes B (H W)^2 numbers.
        seed: of the random inputs.
        threads: for the library.
    """
    random = np.random.default_rng(seed)
    scales = ((D, 1.5 / D**0.5), (D, 1.0), (M, 1.0), (M, 1.0))
    steps = [
        _Step(*(_rounded(random.standard_normal((B, H * W, C)) * scale, dtype) for C, scale in scales))
        for _ in range(2)
    ]
    found = _found(library, dtype, steps, (B, H, W, D, M, window, threads))
    wanted = _wanted(steps, _sees(H, W, window))
    off = {}
    for name, x in found.items():
        exact = wanted[name.removesuffix(" alone").removesuffix(" in place")]
        error = float(np.abs(x - exact).max() / max(1, np.abs(exact).max()))
        off[name] = error if np.isfinite(error) else np.inf
    return off


def _found(library: Any, dtype: torch.dtype, steps: list[_Step], sizes: tuple[int, ...]) -> dict[str, Array]:
    """The library's results for the steps: by a map; of the first alone; and by a map in place."""
    B, H, W, D, M, window, _ = sizes
    pairs = dtype == torch.bfloat16

    def room(channels: int, *, sums: bool = False) -> Array:
        return np.zeros((B, H * W, channels), np.uint16 if pairs and not sums else np.float32)

    def call(name: str, *tensors: Array | None, flags: tuple[int, ...] = ()) -> None:
        addresses = [None if x is None else x.ctypes.data for x in tensors]
        strided = [part for pair in zip(addresses[:3], (D, D, M), strict=True) for part in pair]
        if getattr(library, name)(*strided, *addresses[3:], *flags, *sizes):
            raise MemoryError("not enough memory for the scratch space of the correlation")

    inputs = [_Step(*(_as_bf16(x) if pairs else x for x in step)) for step in steps]
    count = library.nlrn_map_size(B, H, W, M, window)
    maps = (_map(count, np.uint16 if pairs else np.float32) for _ in range(4))
    *logits, in_place, between = maps  # between: the gradient of the first step's map
    outs, lses = [room(M) for _ in steps], [np.zeros((B, H, W), np.float32) for _ in steps]
    results: dict[str, Array] = {}
    for t, (q, k, v, there) in enumerate(inputs):
        out = there.copy()
        call("nlrn_map_forward", q, k, v, out, lses[t], in_place if t else None, in_place, flags=(1,))
        results[f"value {t} in place"] = _as_floats(out) - _as_floats(there)
        call("nlrn_map_forward", q, k, v, outs[t], lses[t], logits[0] if t else None, logits[t], flags=(0,))
        results[f"value {t}"] = outs[t]
    for t in (1, 0):
        q, k, v, dout = inputs[t]
        gradients = [room(D), room(D, sums=True), room(M, sums=True)]
        of_map = (logits[t], None if t else between, between if t else None)
        call("nlrn_map_backward", q, k, v, outs[t], lses[t], dout, *gradients, *of_map)
        results |= {f"{name} {t}": x for name, x in zip(("dq", "dk", "dv"), gradients, strict=True)}
    q, k, v, dout = inputs[0]
    out, lse, gradients = room(M), np.zeros((B, H, W), np.float32), [room(D), room(D, sums=True), room(M, sums=True)]
    call("nlrn_attention_forward", q, k, v, out, lse)
    results["value 0 alone"] = out
    # of the first step's own value, without what the second adds: the same gradient of the values
    call("nlrn_attention_backward", q, k, v, out, lse, dout, *gradients)
    results |= {f"{name} of 0 alone": x for name, x in zip(("dq", "dk", "dv"), gradients, strict=True)}
    return {name: _as_floats(x) for name, x in results.items()}


def _map(count: int, dtype: type) -> Array:
    """Room for a map of logits, which begins at a whole line of the cache, as tensors do. Nothing is read from it."""
    line = 64 // np.dtype(dtype).itemsize
    memory: Array = np.full(count + line, 0xFFFF if dtype is np.uint16 else np.nan, dtype)
    first = -memory.ctypes.data % 64 // memory.itemsize
    return memory[first : first + count]


def _wanted(steps: list[_Step], sees: Array) -> dict[str, Array]:
    """The same by the definition, in float64."""
    logits: Array = np.where(sees, 0.0, -np.inf)
    results: dict[str, Array] = {}
    slopes: list[Array] = []
    for t, step in enumerate(steps):
        q, k, v, dout = (x.astype(np.float64) for x in step)
        logits = logits + q @ k.swapaxes(1, 2)
        weights = np.exp(logits - logits.max(2, keepdims=True))
        weights /= weights.sum(2, keepdims=True)
        slope = weights * (dout @ v.swapaxes(1, 2) - ((weights @ v) * dout).sum(2, keepdims=True))
        results |= {f"value {t}": weights @ v, f"dv {t}": weights.swapaxes(1, 2) @ dout}
        slopes.append(slope)
    for t, slope in enumerate((slopes[0] + slopes[1], slopes[1])):
        results |= {f"dq {t}": slope @ steps[t].k, f"dk {t}": slope.swapaxes(1, 2) @ steps[t].q}
    own = slopes[0]
    results |= {"dq of 0": own @ steps[0].k, "dk of 0": own.swapaxes(1, 2) @ steps[0].q, "dv of 0": results["dv 0"]}
    return results


def _sees(H: int, W: int, window: int) -> Array:
    """[H W, H W]: whether a pixel sees another."""
    rows, cols = (np.abs(np.arange(n)[:, None] - np.arange(n)) <= window // 2 for n in (H, W))
    seen: Array = (rows[:, None, :, None] & cols[None, :, None, :]).reshape(H * W, H * W)
    return seen


def _rounded(x: Array, dtype: torch.dtype) -> Array:
    """In float32, to what the type can hold."""
    x = np.ascontiguousarray(x, np.float32)
    return _as_floats(_as_bf16(x)) if dtype == torch.bfloat16 else x


def _as_bf16(x: Array) -> Array:
    """The bits of bf16 numbers, rounded to nearest: the upper halves of floats."""
    return ((x.view(np.uint32) + 0x8000) >> 16).astype(np.uint16)


def _as_floats(x: Array) -> Array:
    return (x.astype(np.uint32) << 16).view(np.float32) if x.dtype == np.uint16 else x
