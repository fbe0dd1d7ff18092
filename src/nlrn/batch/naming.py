"""The names of outputs and the choice of inputs: one record, there without the libraries that read images."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from nlrn.config import TASKS
from nlrn.errors import UsageError

_SCALED = "x[0-9]+(?:[.][0-9]+)?"
"""As -x2. Width and height, as -640x480, are what other programs call their own pictures."""
_LEVEL = re.escape("{}")
_RESULT = re.compile(f"(?:{'|'.join(re.escape(task.suffix).replace(_LEVEL, _SCALED) for task in TASKS.values())})$")
"""What is put behind the names of results where nothing else is asked for."""


@dataclass(frozen=True, kw_only=True)
class Naming:
    """Names outputs. Each field is a flag of ``nlrn denoise`` and ``nlrn upscale`` too."""

    suffix: str | None = field(default=None, metadata={"metavar": "TEXT"})
    """Put behind the name of each output; default -denoised, or as -x2 or -640w, without --output, else nothing."""
    format: str | None = field(default=None, metadata={"metavar": "png|tif|jpg|webp|..."})
    """Write every output in this format; default that of its input."""
    skip_existing: bool = False
    """Pass over inputs whose output is there."""
    replace: bool = False
    """Put the results in the places of the inputs, which stay beside them under another name."""
    backup: str = field(default=".orig", metadata={"metavar": "TEXT"})
    """Put behind the whole name of each original that --replace keeps."""
    follow_links: bool = False
    """Search folders that links in a folder lead to."""

    def check(self, out: Path | None) -> None:
        """Refuse what does not go together.

        Raises:
            UsageError: it does not.
        """
        for flag, text in (("--suffix", self.suffix), ("--backup", self.backup)):
            if text and (os.sep in text or "/" in text):
                raise UsageError(f"{flag} {text} is a part of a name and cannot hold a slash")
        if self.replace and not self.backup:
            raise UsageError("--backup cannot be empty: the original would be lost")
        if self.replace and (out is not None or self.suffix or self.format):
            raise UsageError(
                "--replace puts results in the places of the inputs: leave out --output, --suffix, --format"
            )

    def target(self, source: Path, place: Path, ending: str) -> Path:
        """The output of a file in the folder ``place``; its ending where no format is asked for."""
        return place / (source.stem + (self.suffix or "") + (f".{self.format}" if self.format else ending))

    def original_of(self, stem: str, *, any_run: bool) -> str | None:
        """The stem that a result of that stem was made of, going by its name; None if it is named like no result.

        Args:
            any_run: also a run of another task or without a suffix of its own.
        """
        if self.suffix and stem.endswith(self.suffix):
            return stem[: -len(self.suffix)]
        ending = _RESULT.search(stem) if any_run else None
        return stem[: ending.start()] if ending else None
