"""``nlrn denoise`` and ``nlrn upscale``: restore files and folders."""

import argparse
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from nlrn.cli.exits import DONE, SOME_FAILED, WRONG_USE
from nlrn.cli.options import add_device
from nlrn.progress import ConsoleHandler, bars

if TYPE_CHECKING:
    import numpy as np

    from nlrn.cli.options import Commands
    from nlrn.tiles import Progress


def add(commands: "Commands") -> None:
    denoise = commands.add_parser("denoise", help="remove noise from images")
    denoise.add_argument(
        "--sigma",
        type=float,
        help="noise level, where white is 255, whatever the bit depth; estimated for each image if not given",
    )
    _add_common(denoise, _denoise, "denoise")
    upscale = commands.add_parser("upscale", help="enlarge images")
    upscale.add_argument("--scale", type=int, choices=(2, 3, 4), required=True)
    _add_common(upscale, _upscale, "sr")


def _add_common(parser: argparse.ArgumentParser, command: Callable[[argparse.Namespace], int], task: str) -> None:
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
    add_device(parser)
    parser.set_defaults(command=command, task=task)


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
