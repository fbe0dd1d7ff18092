"""Times training on this machine: steps as they are taken and with PyTorch's operators alone, in turns."""

import math
import os
import time
from collections.abc import Sequence
from functools import partial
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from nlrn import models
from nlrn.bench.arithmetic import forward_flops, gemm_rate
from nlrn.bench.network import PAPER, machine
from nlrn.bench.timing import finish
from nlrn.config import Config
from nlrn.correlation.dispatch import VARIABLE
from nlrn.inference.device import choose_device, choose_precision
from nlrn.models.cards import list_models
from nlrn.network import NLRN
from nlrn.training import few_passes
from nlrn.training.memory import keep_what_is_freed
from nlrn.training.optimizer import make_optimizers
from nlrn.training.weights import freeze_norms

FORMS = {"native": "", "torch": "torch"}
"""What is compared, and what the environment variable says for it."""


def shipped() -> list[str]:
    """The models that ship, one of each configuration."""
    first: dict[Config, str] = {}
    for name, card in list_models().items():
        first.setdefault(Config(**card["config"]), name)
    return list(first.values())


def training(
    names: Sequence[str] = (),
    *,
    batch: int = 16,
    patch: int = 43,
    precisions: Sequence[str] = ("fp32", "bf16"),
    repeats: int = 2,
    device: str = "cpu",
) -> dict[str, Any]:
    """Time steps of training: forward, backward, clipping and optimizer, on data that is there.

    Args:
        names: models whose configurations are trained, from random weights; or :data:`PAPER`. By default each
            configuration that ships.
        batch, patch: so many patches of that side, as the paper has them, of what the network is given.
        precisions: "fp32" and "bf16" (mixed), one measurement each.
        repeats: the forms take turns this many times, and the quickest of each counts.
        device: "auto", "cpu", "cuda" or "mps".

    Returns:
        Ready for JSON: the settings and ``rows``: model, precision, form ("native": the fastest there is, or
        "torch"), ``seconds`` of a step, ``pixels_per_second``, ``ratio`` to "torch", ``flops`` a second (three times
        the forward pass's products) and ``gemm_fraction``, their share of the rate of large matrix products there.

    Raises:
        ModelError: no model of that name.
    """
    where = choose_device(device)
    if where.type == "cpu":
        keep_what_is_freed()
    rows = []
    for name in names or shipped():
        config = Config() if name == PAPER else models.load(name).config
        for precision in precisions:
            dtype = choose_precision(precision, where)
            steps = {form: _Step(config, batch, patch, dtype, where) for form in FORMS}
            work = 3 * batch * forward_flops(steps["torch"].network, patch)
            rate = gemm_rate(dtype, where)
            seconds = dict.fromkeys(FORMS, math.inf)
            for _ in range(repeats):
                for form, variable in FORMS.items():
                    with mock.patch.dict(os.environ, {VARIABLE: variable}):
                        seconds[form] = min(seconds[form], steps[form].seconds())
            rows += [
                {
                    "model": name,
                    "precision": precision,
                    "form": form,
                    "seconds": took,
                    "pixels_per_second": batch * patch**2 / took,
                    "ratio": seconds["torch"] / took,
                    "flops": work / took,
                    "gemm_fraction": work / took / rate,
                }
                for form, took in seconds.items()
            ]
    return {"batch": batch, "patch": patch, "device": where.type, **machine(), "rows": rows}


def table(results: dict[str, Any]) -> str:
    """The results of :func:`training` for reading."""
    lines = [
        "steps of {batch} patches of {patch}x{patch} on {device}, "
        "{threads} threads, {capability}, PyTorch {torch}".format(**results),
        f"{'model':20} {'':4} {'correlation':11} {'seconds':>8} {'pixels/s':>9} {'x PyTorch':>9} {'TFLOP/s':>8} "
        f"{'of GEMM':>7}",
    ]
    lines += [
        f"{row['model']:20} {row['precision']:4} {row['form']:11} {row['seconds']:8.2f} "
        f"{row['pixels_per_second']:9.0f} {row['ratio']:9.2f} {row['flops'] / 1e12:8.3f} {row['gemm_fraction']:7.2f}"
        for row in results["rows"]
    ]
    return "\n".join(lines)


class _Step:
    """A network and a batch to take steps with."""

    def __init__(self, config: Config, batch: int, patch: int, dtype: torch.dtype, device: torch.device) -> None:
        torch.manual_seed(0)
        self.device, self.half = device, dtype == torch.bfloat16
        made = NLRN(config).to(device)
        self.network = made.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub
        freeze_norms(self.network, self.network)  # as by default
        self.optimizers = make_optimizers(self.network, 1e-3)
        side = patch * config.factor(2)
        self.clean = torch.rand(batch, config.channels, side, side, device=device)
        self.seen = self.clean[..., :patch, :patch] + 0.1 * torch.randn(patch, patch, device=device)

    def seconds(self) -> float:
        start = time.perf_counter()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            in_few_passes = self.half and few_passes.fits(self.network, self.device)
            forward = partial(few_passes.forward, self.network) if in_few_passes else self.network
            restored: Tensor = forward(self.seen, torch.full((len(self.seen),), 0.1, device=self.device), scale=2)
        (restored.float() - self.clean).square().mean().backward()  # type: ignore[no-untyped-call]  # as torch has it
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
        self.network.zero_grad()
        finish(self.device)
        return time.perf_counter() - start
