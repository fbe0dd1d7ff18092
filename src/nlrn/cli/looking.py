"""``nlrn demo``, ``models`` and ``info``: look around."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlrn.cli.exits import DONE
from nlrn.models.cards import list_models

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
    from rich.table import Table

    table = Table("name", "task", "parameters", "scores (PSNR, dB)")
    for name, card in list_models().items():
        table.add_row(name, card["config"]["task"], f"{card['parameters']:,}", _scores(card))
    Console().print(table)
    return DONE


def _scores(card: dict[str, Any]) -> str:
    return "\n".join(
        f"{data}: " + " / ".join(f"{psnr:.2f}" for psnr in scores.values()) + f" at {' / '.join(scores)}"
        for data, scores in card.get("scores", {}).items()
    )


def _info(options: argparse.Namespace) -> int:
    from nlrn.cli.machine import info_lines

    for line in info_lines():
        print(line)
    return DONE


def _demo(options: argparse.Namespace) -> int:
    from nlrn.cli.demo import run_demo

    run_demo(options.output)
    return DONE
