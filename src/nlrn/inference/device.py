"""Chooses the device and the precision to work in. The names are there without torch."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    import torch

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "fp32", "bf16")
_BF16 = ("amx_bf16", "avx512_bf16")
"""Instructions of processors that multiply bf16 faster than floats, as measured: docs/kernels.md."""


Device: TypeAlias = "Literal['auto', 'cpu', 'cuda', 'mps'] | torch.device"
"""Where to compute."""
Precision: TypeAlias = Literal["auto", "fp32", "bf16"]


def choose_device(name: "str | torch.device" = "auto") -> "torch.device":
    """The device of that name; "auto" takes a GPU where there is one; a device of torch is itself.

    Raises:
        ValueError: this machine, or this build of torch, has no such device.
    """
    import torch

    if isinstance(name, torch.device):
        choose_device(name.type)
        return name
    if name not in DEVICES:
        raise ValueError(f"device must be one of {', '.join(DEVICES)}, not {name!r}")
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next(d for d in ("cuda", "mps", "cpu") if there[d])
    if not there[name]:
        raise ValueError(f"device {name!r} is not available here; use --device auto or cpu")
    return torch.device(name)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Around work that has a device and a precision of its own: autocast, torch's default device, what it makes of
    products of float32 and the recording of gradients are the caller's, and no part of it."""
    import torch

    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        for kind in ("cpu", "cuda", "mps"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        products = torch.get_float32_matmul_precision()
        if products != "highest":
            stack.callback(torch.set_float32_matmul_precision, products)
            torch.set_float32_matmul_precision("highest")
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        yield


def has_fast_bf16(device: "torch.device") -> bool:
    """Whether bf16 is faster than fp32 there: instructions for it are needed, or it is slower by far."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    return device.type == "cpu" and any(torch.cpu.get_capabilities().get(i) for i in _BF16)


def precision_reason(device: "torch.device") -> str:
    """Why "auto" stands for the precision that it does there."""
    if device.type != "cpu":
        return "it is fast in bf16" if has_fast_bf16(device) else "it is not fast in bf16, as far as is known"
    if has_fast_bf16(device):
        return "the processor multiplies bf16, which was measured to be faster"
    return f"the processor has neither {' nor '.join(_BF16)}, without which bf16 was measured to be slower"


def choose_precision(name: str, device: "torch.device") -> "torch.dtype":
    """The type to compute in: "fp32", "bf16", or "auto", which is bf16 where the device is fast in it."""
    import torch

    if name not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, not {name!r}")
    return torch.bfloat16 if name == "bf16" or (name == "auto" and has_fast_bf16(device)) else torch.float32


def name_of(precision: "torch.dtype") -> str:
    """As results tell it: "float32" or "bfloat16"."""
    return str(precision).removeprefix("torch.")
