"""Decides which form of the correlation runs, and says why.

The rule is a table, not a stopwatch: the first kernel of :data:`nlrn.correlation.kernels.KERNELS` that this machine
can run, of the type that is multiplied. So the same machine gives the same bits every day. The order is that of
measured times, docs/kernels.md; ``nlrn bench correlation`` prints them for the machine at hand.
"""

import os

import torch
from torch import Tensor

from nlrn.correlation import gpu, kernels, selftest
from nlrn.correlation.forms import GPU

VARIABLE = "NLRN_CORRELATION"
"""The environment variable that forces a form, for tests and comparisons."""
_FAST = (*kernels.KERNELS, GPU)
IMPLEMENTATIONS = (*_FAST, "torch", "reference")
CPU = torch.device("cpu")
_ON_GPU = (torch.bfloat16, torch.float16)


def obstacle(kernel: str) -> str | None:
    """Why a fast form cannot run here, or None if it can."""
    if kernel == GPU:
        return gpu.obstacle()
    return kernels.obstacle(kernel) or selftest.failure(kernel)


def available() -> list[str]:
    """The implementations that can run here, fastest first."""
    return [name for name in IMPLEMENTATIONS if name not in _FAST or obstacle(name) is None]


def check(name: str) -> str:
    """The name of an implementation that can run here.

    Raises:
        ValueError: there is none of that name.
        RuntimeError: it cannot run on this machine.
    """
    if name not in IMPLEMENTATIONS:
        raise ValueError(f"{VARIABLE} must be one of {', '.join(IMPLEMENTATIONS)}, not {name!r}")
    if name in _FAST and (why := obstacle(name)) is not None:
        raise RuntimeError(f"{VARIABLE}={name} cannot be had: {why}")
    return name


def _preferred(dtype: torch.dtype) -> tuple[str, str]:
    """The implementation for what the kernels cover, and the reason for it.

    Kernels that multiply halves are for inputs that are halves already.
    """
    forced = os.environ.get(VARIABLE)
    if forced:
        return check(forced), f"{VARIABLE} asks for it"
    missed: list[str] = []
    for kernel, properties in kernels.KERNELS.items():
        if properties.dtype not in (torch.float32, dtype):
            continue
        why = obstacle(kernel) or kernels.drawback(kernel)
        if why is None:
            return kernel, "; ".join(["fastest that runs here", *missed])
        missed.append(f"not {kernel}: {why}")
    return "torch", "; ".join(missed)


def form_for(dtype: torch.dtype, device: torch.device = CPU, normalize: str = "softmax") -> str:
    """The name of the form that runs for queries, keys and values of one type.

    The kernels take up to 32-bit floats on the CPU, the programs halves on a GPU, all with softmax; everything else
    runs in plain PyTorch.

    Raises:
        ValueError, RuntimeError: as :func:`check`, of what the environment variable names.
    """
    on_gpu = device.type == "cuda"
    name = _preferred_on_gpu() if on_gpu else _preferred(dtype)[0]
    covered = dtype in (_ON_GPU if on_gpu else kernels.DTYPES) and device.type in ("cpu", "cuda")
    fits = covered and normalize == "softmax" and (name == GPU) == on_gpu
    return name if fits or name == "reference" else "torch"


def _preferred_on_gpu() -> str:
    forced = os.environ.get(VARIABLE)
    return check(forced) if forced else "torch" if gpu.obstacle() else GPU


def implementation(q: Tensor, k: Tensor, v: Tensor, *, normalize: str = "softmax") -> str:
    """As :func:`form_for`, for these inputs, which may be of several types.

    Raises:
        ValueError, RuntimeError: as :func:`form_for`.
    """
    if q.dtype == k.dtype == v.dtype:
        return form_for(q.dtype, q.device, normalize)
    covered = all(x.dtype in kernels.DTYPES for x in (q, k, v))
    return form_for(torch.float32 if covered else torch.float64, q.device, normalize)


def describe() -> str:
    """One line for a user: the implementations on the CPU, the reasons, what a GPU has, and what else could run.

    Raises:
        ValueError, RuntimeError: as :func:`form_for`.
    """
    name, why = _preferred(torch.float32)
    half, why_half = _preferred(torch.bfloat16)
    on_gpu = f"; on the GPU in bf16 {_preferred_on_gpu()}" if torch.cuda.is_available() else ""
    return f"{name} ({why}); in bf16 {half} ({why_half}){on_gpu}; available: {', '.join(available())}"
