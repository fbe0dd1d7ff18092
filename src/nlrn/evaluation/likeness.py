"""The worth of the non-local block in a trained network: the same weights with its attention taken away by pieces.

- *uniform*: every neighbour counts alike, so that the block is a plain mean;
- *off*: the block hands on what it was given;
- *without propagation*: each step's correlation by itself.

And whether the correlation measures likeness at all: the noisy pixels averaged with its weights, held against the
clean picture. Better than the noisy picture says yes.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor

from nlrn.config import TASKS
from nlrn.correlation import confined_attention
from nlrn.evaluation.evaluate import evaluate, noisy_case
from nlrn.evaluation.metrics import psnr
from nlrn.evaluation.report import Report
from nlrn.images import SUFFIXES
from nlrn.inference.device import choose_precision
from nlrn.network import NLRN, NonLocalBlock

WHOLE = "as trained"


@dataclass(frozen=True)
class Worth:
    """The scores of one network with and without its attention."""

    reports: Mapping[str, Report]
    """By what was taken away; the first, :data:`WHOLE`, is the network as it is."""
    means: Mapping[float, tuple[float, ...]]
    """For each noise level the PSNR of the noisy picture, then of the mean of its pixels under the weights of each
    block in turn; empty for super-resolution."""


def variants(network: NLRN) -> dict[str, NLRN]:
    """A trained network and its copies with the attention taken away; only what applies to it.

    Raises:
        ValueError: it has no non-local block.
    """
    if not network.config.blocks:
        raise ValueError("this network has no non-local block, so there is nothing to take away")
    made = {WHOLE: network, "uniform": copy.deepcopy(network), "off": copy.deepcopy(network)}
    for name in ("uniform", "off"):
        for block in (m for m in made[name].modules() if isinstance(m, NonLocalBlock)):
            # zero queries make all logits alike; zero values leave nothing to add
            for parameter in (block.theta if name == "uniform" else block.g).parameters():
                torch.nn.init.zeros_(parameter)
    if network.config.propagate and len(network.config.blocks) > 1:
        alone = copy.copy(network)
        alone.config = replace(network.config, propagate=False)
        made["without propagation"] = alone
    return made


def likeness(
    network: NLRN,
    folder: Path,
    levels: Sequence[float],
    *,
    name: str,
    precision: str = "auto",
    console: Console | None = None,
) -> Worth:
    """Score a trained network, and what is left of it without its attention, on the images of a folder.

    Args:
        network: trained, in evaluation mode, with embedded queries.
        folder: clean test images of 8 bit.
        levels: noise levels in grey levels, or scales.
        name: of the network, for the reports.
        precision: "fp32", "bf16" or "auto", for the scores; the means are made in float32.
        console: where to show progress.

    Raises:
        EvaluationError, ValueError: as :func:`nlrn.evaluation.evaluate.evaluate_denoise`.
    """
    dtype = choose_precision(precision, network.device)
    reports = {
        taken: evaluate(variant, folder, levels, name=f"{name}, {taken}", precision=dtype, console=console)
        for taken, variant in variants(network).items()
    }
    if TASKS[network.config.task].enlarges:
        return Worth(reports, {})
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    means = {}
    for level in levels:
        rows = [_means(network, *noisy_case(network.config.channels, path, level), level / 255) for path in paths]
        means[level] = tuple(sum(column) / len(column) for column in zip(*rows, strict=True))
    return Worth(reports, means)


def to_markdown(worth: Worth) -> str:
    """The scores as a table, and the means under the weights below it."""
    levels = [result.level for result in worth.reports[WHOLE].results]
    lines = ["| | " + " | ".join(f"{level:g}" for level in levels) + " |", "|---" * (len(levels) + 1) + "|"]
    for taken, report in worth.reports.items():
        lines.append(f"| {taken} | " + " | ".join(f"{result.psnr:.2f}" for result in report.results) + " |")
    for level, (noisy, *blocks) in worth.means.items():
        told = " ".join(f"{value:.1f}" for value in blocks)
        lines += ["", f"Noise {level:g}: {noisy:.1f} dB; its pixels averaged by the weights of the blocks: {told}"]
    return "\n".join(lines) + "\n"


@torch.inference_mode()
def _means(network: NLRN, noisy: Tensor, clean: Tensor, sigma: float) -> list[float]:
    """PSNR of the noisy picture [C, H, W], then of its means under the weights of each block."""
    x = noisy[None].float().to(network.device)
    squares = network.seen(x, sigma)[:, : network.config.channels * network.config.unshuffle**2]
    found = [psnr(noisy.numpy(), clean.numpy())]
    for t, state in enumerate(network.states(x, sigma, propagate=network.config.propagate)):
        if t in network.config.blocks and state.carried is not None:
            q, k = torch.cat(state.carried.queries, 1), torch.cat(state.carried.keys, 1)
            mean = network.shuffled(confined_attention(q, k, squares, network.config.window), x)
            found.append(psnr(mean[0].cpu().numpy(), clean.numpy()))
    return found
