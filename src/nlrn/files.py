"""Files that appear whole or not at all."""

import contextlib
import json
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

try:
    import fcntl
except ImportError:  # Windows, where an open file cannot be removed anyway
    fcntl = None  # type: ignore[assignment]

_NAME_BYTES = 255 - len("..0123abcd.part")
"""What a temporary name may take of the file's own: file systems count bytes, not characters."""


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file beside ``path`` that takes its place when the block ends well; else what was there stays.

    A link stays one, and so do the permissions of a file that is replaced.

    Raises:
        OSError: the file cannot be written.
    """
    target = Path(os.path.realpath(path))
    part = target.with_name(f".{_shortened(target.name)}.{secrets.token_hex(4)}.part")
    try:
        with open(part, "xb") as file:
            if fcntl is not None:
                with contextlib.suppress(OSError):  # a file system without locks
                    fcntl.flock(file, fcntl.LOCK_EX)
            yield file
            file.flush()
            os.fsync(file.fileno())
            with contextlib.suppress(FileNotFoundError):
                os.chmod(part, target.stat().st_mode & 0o777)
            if fcntl is not None:  # before it is closed, as another run may take it for a stray from then on
                os.replace(part, target)
        if fcntl is None:  # Windows moves no open file
            os.replace(part, target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_whole(path: Path, data: bytes) -> None:
    """Put these bytes in a file's place.

    Raises:
        OSError: the file cannot be written.
    """
    with replacing(path) as file:
        file.write(data)


def write_json(path: Path, value: Any) -> None:
    """A value as JSON; numbers that JSON lacks are an error.

    Raises:
        OSError: the file cannot be written.
    """
    write_whole(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())


def remove_parts(targets: Iterable[Path]) -> None:
    """Remove what is left of writing these files in a process that was killed, and nothing that is being written."""
    names: dict[Path, set[str]] = {}
    for target in targets:
        real = Path(os.path.realpath(target))
        names.setdefault(real.parent, set()).add(_shortened(real.name))
    for folder, wanted in names.items():
        for part in folder.glob(".*.part"):
            if part.name[1:].rsplit(".", 2)[0] in wanted:
                with contextlib.suppress(OSError):
                    if _is_stray(part):
                        part.unlink()


def _is_stray(part: Path) -> bool:
    """Whether no process writes it any more; Windows, without such locks, does not remove what is written."""
    if fcntl is None:
        return True
    with open(part, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
    return True


def _shortened(name: str) -> str:
    return os.fsdecode(os.fsencode(name)[:_NAME_BYTES])
