"""What there is: the models that ship, and what this machine runs them with."""

import platform
from importlib.metadata import version
from typing import Any

import torch
from rich.table import Table

import nlrn
from nlrn.cards import list_models
from nlrn.correlation import describe
from nlrn.device import DEVICES, choose_device, has_fast_bf16


def models_table() -> Table:
    """Name, task, parameters and scores of every model that ships."""
    table = Table("name", "task", "parameters", "scores (PSNR, dB)")
    for name, card in list_models().items():
        table.add_row(name, card["config"]["task"], f"{card['parameters']:,}", _scores(card))
    return table


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


def _scores(card: dict[str, Any]) -> str:
    return "\n".join(
        f"{data}: " + " / ".join(f"{psnr:.2f}" for psnr in scores.values()) + f" at {' / '.join(scores)}"
        for data, scores in card.get("scores", {}).items()
    )
