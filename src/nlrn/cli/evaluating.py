"""``nlrn evaluate``: how good a model is on test images, by the protocol of the papers."""

import argparse
from typing import TYPE_CHECKING

from nlrn.cli.exits import DONE
from nlrn.cli.options import add_device, path
from nlrn.config import TASKS

if TYPE_CHECKING:
    from nlrn.cli.options import Commands
    from nlrn.evaluation.report import Report


def add(commands: "Commands") -> None:
    evaluate = commands.add_parser("evaluate", help="score a model on a test set, or all models on all sets")
    evaluate.add_argument("--all", action="store_true", help="all models that ship on all standard sets below --data")
    _add_common(evaluate, "folder of the test sets, each in a folder of its usual name")
    evaluate.add_argument(
        "--resume",
        action="store_true",
        help="with --all: go on where the --json file ends, and keep what it says of the same weights and precision",
    )
    evaluate.add_argument(
        "--only",
        nargs="+",
        metavar="MODEL",
        help="with --all: measure these, and leave of the others what --resume finds; some take hours",
    )
    evaluate.add_argument("--markdown", type=path, metavar="FILE", help="with --all: write the tables there")
    evaluate.set_defaults(command=_evaluate_all, misused=evaluate.error)
    tasks = evaluate.add_subparsers(metavar="TASK")
    for task in TASKS.values():
        one = tasks.add_parser(task.name)
        kind = int if task.enlarges else float
        one.add_argument(f"--{task.level}", type=kind, nargs="+", default=list(task.levels))
        one.add_argument("--model", help="name or file; default the one that the task ships with")
        _add_common(one, "folder of clean test images")
        one.set_defaults(command=_evaluate, task=task.name, misused=one.error)


def _add_common(parser: argparse.ArgumentParser, data: str) -> None:
    parser.add_argument("--data", type=path, help=data)
    parser.add_argument("--ensemble", action="store_true", help="mean over eight flips and turns")
    parser.add_argument(
        "--patches",
        type=int,
        metavar="STRIDE",
        help="the released protocol: patches of 45 x 45 cut every so many pixels, restored alone and averaged",
    )
    add_device(parser)
    parser.add_argument("--json", type=path, metavar="FILE", help="write all figures there")


def _evaluate_all(options: argparse.Namespace) -> int:
    from rich.console import Console

    from nlrn.evaluation.tables import Tables, earlier_tables, evaluate_all, to_json, to_markdown
    from nlrn.files import write_json, write_whole

    if not options.all or options.data is None:
        options.misused("say what to evaluate: denoise or sr with --data, or --all --data DIR")
    if options.resume and not options.json:
        options.misused("--resume needs the --json FILE of the evaluation it goes on with")

    earlier = earlier_tables(options.json) if options.resume and options.json.exists() else Tables([], [])

    def keep(reports: "list[Report]") -> None:
        if options.json:
            write_json(options.json, to_json(Tables(reports, earlier.speeds)))

    tables = evaluate_all(
        options.data,
        only=options.only,
        ensemble=options.ensemble,
        stride=options.patches,
        device=options.device,
        precision=options.precision,
        earlier=earlier,
        keep=keep,
        console=Console(stderr=True),
    )
    print(to_markdown(tables), end="")
    if options.markdown:
        write_whole(options.markdown, to_markdown(tables).encode())
    if options.json:
        write_json(options.json, to_json(tables))
    return DONE


def _evaluate(options: argparse.Namespace) -> int:
    from rich.console import Console

    from nlrn.evaluation.evaluate import evaluate
    from nlrn.evaluation.report import as_json, print_report
    from nlrn.files import write_json
    from nlrn.inference.device import choose_precision
    from nlrn.inference.ready import ready

    if options.data is None:
        options.misused("say where the test images are, with --data")
    if options.all or options.resume or options.only or options.markdown:
        options.misused("--all, --only, --resume and --markdown are for all models together, without a task")
    name = options.model or TASKS[options.task].defaults[1]
    network = ready(name, options.task, options.device)
    report = evaluate(
        network,
        options.data,
        getattr(options, TASKS[options.task].level),
        name=name,
        ensemble=options.ensemble,
        stride=options.patches,
        precision=choose_precision(options.precision, network.tail.weight.device),
        console=Console(stderr=True),
    )
    print_report(report, Console())
    if options.json:
        write_json(options.json, as_json(report))
    return DONE
