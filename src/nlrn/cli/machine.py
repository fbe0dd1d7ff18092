"""Versions, devices and kernels: how networks run on this machine."""

import platform
from importlib.metadata import version

import torch

import nlrn
from nlrn.correlation import describe
from nlrn.inference.device import DEVICES, choose_device, has_fast_bf16


def info_lines() -> list[str]:
    """Versions, devices, and which form of the correlation is in use and why."""
    packages = ("torch", "numpy", "pillow", "opencv-python-headless", "tifffile", "safetensors")
    lines = [
        f"nlrn {nlrn.__version__}, Python {platform.python_version()}, {platform.platform()}",
        "  ".join(f"{name} {version(name)}" for name in packages),
    ]
    for name in DEVICES[1:]:
        try:
            device = choose_device(name)
        except ValueError:
            lines.append(f"{name}: not here")
            continue
        precision = "bf16" if has_fast_bf16(device) else "fp32"
        lines.append(f"{name}: --precision auto computes in {precision}")
    lines.append(f"cpu threads: {torch.get_num_threads()}")
    lines.append(f"correlation: {describe()}")
    return lines
