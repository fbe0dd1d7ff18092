"""Options that several commands share."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from nlrn.inference.device import DEVICES, PRECISIONS

if TYPE_CHECKING:
    Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_device(parser: argparse.ArgumentParser) -> None:
    """Where and in which precision to compute."""
    parser.add_argument("--device", default="auto", choices=DEVICES)
    parser.add_argument("--precision", default="auto", choices=PRECISIONS)


def path(given: str) -> Path:
    """The value of a flag or argument that names a file or a folder; an empty one would be the current folder."""
    return Path(name(given))


def name(given: str) -> str:
    """The same as text, with the slash that it may have at its end."""
    if not given:
        raise argparse.ArgumentTypeError(
            "the name is empty, as of a variable that is not set: name a file or a folder"
        )
    return given
