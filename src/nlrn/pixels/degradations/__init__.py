"""The degradations of images, one a file, and a line here that names it.

Training, validation and evaluation go by the same ones: see :class:`nlrn.pixels.degradations.record.Degradation`.
"""

from collections.abc import Sequence
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from nlrn.config import Config

if TYPE_CHECKING:
    from nlrn.pixels.degradations.record import Degradation

DEGRADATIONS = {
    "denoise": {
        "white": "nlrn.pixels.degradations.white:White",
        "photo": "nlrn.pixels.degradations.photograph:Photo",
        "jpeg": "nlrn.pixels.degradations.jpeg:Jpeg",
    },
    "sr": {
        "bicubic": "nlrn.pixels.degradations.bicubic:bicubic",
    },
}
"""Those of each task, the usual one first. What is named makes one of a network's configuration and the levels."""


def degradation(config: Config, levels: Sequence[float], name: str | None = None) -> "Degradation":
    """The one of that name for a network, or the usual one of its task.

    Args:
        levels: the weakest and the strongest noise in grey levels, or the scales.

    Raises:
        ValueError: there is none of that name for the task, or the network cannot restore what it makes.
    """
    known = DEGRADATIONS[config.task]
    if name is not None and name not in known:
        raise ValueError(f"{name!r} is no degradation for {config.task!r}; there is {', '.join(known)}")
    made: Degradation = resolve_name(known[name or next(iter(known))])(config, tuple(levels))
    return made
