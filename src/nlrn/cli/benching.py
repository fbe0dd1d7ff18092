"""``nlrn bench``: how fast it is on this machine."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from nlrn.cli.exits import DONE

if TYPE_CHECKING:
    from nlrn.cli.options import Commands


def add(commands: "Commands") -> None:
    bench = commands.add_parser("bench", help="time the confined correlation in all its forms, side by side")
    bench.add_argument("--size", type=int, default=128, help="side of the image")
    bench.add_argument("--window", type=int, default=45)
    bench.add_argument("--depth", type=int, nargs="+", default=[64, 128, 256, 768], help="channels of the queries")
    bench.add_argument("--width", type=int, default=128, help="channels of the values")
    bench.add_argument("--repeats", type=int, default=3)
    bench.add_argument(
        "--precision", choices=("fp32", "bf16"), nargs="+", help="default: all that the processor is fast in"
    )
    bench.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, by precision")
    bench.set_defaults(command=_bench)


def _bench(options: argparse.Namespace) -> int:
    import json

    import torch

    from nlrn.bench import correlation, table
    from nlrn.device import has_fast_bf16

    results = []
    for precision in options.precision or (["fp32", "bf16"] if has_fast_bf16(torch.device("cpu")) else ["fp32"]):
        results.append(
            correlation(
                size=options.size,
                window=options.window,
                depths=options.depth,
                width=options.width,
                repeats=options.repeats,
                precision=precision,
            )
        )
        print(table(results[-1]))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    return DONE
