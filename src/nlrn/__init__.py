"""Image restoration with the Non-Local Recurrent Network: ``nlrn.denoise``, ``nlrn.upscale`` and the network itself.

Importing this module is quick: torch and the rest are loaded when one of the names is first used.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nlrn.models import ModelError, list_models, load, save
    from nlrn.network import NLRN, Config, NonLocalBlock
    from nlrn.noise import estimate_sigma
    from nlrn.restore import denoise, upscale

try:
    __version__ = version("nlrn")
except PackageNotFoundError:  # a checkout that was not installed: torch.hub uses it so
    __version__ = "0+checkout"

_HOME = {
    "NLRN": "network",
    "Config": "network",
    "ModelError": "models",
    "NonLocalBlock": "network",
    "denoise": "restore",
    "estimate_sigma": "noise",
    "list_models": "models",
    "load": "models",
    "save": "models",
    "upscale": "restore",
}

__all__ = [
    "NLRN",
    "Config",
    "ModelError",
    "NonLocalBlock",
    "__version__",
    "denoise",
    "estimate_sigma",
    "list_models",
    "load",
    "save",
    "upscale",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'nlrn' has no attribute {name!r}")
    return getattr(import_module(f"nlrn.{_HOME[name]}"), name)
