"""Image restoration with the Non-Local Recurrent Network: ``nlrn.denoise``, ``nlrn.upscale`` and the network itself.

Importing this module is quick: torch and the rest are loaded when one of the names is first used.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

try:
    __version__ = version("nlrn")
except PackageNotFoundError:  # a checkout that was not installed: torch.hub uses it so
    __version__ = "0+checkout"

# for type checkers the same names stand in __init__.pyi
_HOMES = {
    "NLRN": "network",
    "Config": "config",
    "ModelError": "errors",
    "NoiseWarning": "errors",
    "NonLocalBlock": "network",
    "Restorer": "inference.restorer",
    "denoise": "inference.restore",
    "estimate_noise": "pixels.noise_levels",
    "estimate_sigma": "pixels.noise",
    "list_models": "models",
    "load": "models",
    "save": "models",
    "upscale": "inference.restore",
}
# modules that are still found under the names that they once had
_MOVED = {"recipe": "batch.recipe"}
__all__ = ["__version__", *_HOMES]  # names all the same


def __getattr__(name: str) -> Any:
    if name in _MOVED:
        return import_module(f"nlrn.{_MOVED[name]}")
    if name not in _HOMES:
        raise AttributeError(f"module 'nlrn' has no attribute {name!r}")
    return getattr(import_module(f"nlrn.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
