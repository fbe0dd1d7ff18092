"""The command line: restore files (``denoise``, ``upscale``), look around, measure, train."""

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

# What a command needs beyond these is imported when it runs: ``nlrn --help`` must not wait for torch.
import nlrn
from nlrn.progress import ConsoleHandler, bars

if TYPE_CHECKING:
    import numpy as np

    from nlrn.tiles import Progress

DONE, SOME_FAILED, WRONG_USE, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 0 done, 1 some inputs failed, 2 wrong use or bad input."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = _parser(training="train" in arguments[:1]).parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except KeyboardInterrupt:
        print("nlrn: interrupted; finished files are whole", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        if not _is_users(error):
            raise
        print(f"nlrn: {error}", file=sys.stderr)
        return WRONG_USE


def _is_users(error: Exception) -> bool:
    """Whether an error is about what the user gave, with a message meant for them."""
    from nlrn.batch import UsageError
    from nlrn.images import ImageFileError
    from nlrn.models import ModelError

    return isinstance(error, (UsageError, ImageFileError, ModelError, ValueError, OSError, FloatingPointError))


def _denoise(options: argparse.Namespace) -> int:
    from nlrn.restore import denoise, ready

    network = ready(options.model, "denoise", options.device)

    def restored(pixels: "np.ndarray", axis: int | None, progress: "Progress") -> "np.ndarray":
        # --sigma is on the scale of 8-bit images, denoise takes the units of the pixels
        full = {"uint8": 255, "uint16": 65535}.get(str(pixels.dtype), 1)
        sigma = None if options.sigma is None else options.sigma * full / 255
        return denoise(
            pixels,
            sigma,
            channel_axis=axis,
            model=network,
            ensemble=options.ensemble,
            precision=options.precision,
            progress=progress,
        )

    return _restore_files(options, restored)


def _upscale(options: argparse.Namespace) -> int:
    from nlrn.restore import ready, upscale

    network = ready(options.model, "sr", options.device)

    def restored(pixels: "np.ndarray", axis: int | None, progress: "Progress") -> "np.ndarray":
        return upscale(
            pixels,
            options.scale,
            channel_axis=axis,
            model=network,
            ensemble=options.ensemble,
            precision=options.precision,
            progress=progress,
        )

    return _restore_files(options, restored)


def _restore_files(
    options: argparse.Namespace, restored: "Callable[[np.ndarray, int | None, Progress], np.ndarray]"
) -> int:
    from nlrn.batch import Job, plan_jobs, run_jobs

    jobs = plan_jobs(options.inputs, options.output)
    logging.getLogger("nlrn").setLevel(logging.INFO)
    with bars() as progress:
        handler = ConsoleHandler(progress.console)
        logging.getLogger("nlrn").addHandler(handler)
        whole = progress.add_task("images", total=len(jobs), visible=len(jobs) > 1)
        piece = progress.add_task("", total=None)

        def started(job: Job, shape: tuple[int, ...]) -> "Progress":
            progress.reset(piece, total=None, description=f"{job.source.name} {shape[1]} x {shape[0]}")
            return lambda done, total: progress.update(piece, completed=done, total=total)

        def finished(job: Job, reason: str | None) -> None:
            progress.advance(whole)
            if reason is None:
                progress.console.print(f"{job.source} -> {job.target}", highlight=False, soft_wrap=True)

        failures = run_jobs(jobs, restored, started=started, finished=finished)
        logging.getLogger("nlrn").removeHandler(handler)
    for _, reason in failures:
        print(f"nlrn: {reason}", file=sys.stderr)
    if failures and len(jobs) > 1:
        print(f"nlrn: {len(failures)} of {len(jobs)} images failed", file=sys.stderr)
    return DONE if not failures else WRONG_USE if len(jobs) == 1 else SOME_FAILED


def _models(options: argparse.Namespace) -> int:
    from rich.console import Console

    from nlrn.describe import models_table

    Console().print(models_table())
    return DONE


def _info(options: argparse.Namespace) -> int:
    from nlrn.describe import info_lines

    for line in info_lines():
        print(line)
    return DONE


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


def _bench(options: argparse.Namespace) -> int:
    import json

    from nlrn.bench import correlation, table

    results = correlation(
        size=options.size, window=options.window, depths=options.depth, width=options.width, repeats=options.repeats
    )
    print(table(results))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    return DONE


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


def _demo(options: argparse.Namespace) -> int:
    from nlrn.demo import run_demo

    run_demo(options.output)
    return DONE


def _parser(*, training: bool) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="nlrn", description="Denoise and upscale images, offline.")
    parser.add_argument("--version", action="version", version=f"nlrn {nlrn.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    denoise = commands.add_parser("denoise", help="remove noise from images")
    denoise.add_argument(
        "--sigma",
        type=float,
        help="noise level, where white is 255, whatever the bit depth; estimated for each image if not given",
    )
    _add_restoring(denoise, _denoise, "denoise")
    upscale = commands.add_parser("upscale", help="enlarge images")
    upscale.add_argument("--scale", type=int, choices=(2, 3, 4), required=True)
    _add_restoring(upscale, _upscale, "sr")

    demo = commands.add_parser("demo", help="see it work on a sample photograph")
    demo.add_argument("-o", "--output", type=Path, default=Path("nlrn-demo"), help="folder for the pictures")
    demo.set_defaults(command=_demo)
    commands.add_parser("models", help="the models that ship").set_defaults(command=_models)
    commands.add_parser("info", help="versions, devices, kernels in use").set_defaults(command=_info)

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
        _add_device(one)
        one.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
        one.set_defaults(command=_evaluate, task=task)

    bench = commands.add_parser("bench", help="time the confined correlation in all its forms, side by side")
    bench.add_argument("--size", type=int, default=128, help="side of the image")
    bench.add_argument("--window", type=int, default=45)
    bench.add_argument("--depth", type=int, nargs="+", default=[64, 128, 256, 768], help="channels of the queries")
    bench.add_argument("--width", type=int, default=128, help="channels of the values")
    bench.add_argument("--repeats", type=int, default=3)
    bench.add_argument("--json", type=Path, metavar="FILE")
    bench.set_defaults(command=_bench)

    train = commands.add_parser("train", help="train a network")
    if training:  # its flags come from dataclasses whose modules need torch: only this command waits for it
        _add_training(train)
    return parser


def _add_restoring(parser: argparse.ArgumentParser, command: Callable[[argparse.Namespace], int], task: str) -> None:
    parser.add_argument("inputs", type=Path, nargs="+", metavar="INPUT", help="image files, or folders of them")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="OUT",
        help="a file for one input, a folder for several or for a folder",
    )
    parser.add_argument("--model", help="name or file; default the one that the task ships with")
    parser.add_argument("--ensemble", action="store_true", help="mean over eight flips and turns: slower, better")
    _add_device(parser)
    parser.set_defaults(command=command, task=task)


def _add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"))
    parser.add_argument("--precision", default="auto", choices=("auto", "fp32", "bf16"))


def _add_training(parser: argparse.ArgumentParser) -> None:
    from nlrn.flags import add_flags
    from nlrn.network import Config
    from nlrn.training.settings import Settings

    tasks = parser.add_subparsers(required=True, metavar="TASK")
    for task in ("denoise", "sr"):
        one = tasks.add_parser(task)
        add_flags(one.add_argument_group("the network"), Config, skip=("task",))
        add_flags(one.add_argument_group("the training"), Settings)
        one.set_defaults(command=_train, task=task)


if __name__ == "__main__":
    sys.exit(main())
