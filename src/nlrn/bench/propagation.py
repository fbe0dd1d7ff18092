"""Times the propagation of the correlation: the two forms of it side by side, step by step, in one run.

By concatenation the queries and keys of all steps so far are multiplied anew in each step; by a map each step adds
its logits to those that are there.
"""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from nlrn.bench.correlation import PRECISIONS, _inputs
from nlrn.bench.timing import seconds
from nlrn.correlation import Carried, LogitsInPlace, implementation, map_bytes, propagated_attention
from nlrn.correlation.kernels import KERNELS

_Step = tuple[Tensor, Tensor, Tensor]
"""Queries, keys and values."""


def propagation(
    *,
    steps: int = 12,
    size: int = 96,
    window: int = 45,
    depth: int = 64,
    width: int = 128,
    repeats: int = 3,
    precisions: Sequence[str] = ("fp32", "bf16"),
) -> dict[str, Any]:
    """Time all steps of a recurrent network's correlation on the CPU, with the threads that PyTorch has.

    Args:
        steps: T, each with queries and keys of its own.
        size: side of the image.
        window: side of the neighbourhood, odd.
        depth, width: channels of each step's queries and keys, and of the values.
        repeats: the forms take turns this many times, and the quickest of each counts.
        precisions: "fp32", "bf16".

    Returns:
        Ready for JSON: the settings and ``rows`` (form, precision, ``us_per_pixel`` of each step forward,
        ``training_us_per_pixel`` of all steps forward and backward, None where a form has no backward pass).
    """
    rows = [
        {"form": form, "precision": precision, "us_per_pixel": each, "training_us_per_pixel": whole}
        for precision in precisions
        for form, each, whole in _measured(PRECISIONS[precision], steps, size, window, depth, width, repeats)
    ]
    settings = {"steps": steps, "size": size, "window": window, "depth": depth, "width": width}
    return {**settings, "threads": torch.get_num_threads(), "torch": torch.__version__, "rows": rows}


def table(results: dict[str, Any]) -> str:
    """The results of :func:`propagation` for reading."""
    lines = [
        "{steps} steps of {size}x{size}, window {window}, D = {depth}, M = {width}, {threads} threads, "
        "PyTorch {torch}; microseconds per pixel".format(**results),
        f"{'form':14} {'':4} {'1st':>7} {'2nd':>7} {'3rd':>7} {'last':>7} {'all':>7} {'trained':>8}",
    ]
    for row in results["rows"]:
        each, whole = row["us_per_pixel"], row["training_us_per_pixel"]
        shown = [*(each[:3] + [math.nan] * 3)[:3], each[-1], sum(each)]
        figures = " ".join(f"{figure:7.2f}" if figure == figure else f"{'':7}" for figure in shown)
        lines.append(f"{row['form']:14} {row['precision']:4} {figures} {'' if whole is None else f'{whole:8.1f}'}")
    return "\n".join(lines)


def _measured(
    dtype: torch.dtype, steps: int, size: int, window: int, depth: int, width: int, repeats: int
) -> list[tuple[str, list[float], float | None]]:
    given = [_step(depth, width, size, dtype) for _ in range(steps)]
    forms: dict[str, Callable[[], tuple[list[float], float | None]]] = {
        "concatenation": lambda: (_each(given, window, steps), seconds(lambda: _trained(given, window, steps))),
    }
    if implementation(*given[0]) in KERNELS:  # only they keep maps
        forms["map"] = lambda: (_each(given, window, 2), seconds(lambda: _trained(given, window, 2)))
    if map_bytes(given[0][2].shape, dtype, window):
        forms["map in place"] = lambda: (_in_place(given, window), None)
    seen: dict[str, list[tuple[list[float], float | None]]] = {form: [] for form in forms}
    for _ in range(repeats):
        for form, measure in forms.items():
            seen[form].append(measure())
    unit = 1e6 / size**2
    return [
        (
            form,
            [min(step) * unit for step in zip(*(each for each, _ in found), strict=True)],
            None if found[0][1] is None else min(whole for _, whole in found if whole is not None) * unit,
        )
        for form, found in seen.items()
    ]


def _step(depth: int, width: int, size: int, dtype: torch.dtype) -> _Step:
    q, k, v = _inputs(1, depth, width, size, dtype)
    return q, k, v


def _each(given: list[_Step], window: int, concatenated: int) -> list[float]:
    """Seconds of each step without gradients."""
    carried: Carried | None = None
    each = []
    with torch.no_grad():
        for q, k, v in given:
            start = time.perf_counter()
            _, carried = propagated_attention(q, k, v, window, carried, concatenated=concatenated)
            each.append(time.perf_counter() - start)
    return each


def _trained(given: list[_Step], window: int, concatenated: int) -> None:
    """All steps with gradients, forward and backward."""
    carried, outs = None, []
    for q, k, v in given:
        out, carried = propagated_attention(q, k, v, window, carried, concatenated=concatenated)
        outs.append(out)
    torch.autograd.grad(outs, [x for step in given for x in step], [torch.ones_like(out) for out in outs])


def _in_place(given: list[_Step], window: int) -> list[float]:
    """Seconds of each step as the fused network runs them."""
    with torch.inference_mode():
        kind = (given[0][2].shape, given[0][2].dtype, window)
        memory = torch.zeros(map_bytes(*kind), dtype=torch.uint8)  # touched: in the network it is used again
        logits, into = LogitsInPlace(*kind, lambda count: memory[:count]), torch.zeros_like(given[0][2])
        each = []
        for number, (q, k, v) in enumerate(given, 1):
            start = time.perf_counter()
            logits.attend(q, k, v, into, last=number == len(given))
            each.append(time.perf_counter() - start)
        return each
