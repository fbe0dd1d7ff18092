"""Fit the networks that read from the features of a picture what its noise is: nlrn.pixels.noise_levels.

    python scripts/fit_noise_levels.py SAMPLES.npz... --out src/nlrn/pixels/noise_levels.npz

The samples are made by scripts/make_noise_samples.py. What is told to the denoisers is fitted to what it gives: the
loss is the PSNR that is missing to the best level.
"""

import argparse
import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

FLOOR = 0.5
"""Grey levels below which levels of noise are hardly told apart."""
LOSSLESS = 48.0
"""PSNR, in dB, beyond which nothing is to be seen."""
TOO_LITTLE = 2.0
"""Times as much as to say too much it costs to say too little, as in CBDNet: noise that is left is seen at once."""
HIDDEN, NETWORKS, ROUNDS, BATCH = 48, 8, 60, 96
PLANES = ("luma", "chroma", "together")


class Curves:
    """What is missing to the best PSNR when a plane is told a level, linear between the levels that were tried."""

    def __init__(self, told: Tensor, errors: Tensor) -> None:
        """Levels [N, K] in grey levels, rising, and mean squared errors [N, 1 + K], first of what is left alone."""
        self.at = torch.cat([torch.full((len(told), 1), math.log(FLOOR)), (told + FLOOR).log()], 1)
        self.psnr = decibels(errors)
        self.missing = self.psnr.amax(1, keepdim=True) - self.psnr

    def __call__(self, some: Tensor, said: Tensor) -> Tensor:
        """dB [B] for the logarithms ``said`` [B] of levels, FLOOR added."""
        at, missing = self.at[some], self.missing[some]
        right = torch.searchsorted(at.contiguous(), said.detach()[:, None].contiguous()).clamp(1, at.shape[1] - 1)
        x0, x1 = at.gather(1, right - 1)[:, 0], at.gather(1, right)[:, 0]
        y0, y1 = missing.gather(1, right - 1)[:, 0], missing.gather(1, right)[:, 0]
        slope = (y1 - y0) / (x1 - x0).clamp(min=1e-3)
        # beyond the ends it gets no better
        slope = torch.where(said > at[:, -1], slope.clamp(min=1), slope)
        slope = torch.where(said < at[:, 0], torch.zeros(()), slope)
        return y0 + slope * (said - x0)


def decibels(errors: Tensor) -> Tensor:
    return 10 * (255**2 / (errors + 255**2 / 10 ** (LOSSLESS / 10))).log10()


class Samples:
    """All that was made, in one order."""

    def __init__(self, paths: list[Path]) -> None:
        loaded = [np.load(path) for path in paths]
        joined = {name: torch.from_numpy(np.concatenate([one[name] for one in loaded])) for name in loaded[0].files}
        order = torch.randperm(len(joined["features"]), generator=torch.Generator().manual_seed(0))
        features, levels, told, errors, apart = (
            joined[name][order].float() for name in ("features", "levels", "told", "errors", "apart")
        )
        self.mean, self.spread = features.mean(0), features.std(0) + 0.05
        self.features = (features - self.mean) / self.spread
        self.levels, self.white = (levels[:, :2] + FLOOR).log(), levels[:, 2]
        self.is_joint = ~errors[:, 2, 0].isnan()
        self.is_tried = ~apart[:, 0].isnan()
        self.curves = [Curves(told[:, i], errors[:, i].nan_to_num(1)) for i in range(3)]
        # what the colours cost by either way, beside the better one
        together, apart = self.curves[2].psnr.amax(1), decibels(apart[:, 0].nan_to_num(1))
        best = torch.where(self.is_joint, torch.maximum(together, apart), apart)
        self.costs = torch.stack([best - apart, torch.where(self.is_joint, best - together, best)], 1)

    def __len__(self) -> int:
        return len(self.features)


def loss_of(samples: Samples, some: Tensor, said: Tensor) -> Tensor:
    """Said [B, 7]: luma, chroma, whether it is white, what luma, chroma and all together are told beyond that, and
    whether together is better."""
    wanted = samples.levels[some]
    off = nn.functional.huber_loss(said[:, :2], wanted, reduction="none", delta=0.5)
    off = off * torch.where(said[:, :2] < wanted, TOO_LITTLE, 1.0)
    white = nn.functional.binary_cross_entropy_with_logits(said[:, 2], samples.white[some])
    missing = [curve(some, told(said)[:, i]) for i, curve in enumerate(samples.curves)]
    joint, tried = samples.is_joint[some].float(), samples.is_tried[some].float()
    costs, chance = samples.costs[some].clamp(max=6), said[:, 6].sigmoid()
    way = (1 - chance) * costs[:, 0] + chance * costs[:, 1]
    lost = missing[0] + missing[1] / 2 + joint * missing[2] + way
    return off.mean() + 0.1 * white + 0.1 * (tried * lost.clamp(max=12)).sum() / tried.sum().clamp(min=1)


def told(said: Tensor) -> Tensor:
    """Logarithms of what luma, chroma and all together are told [B, 3], FLOOR added."""
    return said[:, 3:6] + said[:, [0, 1, 0]]


def trained(seed: int, samples: Samples, part: int) -> nn.Sequential:
    torch.manual_seed(seed)
    count = samples.features.shape[1]
    layers = nn.Linear(count, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, 7)
    network = nn.Sequential(*layers)
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3, weight_decay=0.1)
    steps = (len(samples) - part) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 8e-3, total_steps=ROUNDS * steps)
    for _ in range(ROUNDS):
        order = part + torch.randperm(len(samples) - part)
        for some in order[: steps * BATCH].split(BATCH):
            said = network(samples.features[some] + 0.1 * torch.randn(BATCH, count))
            loss = loss_of(samples, some, said)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval()


def report(samples: Samples, part: int, said: Tensor) -> None:
    """How well it does on the first ``part`` of the samples, which were not fitted."""
    some = torch.arange(part)
    white, taken = samples.white[some] > 0, said[:, 2] > 0
    print(
        f"white: {(taken == white).float().mean():.3f} right, {(taken & ~white).sum()} of {(~white).sum()} wrongly so"
    )
    wanted, levels = samples.levels[some].exp() - FLOOR, said[:, :2].exp() - FLOOR
    noiseless = wanted.amax(1) < 0.3
    for i, name in enumerate(PLANES):
        missing = samples.curves[i](some, told(said)[:, i])
        for low, high in ((0, 0.3), (0.3, 1), (1, 2), (2, 4), (4, 8), (8, 16), (16, 60)):
            of = wanted[:, min(i, 1)] if i < 2 else wanted[:, 0]
            here = (of >= low) & (of < high) & ~white & (samples.is_joint if i == 2 else samples.is_tried)[some]
            if not here.any():
                continue
            off = (levels[here, i] - of[here]) if i < 2 else torch.zeros(1)
            print(
                f"{name} {low}-{high}: {here.sum()} samples, off by {off.mean():+.2f}, missing "
                f"{missing[here].mean():.2f} dB, 95 %: {missing[here].quantile(0.95):.2f}"
            )
    of_none = (told(said)[noiseless, 0].exp() - FLOOR).clamp(min=0)
    print(f"without noise: {noiseless.sum()}, told {of_none.mean():.2f}, most {of_none.max():.2f}")
    joint = samples.is_joint[some]
    cost = samples.costs[some].gather(1, (said[:, 6:7] > 0).long())[:, 0]
    print(f"together or apart: {cost[joint].mean():.2f} dB missing in {joint.sum()}, taken {(said[:, 6] > 0).sum()}")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("samples", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    samples = Samples(options.samples)
    part = len(samples) // 10
    networks = [trained(seed, samples, part) for seed in range(NETWORKS)]
    with torch.inference_mode():
        report(samples, part, torch.stack([network(samples.features[:part]) for network in networks]).mean(0))
    arrays = {"mean": samples.mean.numpy(), "spread": samples.spread.numpy()}
    for i, name in ((0, "first"), (2, "second"), (4, "third")):
        arrays[name] = np.stack([n[i].weight.detach().numpy() for n in networks]).astype(np.float16)
        arrays[name + "_bias"] = np.stack([n[i].bias.detach().numpy() for n in networks]).astype(np.float16)
    np.savez_compressed(options.out, **arrays)


if __name__ == "__main__":
    main()
