"""``nlrn export``: a model as an ONNX file."""

import argparse
from typing import TYPE_CHECKING

from nlrn.cli.exits import DONE
from nlrn.cli.options import path

if TYPE_CHECKING:
    from nlrn.cli.options import Commands


def add(commands: "Commands") -> None:
    export = commands.add_parser("export", help="write a model as an ONNX file of any image size")
    export.add_argument("model", metavar="MODEL", help="name or file")
    export.add_argument("-o", "--output", type=path, required=True, metavar="FILE.onnx")
    export.add_argument("--scale", type=int, help="2, 3 or 4: by how much a network for super-resolution enlarges")
    export.set_defaults(command=_export)


def _export(options: argparse.Namespace) -> int:
    from nlrn import models
    from nlrn.errors import needs

    network = models.load(options.model)
    with needs("export"):
        from nlrn.export import SIZES, export
    difference = export(network, options.output, scale=options.scale)
    channels = network.config.channels
    inputs = f"image [batch, {channels}, height, width]" + (", sigma [batch]" if network.config.noise_map else "")
    print(f"{options.model} -> {options.output}: {inputs} -> restored; {options.output.stat().st_size:,} bytes")
    if difference is None:
        print("not verified: onnxruntime is not here; install nlrn[export]")
    else:
        tried = " and ".join(f"{height} x {width}" for height, width in SIZES)
        print(f"verified in onnxruntime at {tried}: largest difference {difference:.1e}, where white is 1")
    return DONE
