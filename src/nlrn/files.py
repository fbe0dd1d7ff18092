"""Files that appear whole or not at all."""

import contextlib
import json
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

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
            yield file
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileNotFoundError):
            os.chmod(part, target.stat().st_mode & 0o777)
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
    """Remove what is left of writing these files in a process that was killed."""
    names: dict[Path, set[str]] = {}
    for target in targets:
        names.setdefault(target.parent, set()).add(_shortened(target.name))
    for folder, wanted in names.items():
        for part in folder.glob(".*.part"):
            if part.name[1:].rsplit(".", 2)[0] in wanted:
                part.unlink(missing_ok=True)


def _shortened(name: str) -> str:
    return os.fsdecode(os.fsencode(name)[:_NAME_BYTES])
