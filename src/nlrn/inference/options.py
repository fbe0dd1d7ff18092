"""The options by which networks run, whatever they do: one record. It is there without torch."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from nlrn.inference.device import DEVICES, PRECISIONS

if TYPE_CHECKING:
    from nlrn.network import NLRN

    Model: TypeAlias = NLRN | str | Path
else:
    Model = str | Path


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of every network's work. Each field is a flag of ``nlrn denoise`` and ``nlrn upscale`` too."""

    model: Model | None = field(default=None, metadata={"metavar": "MODEL"})
    """A model that ships, by its name, or a file or folder; default the one that the task ships with."""
    ensemble: bool = False
    """Mean over the eight flips and turns: eight times slower, slightly better."""
    device: str = field(default="auto", metadata={"choices": DEVICES})
    """Where to compute; auto takes a GPU where there is one."""
    precision: str = field(default="auto", metadata={"choices": PRECISIONS})
    """What to compute in; auto is bf16 where the device is fast in it."""
