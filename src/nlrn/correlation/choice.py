"""Which implementation of the correlation runs, and why."""

import os

import torch
from torch import Tensor

from nlrn.correlation import kernels

# The environment variable that forces an implementation, for tests and comparisons.
VARIABLE = "NLRN_CORRELATION"
IMPLEMENTATIONS = (*kernels.KERNELS, "torch", "reference")


def available() -> list[str]:
    """The implementations that can run here, fastest first."""
    return [name for name in IMPLEMENTATIONS if name not in kernels.KERNELS or kernels.obstacle(name) is None]


def _forced() -> str | None:
    name = os.environ.get(VARIABLE) or None
    if name is None:
        return None
    if name not in IMPLEMENTATIONS:
        raise ValueError(f"{VARIABLE} must be one of {', '.join(IMPLEMENTATIONS)}, not {name!r}")
    if name in kernels.KERNELS and (why := kernels.obstacle(name)) is not None:
        raise RuntimeError(f"{VARIABLE}={name} cannot be had: {why}")
    return name


def _preferred(dtype: torch.dtype) -> tuple[str, str]:
    """The implementation for what the kernels cover, and the reason for it.

    Kernels that multiply halves are for inputs that are halves already.
    """
    forced = _forced()
    if forced is not None:
        return forced, f"{VARIABLE} asks for it"
    missed: list[str] = []
    for kernel, properties in kernels.KERNELS.items():
        if properties.dtype not in (torch.float32, dtype):
            continue
        why = kernels.obstacle(kernel)
        if why is None:
            return kernel, "; ".join(["fastest that runs here", *missed])
        missed.append(f"not {kernel}: {why}")
    return "torch", "; ".join(missed)


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]  # torch does not annotate it
def _preferred_name(dtype: torch.dtype) -> str:
    """What torch.compile may take as settled when it traces a call."""
    return _preferred(dtype)[0]


def implementation(q: Tensor, k: Tensor, v: Tensor, *, normalize: str = "softmax") -> str:
    """The name of the implementation that runs for these inputs.

    The kernels take up to 32-bit floats on the CPU, with softmax; everything else runs in plain PyTorch.

    Raises:
        ValueError: the environment variable names no implementation.
        RuntimeError: it names one that cannot run on this machine.
    """
    name: str = _preferred_name(q.dtype if q.dtype == k.dtype == v.dtype else torch.float32)
    covered = all(x.dtype in kernels.DTYPES and x.device.type == "cpu" for x in (q, k, v)) and normalize == "softmax"
    return name if covered or name == "reference" else "torch"


def describe() -> str:
    """One line for a user: the implementations on the CPU, the reasons, and what else could run.

    Raises:
        ValueError, RuntimeError: as :func:`implementation`.
    """
    name, why = _preferred(torch.float32)
    half, why_half = _preferred(torch.bfloat16)
    return f"{name} ({why}); in bf16 {half} ({why_half}); available: {', '.join(available())}"
