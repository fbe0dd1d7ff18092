"""The places that outputs go to: whether they can be written, as far as it shows before the work, and stay there."""

import os
from pathlib import Path

from nlrn.images import ImageFileError

_NAME_BYTES = 255
"""What a name may take where the file system does not say."""


def check(target: Path) -> None:
    """Refuse a place where nothing can be written, before anything is computed.

    Raises:
        ImageFileError: it is a folder or below a file, the folder may not be written to, or the name is too long.
    """
    if os.path.isdir(target):
        raise ImageFileError(f"{target} is a folder: give the name of a file in it.")
    folder = Path(os.path.realpath(target)).parent
    while not os.path.lexists(folder):
        folder = folder.parent
    if not folder.is_dir():
        raise ImageFileError(f"{target} cannot be written: {folder} is no folder, name another --output.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ImageFileError(
            f"{target} cannot be written: nothing may be written in {folder}, name another --output."
        )
    length, most = len(os.fsencode(target.name)), _longest_name(folder)
    if length > most:
        raise ImageFileError(
            f"{target} cannot be written: its name takes {length} bytes of {most}, give a shorter one."
        )


def _longest_name(folder: Path) -> int:
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except (AttributeError, OSError, ValueError):
        return _NAME_BYTES


class Folders:
    """The folders of outputs, made when the first comes, and known again: a disc that goes takes its files along."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[int, int] | None] = {}

    def make(self, folder: Path) -> None:
        """Make a folder; one that was there before and is gone is not made again, perhaps on another disc.

        Raises:
            ImageFileError: it cannot be made, or is gone.
        """
        if folder not in self._known:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ImageFileError(f"{folder} cannot be made ({error.strerror}): name another --output.") from error
            self._known[folder] = _identity(folder)
        elif self._known[folder] != _identity(folder):
            raise ImageFileError(f"{folder} has vanished during the run: see what took it, and start again.")

    def lost(self, target: Path) -> bool:
        """Whether a file that was written is gone together with its folder."""
        now = _identity(target.parent)
        return not target.exists() and (now is None or now != self._known.get(target.parent, now))


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
