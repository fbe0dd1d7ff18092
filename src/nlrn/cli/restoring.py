"""``nlrn denoise`` and ``nlrn upscale``: restore files and folders."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlrn.cli.exits import DONE, SOME_FAILED, WRONG_USE
from nlrn.cli.options import add_device

if TYPE_CHECKING:
    from nlrn.batch import Recipe
    from nlrn.cli.options import Commands


def add(commands: "Commands") -> None:
    denoise = commands.add_parser("denoise", help="remove noise from images")
    denoise.add_argument(
        "--sigma",
        type=float,
        help="noise level, where white is 255, whatever the bit depth; estimated for each image if not given",
    )
    _add_common(denoise, _denoise, "-denoised")
    upscale = commands.add_parser("upscale", help="enlarge images")
    upscale.add_argument("--scale", type=float, help="how many times as high and wide: 2, 3, 4, 1.5 ... up to 16")
    upscale.add_argument("--width", type=int, help="of the result in pixels, instead of --scale")
    upscale.add_argument("--height", type=int, help="of the result in pixels; without --width the shape is kept")
    _add_common(upscale, _upscale, "-x2 or whatever the size is")


def _add_common(parser: argparse.ArgumentParser, command: Callable[[argparse.Namespace], int], suffix: str) -> None:
    parser.add_argument("inputs", type=Path, nargs="+", metavar="INPUT", help="image files, or folders of them")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="OUT",
        help="a file for one input, a folder for several or for a folder; default beside each input",
    )
    parser.add_argument(
        "--suffix",
        metavar="TEXT",
        help=f"put TEXT behind the name of each output; default {suffix} without --output, else nothing",
    )
    parser.add_argument("--skip-existing", action="store_true", help="pass over inputs whose output is there")
    parser.add_argument("--strip-metadata", action="store_true", help="keep only the pixels and the colour profile")
    parser.add_argument(
        "--quality", type=int, help="1 to 100 for JPEG, WebP, AVIF and HEIC; default so that nothing visible is lost"
    )
    parser.add_argument("--model", help="name or file; default the one that the task ships with")
    parser.add_argument("--ensemble", action="store_true", help="mean over eight flips and turns: slower, better")
    add_device(parser)
    parser.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="ray: on the cluster of RAY_ADDRESS, or in several processes here; needs nlrn[ray]",
    )
    parser.add_argument(
        "--workers", type=int, metavar="N", help="processes of the engine ray; default one to a GPU or processor"
    )
    parser.set_defaults(command=command)


def _denoise(options: argparse.Namespace) -> int:
    from nlrn.batch import Recipe

    return _run(options, Recipe("denoise", sigma=options.sigma, **_how(options)), "-denoised")


def _upscale(options: argparse.Namespace) -> int:
    from nlrn.batch import Recipe

    scale, width, height = options.scale, options.width, options.height
    if scale is not None:
        suffix = f"-x{scale:g}"
    else:
        suffix = f"-{width}x{height}" if width and height else f"-{width}w" if width else f"-{height}h"
    return _run(options, Recipe("sr", scale=scale, width=width, height=height, **_how(options)), suffix)


def _how(options: argparse.Namespace) -> dict[str, Any]:
    """What both commands have in common."""
    names = ("model", "ensemble", "device", "precision", "strip_metadata", "quality")
    return {name: getattr(options, name) for name in names}


def _run(options: argparse.Namespace, recipe: "Recipe", suffix: str) -> int:
    from nlrn.batch import run
    from nlrn.cli.watching import summary, watching

    if options.suffix is not None:
        suffix = options.suffix
    elif options.output is not None:
        suffix = ""
    with watching() as watch:
        outcome = run(
            recipe,
            options.inputs,
            options.output,
            suffix=suffix,
            skip_existing=options.skip_existing,
            engine=options.engine,
            workers=options.workers,
            watch=watch,
        )
    for line in summary(outcome):
        print(f"nlrn: {line}", file=sys.stderr)
    if not outcome.failed:
        return DONE
    return SOME_FAILED if outcome.done or outcome.skipped or len(outcome.failed) > 1 else WRONG_USE
