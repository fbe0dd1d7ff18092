"""Originals that are kept under another name before their restored forms take their places."""

import contextlib
import filecmp
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from nlrn.files import replacing
from nlrn.images import ImageFileError


@contextlib.contextmanager
def kept(original: Path, backup: Path) -> Iterator[None]:
    """A second name for a file, so that it is whole under at least one of them at every moment of the block.

    Raises:
        ImageFileError: something else has that name, or it cannot be written.
    """
    try:
        _copy(original, backup)
    except OSError as error:
        raise ImageFileError(
            f"{backup} cannot be written ({error.strerror}): the original stays as it is."
        ) from error
    try:
        yield
    except BaseException:
        if is_the_same(original, backup):
            backup.unlink()
        raise


def is_the_same(original: Path, backup: Path) -> bool:
    """Whether a backup holds what its original holds: nothing has taken the original's place yet."""
    return os.path.samefile(original, backup) or filecmp.cmp(original, backup, shallow=False)


def _copy(original: Path, backup: Path) -> None:
    try:
        os.link(original, backup)
    except FileExistsError:
        if not is_the_same(original, backup):
            raise ImageFileError(
                f"{backup} is there already, of an earlier --replace: move it away, or name another --backup."
            ) from None
    except OSError:  # a file system without second names
        with open(original, "rb") as source, replacing(backup) as copy:
            shutil.copyfileobj(source, copy)
        shutil.copystat(original, backup)
