"""The tasks: what the rest of the package has to know of each stands in its record. Nothing here needs torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Task:
    """Something that a network can be trained to do."""

    name: str
    """As ``Config.task`` and files have it."""
    verb: str
    """The command that does it, and the function."""
    action: str
    """What a button says."""
    suffix: str
    """What is put behind the name of a result; ``{}`` is the level."""
    level: str
    """What its levels are called, in reports and flags."""
    unit: str
    """How a level is shown; ``{}`` is the number."""
    levels: tuple[int, ...]
    """The levels that the literature reports."""
    defaults: Mapping[int, str]
    """The model that serves where none is named, for images of 1 (gray) and 3 (colour) channels."""


DENOISE = Task(
    name="denoise",
    verb="denoise",
    action="Remove noise",
    suffix="-denoised",
    level="sigma",
    unit="sigma {}",
    levels=(15, 25, 50),
    defaults=MappingProxyType({1: "denoise-gray-lite", 3: "denoise-color-lite"}),
)
SUPER_RESOLUTION = Task(
    name="sr",
    verb="upscale",
    action="Enlarge",
    suffix="-x{}",
    level="scale",
    unit="x{}",
    levels=(2, 3, 4),
    defaults=MappingProxyType({1: "sr-lite", 3: "sr-lite"}),
)
TASKS = MappingProxyType({task.name: task for task in (DENOISE, SUPER_RESOLUTION)})
