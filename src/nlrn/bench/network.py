"""Times a whole network on this machine, by its parts, and the released protocol beside it."""

import math
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any

import torch
from torch import Tensor

from nlrn import models
from nlrn.bench.timing import seconds
from nlrn.config import Config
from nlrn.correlation.dispatch import VARIABLE
from nlrn.evaluation.patches import PATCH, restore_by_patches
from nlrn.inference.device import choose_precision
from nlrn.inference.fused import CORRELATION, FusedNLRN
from nlrn.inference.whole import restore
from nlrn.network import NLRN

PAPER = "paper"
"""The name of the paper's network, with random weights."""
_STRIDE = 7
_SIGMA = 0.1
_CONVOLUTIONS = ("conv", "addmm")


def network(
    names: Sequence[str] = ("denoise-gray-lite", PAPER),
    *,
    size: int = 512,
    precisions: Sequence[str] = ("fp32", "bf16"),
    repeats: int = 3,
    patches: int = 16,
) -> dict[str, Any]:
    """Time networks on one image on the CPU, each in a process of its own, with the threads that PyTorch has.

    Args:
        names: models that ship, files, or :data:`PAPER`.
        size: side of the image that comes out; a network that enlarges makes it from half.
        precisions: "fp32" and "bf16", one measurement each.
        repeats: the quickest counts.
        patches: of the released protocol, so many patches of 45 x 45 are restored, and the time for the rest is
            extrapolated; 0 leaves it out.

    Returns:
        Ready for JSON: the settings and ``rows``: model, precision, seconds, ``us_per_pixel``, ``peak_bytes`` (of
        the process, with PyTorch in it; None where the system does not tell), ``shares`` of the time (convolutions,
        correlation, rest), and ``released``: the same weights by the released protocol and PyTorch's operators.

    Raises:
        ModelError: no model of that name.
    """
    rows = []
    context = multiprocessing.get_context("spawn")
    for name in names:
        _load(name)  # a wrong name must not fail in another process
        for precision in precisions:
            with ProcessPoolExecutor(1, mp_context=context) as fresh:
                rows.append(
                    fresh.submit(_measure, name, size, precision, repeats, patches, torch.get_num_threads()).result()
                )
    return {"size": size, **machine(), "rows": rows}


def machine() -> dict[str, Any]:
    """The facts of the machine that figures depend on."""
    return {
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "capability": torch.backends.cpu.get_cpu_capability(),
    }


def table(results: dict[str, Any]) -> str:
    """The results of :func:`network` for reading."""
    lines = [
        "one image of {size}x{size}, {threads} threads, {capability}, PyTorch {torch}".format(**results),
        f"{'model':20} {'':4} {'seconds':>8} {'us/pixel':>9} {'peak':>8}  {'conv.':>5} {'corr.':>5} {'rest':>5} "
        f"{'released':>10} {'times':>6}",
    ]
    for row in results["rows"]:
        shares = " ".join(f"{100 * share:4.0f}%" for share in row["shares"].values())
        peak = "" if row["peak_bytes"] is None else f"{row['peak_bytes'] / 1e9:.2f} GB"
        line = f"{row['model']:20} {row['precision']:4} {row['seconds']:8.2f} {row['us_per_pixel']:9.2f} {peak:>8}"
        released = row["released"]
        if released:
            shares += f" {released['seconds']:9.1f}s {released['seconds'] / row['seconds']:6.1f}"
        lines.append(f"{line}  {shares}")
    extrapolated = [r["released"] for r in results["rows"] if r["released"] and r["released"]["extrapolated"]]
    if any(row["released"] for row in results["rows"]):
        lines.append(
            f"released: patches of {PATCH} x {PATCH} every {_STRIDE} pixels, averaged, by PyTorch's operators, "
            "on the same weights"
        )
    if extrapolated:
        some = extrapolated[0]
        lines.append(f"extrapolated from {some['patches_timed']} of {some['patches']} patches")
    return "\n".join(lines)


def _load(name: str) -> NLRN:
    if name != PAPER:
        return models.load(name).to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]  # torch's stub
    torch.manual_seed(0)
    made = NLRN(Config()).eval()
    for parameter in made.parameters():
        if not parameter.any():  # the tail and g start at zero
            torch.nn.init.normal_(parameter, std=0.01)
    return made.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]  # torch's stub


def _measure(name: str, size: int, precision: str, repeats: int, patches: int, threads: int) -> dict[str, Any]:
    torch.set_num_threads(threads)
    made, dtype = _load(name), choose_precision(precision, torch.device("cpu"))
    channels = made.config.channels
    side = size // made.config.factor(2)
    image = torch.rand(1, channels, side, side, generator=torch.Generator().manual_seed(0))
    run = partial(restore, FusedNLRN(made, dtype), sigma=_SIGMA, scale=2)
    run(image[..., :64, :64])
    taken = min(seconds(lambda: run(image)) for _ in range(repeats))
    peak = _peak()
    return {
        "model": name,
        "precision": precision,
        "seconds": taken,
        "us_per_pixel": taken / size**2 * 1e6,
        "peak_bytes": peak,
        "shares": _shares(lambda: run(image)),
        "released": _released(made, image, dtype, patches) if patches and side == size else None,
    }


def _peak() -> int | None:
    """The most memory that this process has had, in bytes."""
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    unit = 1 if os.uname().sysname == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _shares(call: Callable[[], object]) -> dict[str, float]:
    """The parts of the time that go into convolutions, the correlation and the rest."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        total = seconds(call)
    # the correlation is counted as a whole, with the operators inside; a convolution by its outermost operator
    spent = {"convolutions": 0.0, "correlation": 0.0}
    for event in profile.events():
        kind = _kind(event.name)
        if kind is not None and not any(_kind(above.name) for above in _above(event)):
            spent[kind] += event.cpu_time_total / 1e6 / total
    return {**spent, "rest": 1 - sum(spent.values())}


def _kind(operator: str) -> str | None:
    if operator == CORRELATION:
        return "correlation"
    return "convolutions" if any(part in operator for part in _CONVOLUTIONS) else None


def _above(event: Any) -> Iterator[Any]:
    """The operators that an operator was called from."""
    while (event := event.cpu_parent) is not None:
        yield event


def _released(made: NLRN, image: Tensor, precision: torch.dtype, most: int) -> dict[str, Any]:
    """The time of the released protocol: measured on a part of the image that has so many patches at most."""
    size = image.shape[2]
    needed = _patches(size) ** 2
    side = min(size, PATCH + _STRIDE * (math.isqrt(most) - 1))
    os.environ[VARIABLE] = "torch"  # for the rest of this process, which ends here
    part = image[..., :side, :side]
    taken = seconds(lambda: restore_by_patches(made, part, _SIGMA, stride=_STRIDE, precision=precision))
    timed = _patches(side) ** 2
    return {
        "seconds": taken * needed / timed,
        "patches": needed,
        "patches_timed": timed,
        "extrapolated": timed < needed,
    }


def _patches(size: int) -> int:
    """Patches along a side."""
    return max(0, -(-(size - PATCH) // _STRIDE)) + 1
