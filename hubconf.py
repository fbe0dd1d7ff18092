"""The trained models for ``torch.hub``: ``torch.hub.load(FOLDER, "denoise_gray_lite", source="local")``.

Each entry point returns a network in evaluation mode, called as ``network(x, sigma)``: images [B, C, H, W] in [0, 1].
"""

import sys as _sys
from collections.abc import Callable as _Callable
from pathlib import Path as _Path

dependencies = ["torch", "numpy", "safetensors"]

# the package need not be installed; without its compiled kernels the correlation runs in plain PyTorch
_sys.path.append(str(_Path(__file__).parent / "src"))

from nlrn import models as _models  # noqa: E402  # after the path


def _entry(name: str, card: dict) -> _Callable:
    def load():  # type: ignore[no-untyped-def]
        return _models.load(name)

    scores = "; ".join(f"{data} {psnr}" for data, psnr in card.get("scores", {}).items())
    load.__doc__ = f"{name}: {card['config']['task']}, {card['parameters']:,} parameters. PSNR in dB: {scores}"
    return load


globals().update({_name.replace("-", "_"): _entry(_name, _card) for _name, _card in _models.list_models().items()})
