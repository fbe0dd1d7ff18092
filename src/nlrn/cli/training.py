"""``nlrn train`` and ``nlrn ablate``: train a network, or many small ones to see what matters."""

import argparse
from typing import TYPE_CHECKING

from nlrn.cli.exits import DONE
from nlrn.cli.flags import add_flags, from_flags
from nlrn.cli.options import add_device, path
from nlrn.cli.stopping import Stopped
from nlrn.config import TASKS, Config
from nlrn.errors import UsageError, needs
from nlrn.training.settings import Settings

if TYPE_CHECKING:
    from nlrn.cli.options import Commands


def add(commands: "Commands") -> None:
    train = commands.add_parser("train", help="train a network")
    tasks = train.add_subparsers(required=True, metavar="TASK")
    for task in TASKS:
        one = tasks.add_parser(task)
        add_flags(one.add_argument_group("the network"), Config, skip=("task",))
        add_flags(one.add_argument_group("the training"), Settings)
        one.set_defaults(command=_train, task=task)
    ablate = commands.add_parser("ablate", help="what each part of the network is worth: a table and a figure")
    ablate.add_argument(
        "--data", type=path, nargs="+", required=True, help="folders of training images; of test images for --trained"
    )
    ablate.add_argument("--out", type=path, help="for the runs and results; found there, they go on")
    ablate.add_argument(
        "--trained", metavar="MODEL", help="train nothing: what the attention is worth in this model, on the images"
    )
    ablate.add_argument("--iterations", type=int, default=1000, help="of each of the networks. Default: 1000")
    ablate.add_argument("--batch", type=int, default=16, help="patches of 33 x 33. Default: 16")
    add_device(ablate)
    ablate.set_defaults(command=_ablate)


def _train(options: argparse.Namespace) -> int:
    with needs("train"):
        from nlrn.training.loop import train
    try:
        outcome = train(from_flags(Config, options, task=options.task), from_flags(Settings, options))
    except KeyboardInterrupt as stop:
        stop.args = (f"what {options.out} holds is whole, and the same command goes on from it",)
        raise
    print(f"best validation PSNR {outcome.psnr:.2f} dB; weights in {options.out}")
    if outcome.stopped_by is not None and not outcome.finished:
        raise Stopped(
            outcome.stopped_by,
            f"iteration {outcome.saved} of {options.iterations} is saved in {options.out}, and the same command goes "
            "on from it",
        )
    return DONE


def _ablate(options: argparse.Namespace) -> int:
    from nlrn.files import write_whole

    if options.trained:
        return _ablate_trained(options)
    if options.out is None:
        raise UsageError("nlrn ablate needs --out, the folder for its runs, or --trained MODEL")

    with needs("train"):
        import matplotlib as _  # noqa: F401  # before hours of training rather than after them

        from nlrn.training import ablation
    scores = ablation.ablate(
        options.data,
        options.out,
        iterations=options.iterations,
        batch=options.batch,
        device=options.device,
        precision=options.precision,
    )
    table = ablation.to_markdown(scores)
    print(table, end="")
    write_whole(options.out / "ablation.md", table.encode())
    ablation.draw(scores, options.out / "ablation.png")
    return DONE


def _ablate_trained(options: argparse.Namespace) -> int:
    from rich.console import Console

    from nlrn import models
    from nlrn.evaluation.likeness import likeness, to_markdown
    from nlrn.inference.device import choose_device

    network = models.load(options.trained).to(choose_device(options.device))
    levels, console = TASKS[network.config.task].levels, Console(stderr=True)
    for folder in options.data:
        worth = likeness(network, folder, levels, name=options.trained, precision=options.precision, console=console)
        print(f"{options.trained} on {folder.name}\n\n{to_markdown(worth)}")
    return DONE
