"""Where the files of the page lie while it runs: one private folder, which goes when it ends."""

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import IO

from nlrn.web.refused import RefusedError

MAX_FILES = 500
"""Pictures on one page at a time."""
MAX_BYTES = 2 << 30
"""The largest file."""
MAX_BYTES_OF_PAGE = 16 << 30
"""All files of one page together."""
FREE_BYTES = 1 << 30
"""What stays free on the disk."""

_PREFIX, _LOCK = "nlrn-web-", "lock"
_LONGEST_NAME = 200  # bytes; what is made of it gets a longer one
# what one system or another does not take in a name, and the signs that make a name look like another one
_NOT_IN_NAMES = re.compile(r'[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069/\\:*?"<>|]')


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """A folder for this program alone, without links in its path. What killed programs left is removed first."""
    place = Path(os.path.realpath(tempfile.gettempdir()))
    for stray in place.glob(f"{_PREFIX}*"):
        _remove_stray(stray)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
    try:
        with open(folder / _LOCK, "wb") as lock:
            _try_to_lock(lock)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def safe_name(name: str) -> str:
    """A file name that every system takes, as near as can be to the one that a browser sent."""
    name = _NOT_IN_NAMES.sub("_", name).strip(". ") or "picture"
    stem, suffix = os.path.splitext(name)
    suffix = suffix if len(suffix.encode()) <= 16 else ""
    stem = name[: len(name) - len(suffix)].encode()[: _LONGEST_NAME - len(suffix.encode())].decode(errors="ignore")
    return stem + suffix


async def receive(body: AsyncIterator[bytes], path: Path, most: int) -> int:
    """Write a file as it arrives; returns its bytes.

    Args:
        most: bytes that the page may still bring.

    Raises:
        RefusedError: it is larger than allowed, or the disk is full; nothing is left of it then.
    """
    count, name = 0, path.name
    path.parent.mkdir()
    try:
        with open(path, "xb") as file:
            async for piece in body:
                count += len(piece)
                refuse_size(name, count, most, free_bytes(path.parent) + count - len(piece))
                file.write(piece)
    except BaseException as error:
        shutil.rmtree(path.parent, ignore_errors=True)
        if isinstance(error, OSError):
            raise RefusedError(f"{name} cannot be kept ({error.strerror}): make room here.", 507) from error
        raise
    return count


def free_bytes(folder: Path) -> int:
    """Of the disk where a folder lies."""
    return shutil.disk_usage(folder).free


def refuse_size(name: str, count: int, most: int, free: int) -> None:
    """Raise a RefusedError if a file of so many bytes is too much for the page, or for a disk with so many free."""
    if count > MAX_BYTES:
        raise RefusedError(
            f"{name} has more than {MAX_BYTES >> 30} GB, the most that this page takes. The command line has no "
            "such limit.",
            413,
        )
    if count > most:
        raise RefusedError(f"{name} is too much: pictures here may have {MAX_BYTES_OF_PAGE >> 30} GB together.", 413)
    if count > free - FREE_BYTES:
        raise RefusedError(f"{name} cannot be kept: the disk of this machine is nearly full.", 507)


def _remove_stray(folder: Path) -> None:
    """Remove a folder whose program has ended without doing so."""
    with contextlib.suppress(OSError):
        if folder.is_symlink() or (hasattr(os, "getuid") and folder.lstat().st_uid != os.getuid()):
            return
        with open(folder / _LOCK, "r+b") as lock:
            if not _try_to_lock(lock):
                return
        shutil.rmtree(folder)


def _try_to_lock(lock: IO[bytes]) -> bool:
    """Lock a file until it is closed; False if another program holds it."""
    try:
        import fcntl
    except ModuleNotFoundError:  # Windows
        import msvcrt

        try:
            msvcrt.locking(lock.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]  # Windows
        except OSError:
            return False
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
