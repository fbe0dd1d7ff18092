"""Files that are replaced only by complete ones."""

import json
import os
from pathlib import Path
from typing import Any


def write_whole(path: Path, data: bytes) -> None:
    """Write beside and rename: whoever looks sees the old file or all of the new one.

    Raises:
        OSError: the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """A value as JSON; numbers that JSON lacks are an error.

    Raises:
        OSError: the file cannot be written.
    """
    write_whole(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())
