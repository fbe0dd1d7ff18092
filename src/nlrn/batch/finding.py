"""The image files below a folder, and what in there is passed over."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from nlrn.images import SUFFIXES

_JUNK = {"__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found"}
"""Folders that operating systems and storage devices leave among photographs, in small letters."""


@dataclass
class Found:
    """The files below a folder."""

    images: list[Path] = field(default_factory=list)
    passed_over: list[tuple[Path, str]] = field(default_factory=list)
    """What may have been meant and is not done, and why: a sentence that names it."""


def images_below(folder: Path, out: Path | None, *, follow_links: bool) -> Found:
    """Search a folder and those in it, in the order of names.

    Hidden and junk files and folders are passed over without a word, and so is ``out``.
    """
    found, seen = Found(), {os.path.realpath(folder)}
    avoided = None if out is None or _same(out, folder) else os.path.realpath(out)

    def refused(error: OSError) -> None:
        name = Path(error.filename or folder)
        found.passed_over.append((name, f"{name} cannot be searched ({error.strerror}): check its permissions."))

    for place, folders, files in os.walk(folder, onerror=refused, followlinks=follow_links):
        here, deeper = Path(place), []
        for name in sorted(folders):
            path = here / name
            real = os.path.realpath(path)
            if name.startswith(".") or name.lower() in _JUNK or real == avoided:
                continue
            if path.is_symlink() and not follow_links:
                found.passed_over.append((path, f"{path} is a link to a folder: give --follow-links to search it."))
            elif real not in seen:
                seen.add(real)
                deeper.append(name)
        folders[:] = deeper
        for name in sorted(files):
            path = here / name
            if name.startswith(".") or path.suffix.lower() not in SUFFIXES:
                continue
            if path.is_file():
                found.images.append(path)
            else:
                kind = "a link that leads nowhere" if path.is_symlink() else "no ordinary file"
                found.passed_over.append((path, f"{path} is {kind}: remove it, or give what was meant."))
    return found


def _same(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)
