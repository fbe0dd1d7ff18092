"""``nlrn explain``: what a network looks at."""

import argparse
from typing import TYPE_CHECKING

from nlrn.cli.exits import DONE
from nlrn.cli.options import path

if TYPE_CHECKING:
    from nlrn.cli.options import Commands


def add(commands: "Commands") -> None:
    explain = commands.add_parser(
        "explain", help="draw which pixels a network looks at when it restores one", description=_explain.__doc__
    )
    explain.add_argument("image", type=path, metavar="IMAGE")
    explain.add_argument("x", type=int, metavar="X", help="column of the pixel, from 0 at the left")
    explain.add_argument("y", type=int, metavar="Y", help="row of the pixel, from 0 at the top")
    explain.add_argument("-o", "--output", type=path, required=True, metavar="PNG")
    explain.add_argument("--model", help="name or file; default the one that the task ships with")
    explain.add_argument(
        "--sigma", type=float, help="noise level, where white is 255, whatever the bit depth; estimated if not given"
    )
    explain.add_argument("--scale", type=int, choices=(2, 3, 4), help="explain upscaling by so much, not denoising")
    explain.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"))
    explain.set_defaults(command=_explain)


def _explain(options: argparse.Namespace) -> int:
    """Heat maps of the weights that a pixel gives its neighbours, for each step with a non-local block, with the
    correlation of earlier steps added (propagation) and without."""
    from nlrn import images
    from nlrn.config import DENOISE, SUPER_RESOLUTION
    from nlrn.explanation.attention import explain
    from nlrn.explanation.heatmaps import draw
    from nlrn.inference.ready import ready
    from nlrn.pixels.arrays import colours_of
    from nlrn.pixels.scene import Scene

    pixels = images.read(options.image).pixels
    task = DENOISE if options.scale is None else SUPER_RESOLUTION
    network = ready(options.model or task.defaults[colours_of(pixels)], task.name, options.device)
    sigma = Scene(pixels[..., None] if pixels.ndim == 2 else pixels).range.in_units(options.sigma)
    found = explain(network, pixels, options.x, options.y, sigma=sigma, scale=options.scale or 1)
    images.write(options.output, draw(found))
    print(f"{options.image} -> {options.output}")
    return DONE
