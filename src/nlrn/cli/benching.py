"""``nlrn bench``: how fast it is on this machine."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nlrn.cli.exits import DONE
from nlrn.cli.options import path

if TYPE_CHECKING:
    from nlrn.cli.options import Commands

Measured = tuple[dict[str, Any], str]
"""Results, ready for JSON, and as a table for reading."""

# without a name, a look at each part, in about a minute
_BRIEFLY = {
    "correlation": ["--size", "64", "--depth", "64"],
    "propagation": ["--size", "64"],
    "network": ["denoise-gray-lite", "--size", "256"],
    "training": ["denoise-gray-lite"],
    "frontier": ["--size", "128", "--repeats", "1"],
}


def add(commands: "Commands") -> None:
    bench = commands.add_parser(
        "bench",
        help="time the correlation, whole networks and training on this machine",
        description="Without the name of a part: a brief look at each of them.",
    )
    parts = bench.add_subparsers(metavar="PART")
    parsers = {
        "correlation": _add_correlation(parts),
        "propagation": _add_propagation(parts),
        "network": _add_network(parts),
        "training": _add_training(parts),
        "frontier": _add_frontier(parts),
    }
    bench.add_argument("--json", type=path, metavar="FILE", help="write all figures there")
    bench.set_defaults(command=_bench, measure=lambda _: _all(parsers))


def _add_part(
    parts: "Commands", name: str, measure: Callable[[argparse.Namespace], Measured], about: str
) -> argparse.ArgumentParser:
    part = parts.add_parser(name, help=about, description=about)
    part.add_argument("--json", type=path, metavar="FILE", help="write all figures there")
    part.set_defaults(measure=measure)
    return part


def _add_correlation(parts: "Commands") -> argparse.ArgumentParser:
    part = _add_part(
        parts,
        "correlation",
        _correlation,
        "the confined correlation in all its forms, side by side; without --window, --depth and --width "
        "as all models that ship have it",
    )
    part.add_argument("--size", type=int, default=128, help="side of the image")
    part.add_argument("--window", type=int, help="default: 45")
    part.add_argument("--depth", type=int, nargs="+", help="channels of the queries; default: 64")
    part.add_argument("--width", type=int, help="channels of the values; default: 128")
    part.add_argument("--repeats", type=int, default=3)
    part.add_argument(
        "--precision", choices=("fp32", "bf16"), nargs="+", help="default: all that the processor is fast in"
    )
    return part


def _add_propagation(parts: "Commands") -> argparse.ArgumentParser:
    part = _add_part(
        parts, "propagation", _propagation, "the correlation of many steps, by concatenation and by a map of logits"
    )
    part.add_argument("--steps", type=int, default=12)
    part.add_argument("--size", type=int, default=96, help="side of the image")
    part.add_argument("--window", type=int, default=45)
    part.add_argument("--depth", type=int, default=64, help="channels of a step's queries")
    part.add_argument("--width", type=int, default=128, help="channels of the values")
    part.add_argument("--repeats", type=int, default=3)
    part.add_argument("--precision", nargs="+", default=["fp32", "bf16"], choices=("fp32", "bf16"))
    return part


def _add_network(parts: "Commands") -> argparse.ArgumentParser:
    part = _add_part(parts, "network", _network, "whole networks, their parts, and the released protocol beside them")
    part.add_argument(
        "models",
        nargs="*",
        default=["denoise-gray-lite", "paper"],
        metavar="MODEL",
        help='names, files, or "paper" for the paper\'s network. Default: denoise-gray-lite paper',
    )
    part.add_argument("--size", type=int, default=512, help="side of the image")
    part.add_argument("--precision", nargs="+", default=["fp32", "bf16"], choices=("fp32", "bf16"))
    part.add_argument("--repeats", type=int, default=3)
    part.add_argument(
        "--patches",
        type=int,
        default=16,
        help="how many patches of the released protocol are timed, the rest extrapolated; 0 leaves it out",
    )
    return part


def _add_training(parts: "Commands") -> argparse.ArgumentParser:
    part = _add_part(parts, "training", _training, "steps of training, with the native correlation and PyTorch's")
    part.add_argument(
        "models", nargs="*", metavar="MODEL", help="as for network. Default: one of each configuration that ships"
    )
    part.add_argument("--batch", type=int, default=16, help="patches")
    part.add_argument("--patch", type=int, default=43, help="side of a patch")
    part.add_argument("--precision", nargs="+", default=["fp32", "bf16"], choices=("fp32", "bf16"))
    part.add_argument("--repeats", type=int, default=2)
    part.add_argument("--device", default="cpu", choices=("auto", "cpu", "cuda", "mps"))
    return part


def _add_frontier(parts: "Commands") -> argparse.ArgumentParser:
    part = _add_part(
        parts, "frontier", _frontier, "quality against time: all models beside DnCNN, FFDNet, DRUNet, VDSR and IMDN"
    )
    part.add_argument("--size", type=int, default=512, help="side of the image, a multiple of 8")
    part.add_argument("--precision", nargs="+", default=["fp32", "bf16"], choices=("fp32", "bf16"))
    part.add_argument("--repeats", type=int, default=3)
    part.add_argument("--figure", type=path, metavar="PNG", help="draw it there; needs nlrn[train]")
    return part


def _bench(options: argparse.Namespace) -> int:
    from nlrn.files import write_json

    results, table = options.measure(options)
    print(table)
    if options.json:
        write_json(options.json, results)
    return DONE


def _all(parsers: dict[str, argparse.ArgumentParser]) -> Measured:
    results = {}
    for name, parser in parsers.items():
        options = parser.parse_args(_BRIEFLY[name])
        results[name], table = options.measure(options)
        print(f"{name}: {table}\n", flush=True)
    return results, "nlrn bench PART measures more, and longer; see nlrn bench PART --help"


def _correlation(options: argparse.Namespace) -> Measured:
    import torch

    from nlrn.bench.correlation import correlation, shipped, table
    from nlrn.inference.device import has_fast_bf16

    fast = ["fp32", "bf16"] if has_fast_bf16(torch.device("cpu")) else ["fp32"]
    given = (options.depth, options.width, options.window)
    one = (options.depth or [64], options.width or 128, options.window or 45)
    wanted = [one] if any(given) else [([depth], width, window) for depth, width, window in shipped()]
    results = [
        correlation(
            size=options.size,
            window=window,
            depths=depths,
            width=width,
            repeats=options.repeats,
            precision=precision,
        )
        for precision in options.precision or fast
        for depths, width, window in wanted
    ]
    return {"configurations": results}, "\n".join(map(table, results))


def _propagation(options: argparse.Namespace) -> Measured:
    from nlrn.bench.propagation import propagation, table

    results = propagation(
        steps=options.steps,
        size=options.size,
        window=options.window,
        depth=options.depth,
        width=options.width,
        repeats=options.repeats,
        precisions=options.precision,
    )
    return results, table(results)


def _network(options: argparse.Namespace) -> Measured:
    from nlrn.bench.network import network, table

    results = network(
        options.models,
        size=options.size,
        precisions=options.precision,
        repeats=options.repeats,
        patches=options.patches,
    )
    return results, table(results)


def _training(options: argparse.Namespace) -> Measured:
    from nlrn.errors import needs

    with needs("train"):
        from nlrn.bench.training import table, training
    results = training(
        options.models,
        batch=options.batch,
        patch=options.patch,
        precisions=options.precision,
        repeats=options.repeats,
        device=options.device,
    )
    return results, table(results)


def _frontier(options: argparse.Namespace) -> Measured:
    from nlrn.bench.frontier import draw, frontier, table
    from nlrn.errors import UsageError, needs

    if options.size < 8 or options.size % 8:
        raise UsageError(f"--size must be a multiple of 8, not {options.size}")
    if options.figure:
        with needs("train"):
            import matplotlib as _  # noqa: F401  # before the measurements rather than after them
    results = frontier(size=options.size, precisions=options.precision, repeats=options.repeats)
    if options.figure:
        draw(results, options.figure)
    return results, table(results)
