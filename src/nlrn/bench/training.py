"""How fast training is on this machine: steps with the native correlation and with PyTorch's, in turns."""

import math
import os
import time
from collections.abc import Sequence
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from nlrn import models
from nlrn.bench.network import PAPER, machine
from nlrn.correlation.choice import VARIABLE
from nlrn.device import choose_precision
from nlrn.network import NLRN, Config
from nlrn.training.optimizer import make_optimizers

FORMS = {"native": "", "torch": "torch"}
"""What is compared, and what the environment variable says for it."""


def training(
    names: Sequence[str] = ("denoise-gray-lite", PAPER),
    *,
    batch: int = 16,
    patch: int = 43,
    precisions: Sequence[str] = ("fp32", "bf16"),
    repeats: int = 2,
) -> dict[str, Any]:
    """Time steps of training on the CPU: forward, backward, clipping and optimizer, on data that is there.

    Args:
        names: models whose configurations are trained, from random weights; or :data:`PAPER`.
        batch, patch: so many patches of that side, as the paper has them.
        precisions: "fp32" and "bf16" (mixed), one measurement each.
        repeats: the forms take turns this many times, and the quickest of each counts.

    Returns:
        Ready for JSON: the settings and ``rows``: model, precision, form ("native": the fastest there is, or
        "torch"), ``seconds`` of a step, ``pixels_per_second``, ``ratio`` to "torch".

    Raises:
        ModelError: no model of that name.
    """
    rows = []
    for name in names:
        config = Config() if name == PAPER else models.load(name).config
        for precision in precisions:
            half = choose_precision(precision, torch.device("cpu")) == torch.bfloat16
            steps = {form: _Step(config, batch, patch, half) for form in FORMS}
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
                }
                for form, took in seconds.items()
            ]
    return {"batch": batch, "patch": patch, **machine(), "rows": rows}


def table(results: dict[str, Any]) -> str:
    """The results of :func:`training` for reading."""
    lines = [
        "steps of {batch} patches of {patch}x{patch}, {threads} threads, {capability}, PyTorch {torch}".format(
            **results
        ),
        f"{'model':20} {'':4} {'correlation':11} {'seconds':>8} {'pixels/s':>9} {'x PyTorch':>9}",
    ]
    lines += [
        f"{row['model']:20} {row['precision']:4} {row['form']:11} {row['seconds']:8.2f} "
        f"{row['pixels_per_second']:9.0f} {row['ratio']:9.2f}"
        for row in results["rows"]
    ]
    return "\n".join(lines)


class _Step:
    """A network and a batch to take steps with."""

    def __init__(self, config: Config, batch: int, patch: int, half: bool) -> None:
        torch.manual_seed(0)
        self.network = NLRN(config).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub
        self.optimizers, self.half = make_optimizers(self.network, 1e-3), half
        self.clean = torch.rand(batch, config.channels, patch, patch)
        self.noisy = self.clean + 0.1 * torch.randn_like(self.clean)

    def seconds(self) -> float:
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.half):
            restored: Tensor = self.network(self.noisy, 0.1)
        (restored.float() - self.clean).square().mean().backward()  # type: ignore[no-untyped-call]  # as torch has it
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
        self.network.zero_grad()
        return time.perf_counter() - start
