"""Versions, devices and kernels: how networks run on this machine."""

import platform
from importlib.metadata import version
from typing import Any

import torch

from nlrn.correlation import describe
from nlrn.inference.device import DEVICES, choose_device, has_fast_bf16, precision_reason

_PACKAGES = ("torch", "numpy", "pillow", "opencv-python-headless", "tifffile", "safetensors")


def machine() -> dict[str, Any]:
    """Versions, devices, and which form of the correlation is in use and why.

    "devices" has for each the precision that "auto" stands for there, and "reasons" why; None where there is no such
    device.
    """
    devices = {name: _precision(name) for name in DEVICES[1:]}
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: version(name) for name in _PACKAGES},
        "devices": {name: found and found[0] for name, found in devices.items()},
        "reasons": {name: found and found[1] for name, found in devices.items()},
        "threads": torch.get_num_threads(),
        "correlation": describe(),
    }


def machine_lines(found: dict[str, Any]) -> list[str]:
    """The same for reading."""
    return [
        f"Python {found['python']}, {found['platform']}",
        "  ".join(f"{name} {its_version}" for name, its_version in found["packages"].items()),
        *(
            f"{name}: not here"
            if precision is None
            else f"{name}: --precision auto computes in {precision}: {found['reasons'][name]}"
            for name, precision in found["devices"].items()
        ),
        f"cpu threads: {found['threads']}",
        f"correlation: {found['correlation']}",
    ]


def _precision(name: str) -> tuple[str, str] | None:
    try:
        device = choose_device(name)
    except ValueError:
        return None
    return "bf16" if has_fast_bf16(device) else "fp32", precision_reason(device)
