"""``nlrn demo``, ``models`` and ``info``: look around."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nlrn
from nlrn.cli.exits import DONE
from nlrn.cli.options import path
from nlrn.models.cards import list_models

if TYPE_CHECKING:
    from nlrn.cli.options import Commands


def add(commands: "Commands") -> None:
    demo = commands.add_parser("demo", help="see it work on a sample photograph")
    demo.add_argument("-o", "--output", type=path, default=Path("nlrn-demo"), help="folder for the pictures")
    demo.set_defaults(command=_demo)
    for name, about, command in (
        ("models", "the models that ship", _models),
        ("info", "versions, devices, kernels in use", _info),
    ):
        parser = commands.add_parser(name, help=about)
        parser.add_argument("--json", action="store_true", help="print all of it as JSON")
        parser.set_defaults(command=command)


def _models(options: argparse.Namespace) -> int:
    if options.json:
        print(json.dumps(list_models(), indent=2))
        return DONE
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
    from nlrn.inference.machine import machine, machine_lines

    found = machine()
    if options.json:
        print(json.dumps({"nlrn": nlrn.__version__, **found}, indent=2))
    else:
        print(f"nlrn {nlrn.__version__}", *machine_lines(found), sep="\n")
    return DONE


def _demo(options: argparse.Namespace) -> int:
    from nlrn.cli.demo import run_demo

    run_demo(options.output)
    return DONE
