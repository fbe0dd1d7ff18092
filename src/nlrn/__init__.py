"""Image restoration with the Non-Local Recurrent Network: ``nlrn.denoise``, ``nlrn.upscale`` and the network itself.

Importing this module is quick: torch and the rest are loaded when one of the names is first used.
"""

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from nlrn._lazy import lazy

if TYPE_CHECKING:
    from nlrn.cards import list_models
    from nlrn.config import Config
    from nlrn.errors import ModelError
    from nlrn.inference.restorer import Restorer
    from nlrn.models import load, save
    from nlrn.network import NLRN, NonLocalBlock
    from nlrn.pixels.noise import estimate_sigma
    from nlrn.restore import denoise, upscale

try:
    __version__ = version("nlrn")
except PackageNotFoundError:  # a checkout that was not installed: torch.hub uses it so
    __version__ = "0+checkout"

__all__ = [
    "NLRN",
    "Config",
    "ModelError",
    "NonLocalBlock",
    "Restorer",
    "__version__",
    "denoise",
    "estimate_sigma",
    "list_models",
    "load",
    "save",
    "upscale",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "NLRN": "nlrn.network",
        "Config": "nlrn.config",
        "ModelError": "nlrn.errors",
        "NonLocalBlock": "nlrn.network",
        "Restorer": "nlrn.inference.restorer",
        "denoise": "nlrn.restore",
        "estimate_sigma": "nlrn.pixels.noise",
        "list_models": "nlrn.cards",
        "load": "nlrn.models",
        "save": "nlrn.models",
        "upscale": "nlrn.restore",
    },
    others=("__version__",),
    moved={"recipe": "nlrn.batch.recipe"},
)
