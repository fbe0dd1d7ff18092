"""Quality against time: our models beside the networks that people would pick instead, timed in one run."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nlrn import models
from nlrn.bench.network import machine
from nlrn.bench.peers import PEERS, Peer
from nlrn.bench.timing import seconds
from nlrn.config import DENOISE, SUPER_RESOLUTION
from nlrn.inference.fused import FusedNLRN
from nlrn.inference.whole import restore
from nlrn.models.cards import list_models
from nlrn.network import NLRN

_SCORED = {"gray": ("Set12", "25"), "colour": ("CBSD68", "25"), "x2": ("Set5", "2")}
"""The set and the level whose PSNR stands for a panel."""
_KINDS = {"gray": (DENOISE.name, 1), "colour": (DENOISE.name, 3), "x2": (SUPER_RESOLUTION.name, 1)}
"""The task and the channels of the models in a panel."""
_TITLES = {
    "gray": "gray, Set12, sigma 25",
    "colour": "colour, CBSD68, sigma 25",
    "x2": "enlarging twice, Set5",
}
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def frontier(*, size: int = 512, precisions: Sequence[str] = ("fp32", "bf16"), repeats: int = 3) -> dict[str, Any]:
    """Time all models and their peers for an image of so many pixels each way, with the threads that PyTorch has.

    Args:
        size: side of the image that comes out; a multiple of 8.
        precisions: "fp32" and "bf16".
        repeats: the quickest counts; ours and theirs take turns.

    Returns:
        Ready for JSON: the settings and ``rows``: panel ("gray", "colour", "x2"), name, ours, parameters, PSNR (from
        the card, or as published) and the seconds in each precision.
    """
    rows = []
    for panel, peers in PEERS.items():
        calls: dict[str, dict[str, Callable[[], object]]] = {}
        for peer in peers:
            network = peer.build().eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub
            rows.append(_row(panel, peer.name, network, peer.psnr, ours=False))
            calls[peer.name] = {p: _peer_call(network, peer, size, _DTYPES[p]) for p in precisions}
        for name, psnr in _ours(panel).items():
            network = models.load(name).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub
            rows.append(_row(panel, name, network, psnr, ours=True))
            calls[name] = {p: _our_call(network, size, _DTYPES[p]) for p in precisions}
        taken = _in_turns(calls, repeats)
        for row in rows:
            if row["panel"] == panel:
                row["seconds"] = taken[row["name"]]
    return {"size": size, **machine(), "rows": rows}


def table(results: dict[str, Any]) -> str:
    """The results of :func:`frontier` for reading."""
    lines = [
        "one image of {size}x{size}, {threads} threads, {capability}, PyTorch {torch}; PSNR of the others as "
        "published, with weights of theirs that are not here".format(**results)
    ]
    for panel, title in _TITLES.items():
        rows = sorted((r for r in results["rows"] if r["panel"] == panel), key=lambda r: min(r["seconds"].values()))
        lines += ["", f"{title:26} {'parameters':>10} {'PSNR':>6}  seconds"]
        for row in rows:
            times = "  ".join(f"{p} {s:.3f}" for p, s in row["seconds"].items())
            lines.append(f"{row['name']:26} {row['parameters']:10,} {row['psnr']:6.2f}  {times}")
    return "\n".join(lines)


def draw(results: dict[str, Any], path: Path) -> None:
    """One panel each for gray, colour and x2: seconds, on a logarithmic axis, against PSNR. Needs matplotlib."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator

    figure = Figure(figsize=(12, 3.6), layout="constrained")
    fastest = {min(row["seconds"], key=row["seconds"].get) for row in results["rows"]}
    measured = f"{results['size']} x {results['size']} pixels, {' or '.join(sorted(fastest))}"
    threads = f"{results['threads']} thread{'s' * (results['threads'] > 1)}"
    for axes, (panel, title) in zip(figure.subplots(1, len(_TITLES)), _TITLES.items(), strict=True):
        for row in (r for r in results["rows"] if r["panel"] == panel):
            taken = min(row["seconds"].values())
            colour = "tab:red" if row["ours"] else "tab:gray"
            axes.plot(taken, row["psnr"], "o", color=colour)
            axes.annotate(
                row["name"],
                (taken, row["psnr"]),
                xytext=(0, -6 if row["ours"] else 6),  # ours below, so that names of neighbours can be read
                textcoords="offset points",
                ha="center",
                va="top" if row["ours"] else "bottom",
                fontsize="small",
                color=colour,
            )
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("")
        axes.margins(0.35, 0.25)
        axes.set_title(title)
        axes.set_xlabel(f"seconds for {measured}, {threads}")
        axes.grid(alpha=0.3)
        if panel == "gray":
            axes.set_ylabel("PSNR (dB)")
    figure.savefig(path, dpi=110)


def _row(panel: str, name: str, network: torch.nn.Module, psnr: float, *, ours: bool) -> dict[str, Any]:
    parameters = sum(p.numel() for p in network.parameters())
    return {"panel": panel, "name": name, "ours": ours, "parameters": parameters, "psnr": psnr}


def _ours(panel: str) -> dict[str, float]:
    """The models of a panel and their scores; a model whose card has none is left out."""
    data, level = _SCORED[panel]
    kind = _KINDS[panel]
    return {
        name: card["scores"][data][level]
        for name, card in list_models().items()
        if (card["config"]["task"], card["config"]["channels"]) == kind and level in card["scores"].get(data, {})
    }


def _peer_call(network: torch.nn.Module, peer: Peer, size: int, dtype: torch.dtype) -> Callable[[], object]:
    x = _image(peer.channels, size // peer.shrunk)

    def call() -> Tensor:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            restored: Tensor = network(x)
        return restored

    return call


def _our_call(network: NLRN, size: int, dtype: torch.dtype) -> Callable[[], object]:
    fused, x = FusedNLRN(network, dtype), _image(network.config.channels, size // network.config.factor(2))
    return lambda: restore(fused, x, 25 / 255 if network.config.noise_map else None, scale=2)


def _image(channels: int, size: int) -> Tensor:
    x = torch.rand(1, channels, size, size, generator=torch.Generator().manual_seed(0))
    return x.contiguous(memory_format=torch.channels_last)


def _in_turns(calls: dict[str, dict[str, Callable[[], object]]], repeats: int) -> dict[str, dict[str, float]]:
    """The least seconds of each call; all go round once to warm up, then in turns."""
    taken: dict[str, dict[str, float]] = {name: {} for name in calls}
    for turn in range(repeats + 1):
        for name, forms in calls.items():
            for precision, call in forms.items():
                spent = seconds(call)
                if turn:
                    taken[name][precision] = min(spent, taken[name].get(precision, spent))
    return taken
