"""``nlrn demo``, ``models`` and ``info``: look around."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from nlrn.cli.exits import DONE

if TYPE_CHECKING:
    from nlrn.cli.options import Commands


def add(commands: "Commands") -> None:
    demo = commands.add_parser("demo", help="see it work on a sample photograph")
    demo.add_argument("-o", "--output", type=Path, default=Path("nlrn-demo"), help="folder for the pictures")
    demo.set_defaults(command=_demo)
    commands.add_parser("models", help="the models that ship").set_defaults(command=_models)
    commands.add_parser("info", help="versions, devices, kernels in use").set_defaults(command=_info)


def _models(options: argparse.Namespace) -> int:
    from rich.console import Console

    from nlrn.cli.describe import models_table

    Console().print(models_table())
    return DONE


def _info(options: argparse.Namespace) -> int:
    from nlrn.cli.describe import info_lines

    for line in info_lines():
        print(line)
    return DONE


def _demo(options: argparse.Namespace) -> int:
    from nlrn.cli.demo import run_demo

    run_demo(options.output)
    return DONE
