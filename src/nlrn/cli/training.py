"""``nlrn train``: train a network."""

import argparse
import sys
from typing import TYPE_CHECKING

from nlrn.cli.exits import DONE, WRONG_USE

if TYPE_CHECKING:
    from nlrn.cli.options import Commands


def add(commands: "Commands", *, flags: bool) -> None:
    train = commands.add_parser("train", help="train a network")
    if flags:
        _add_flags(train)


def _add_flags(parser: argparse.ArgumentParser) -> None:
    from nlrn.flags import add_flags
    from nlrn.network import Config
    from nlrn.training.settings import Settings

    tasks = parser.add_subparsers(required=True, metavar="TASK")
    for task in ("denoise", "sr"):
        one = tasks.add_parser(task)
        add_flags(one.add_argument_group("the network"), Config, skip=("task",))
        add_flags(one.add_argument_group("the training"), Settings)
        one.set_defaults(command=_train, task=task)


def _train(options: argparse.Namespace) -> int:
    from nlrn.flags import from_flags
    from nlrn.network import Config

    try:
        from nlrn.training import Settings, train
    except ModuleNotFoundError as error:
        print(f"nlrn: training needs {error.name}; install nlrn[train]", file=sys.stderr)
        return WRONG_USE
    best = train(from_flags(Config, options, task=options.task), from_flags(Settings, options))
    print(f"best validation PSNR {best:.2f} dB; weights in {options.out}")
    return DONE
