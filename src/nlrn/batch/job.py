"""A job, and what becomes of it: plain records that can be sent to another process."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nlrn.images import Picture


@dataclass(frozen=True)
class Job:
    """One image file and where its restored form goes."""

    source: Path
    target: Path
    backup: Path | None = None
    """What the original is called afterwards, if ``target`` is its place."""
    ending: str = ""
    """Names the format where ``target`` is a pipe; empty for that of the input."""


@dataclass(frozen=True)
class Done:
    """The result of a job."""

    job: Job
    reason: str | None
    """Why it failed: a sentence that names the file; None if it did not."""
    pixels: int
    """Restored, counted in the result; 0 if it failed."""
    worker: str = ""
    """Host and process that did it, as host:1234, where there are several."""
    level: float | None = None
    """The noise, given or estimated, where white is 255; for super-resolution the scale."""
    model: str | None = None
    """The name or file of the model that served it."""
    seconds: float = 0.0
    """It took to restore it, without reading and writing."""


@dataclass(frozen=True)
class Restored:
    """The pages of a file, restored, and what was found out about them."""

    pages: "list[Picture]"
    level: float
    """The noise where white is 255, mean over the pages; for super-resolution the scale."""
    model: str
    seconds: float
    """It took to restore them."""
    untouched: bool
    """Whether every pixel is as it came."""

    @property
    def pixels(self) -> int:
        """Of all pages."""
        return sum(page.pixels.shape[0] * page.pixels.shape[1] for page in self.pages)
