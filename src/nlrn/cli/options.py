"""Options that several commands share."""

import argparse
from typing import TYPE_CHECKING, TypeAlias

from nlrn.inference.device import DEVICES, PRECISIONS

if TYPE_CHECKING:
    Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_device(parser: argparse.ArgumentParser) -> None:
    """Where and in which precision to compute."""
    parser.add_argument("--device", default="auto", choices=DEVICES)
    parser.add_argument("--precision", default="auto", choices=PRECISIONS)
