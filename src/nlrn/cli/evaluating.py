"""``nlrn evaluate``: how good a model is on test images, by the protocol of the papers."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from nlrn.cli.exits import DONE
from nlrn.cli.options import add_device

if TYPE_CHECKING:
    from nlrn.cli.options import Commands


def add(commands: "Commands") -> None:
    evaluate = commands.add_parser("evaluate", help="score a model on a test set").add_subparsers(
        required=True, metavar="TASK"
    )
    for task, flag, kind, levels in (
        ("denoise", "--sigma", float, (15, 25, 50)),
        ("sr", "--scale", int, (2, 3, 4)),
    ):
        one = evaluate.add_parser(task)
        one.add_argument("--data", type=Path, required=True, help="folder of clean test images")
        one.add_argument(flag, type=kind, nargs="+", default=list(levels))
        one.add_argument("--model", help="name or file; default the one that the task ships with")
        one.add_argument("--ensemble", action="store_true", help="mean over eight flips and turns")
        one.add_argument(
            "--patches",
            type=int,
            metavar="STRIDE",
            help="the released protocol: patches of 45 x 45 cut every so many pixels, restored alone and averaged",
        )
        add_device(one)
        one.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
        one.set_defaults(command=_evaluate, task=task)


def _evaluate(options: argparse.Namespace) -> int:
    from rich.console import Console

    from nlrn.device import choose_precision
    from nlrn.evaluate import evaluate_denoise, evaluate_sr
    from nlrn.models import DEFAULTS
    from nlrn.report import print_report, write_json
    from nlrn.restore import ready

    name = options.model or DEFAULTS[options.task]
    network = ready(name, options.task, options.device)
    how = {
        "name": name,
        "ensemble": options.ensemble,
        "stride": options.patches,
        "precision": choose_precision(options.precision, network.tail.weight.device),
        "console": Console(stderr=True),
    }
    if options.task == "denoise":
        report = evaluate_denoise(network, options.data, options.sigma, **how)
    else:
        report = evaluate_sr(network, options.data, options.scale, **how)
    print_report(report, Console())
    if options.json:
        write_json(report, options.json)
    return DONE
