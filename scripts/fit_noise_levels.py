"""Fit the network that reads the levels of noise from the features of a picture: nlrn.pixels.noise_levels.

    python scripts/fit_noise_levels.py make FOLDER... --out SAMPLES.npz [--count 2500] [--seed 0]
    python scripts/fit_noise_levels.py fit SAMPLES.npz... --out src/nlrn/pixels/noise_levels.npz

Samples are photographs as denoise-photo is trained on, white noise up to 75 grey levels, and clean pictures; a fifth
of them are drawings and pages made here.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor, nn

from nlrn.pixels.degradations.compression import Compression
from nlrn.pixels.degradations.photograph import photographs
from nlrn.pixels.degradations.softness import enlarge_middle
from nlrn.pixels.noise_features import noise_features
from nlrn.pixels.opponent import levels_of, to_opponent
from nlrn.pixels.patches import Patches
from nlrn.training.data import read_images

SIDE = 256
FLOOR = 0.5
"""Grey levels below which levels of noise are hardly told apart."""


def drawing(random: np.random.Generator) -> Image.Image:
    """A page of shapes, ramps and words."""
    side = SIDE
    page = Image.new("RGB", (side, side), tuple(random.integers(0, 256, 3).tolist()))
    if random.random() < 0.5:
        ends = random.integers(0, 256, (2, 3))
        ramp = np.linspace(0, 1, side)[:, None] * (ends[1] - ends[0]) + ends[0]
        page = Image.fromarray(np.broadcast_to(ramp[:, None], (side, side, 3)).round().astype(np.uint8))
    pen = ImageDraw.Draw(page)
    for _ in range(random.integers(1, 25)):
        colour, places = tuple(random.integers(0, 256, 3).tolist()), random.integers(-20, side + 20, (3, 2))
        kind = random.integers(4)
        box = [*np.minimum(*places[:2]).tolist(), *np.maximum(*places[:2]).tolist()]
        if kind == 0:
            pen.rectangle(box, fill=colour)
        elif kind == 1:
            pen.ellipse(box, fill=colour)
        elif kind == 2:
            pen.line([tuple(p) for p in places.tolist()], fill=colour, width=int(random.integers(1, 5)))
        else:
            letters = "".join(chr(c) for c in random.integers(33, 123, 60))
            pen.text(tuple(places[0].tolist()), letters, fill=colour, font_size=int(random.integers(8, 30)))
    return page


def smoothed_by_the_camera(clean: Tensor, noisy: Tensor, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """What is left where a camera smooths what looks flat, and where it crushes the shadows; and the levels of it."""
    luma = to_opponent(clean)[:, :1]
    around = nn.functional.avg_pool2d(luma, 9, 1, padding=4, count_include_pad=False)
    texture = nn.functional.avg_pool2d((luma - around).square(), 9, 1, padding=4, count_include_pad=False).sqrt()
    flat = 0.2 + 0.8 * random.random()
    kept = flat + (1 - flat) * (texture / (texture.quantile(0.7) + 1e-4)).clamp(max=1)
    left = (noisy - clean) * kept * luma ** (0.6 * random.random())
    return (clean + left).clamp(0, 1).mul(255).round().div(255), levels_of(left)


def sample(patches: Patches, number: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Features of one picture, and its levels of luma and chroma and whether its noise is white."""
    generator = torch.Generator().manual_seed(number)
    random = np.random.default_rng(number)
    if random.random() < 0.2:
        sharp = torch.from_numpy(np.array(drawing(random))).permute(2, 0, 1)[None] / 255
    else:
        sharp = patches.cut(1, SIDE, generator)
    kind = random.random()
    white = False
    if kind < 0.65:
        made = photographs(sharp, generator)
        degraded, levels = made.degraded, made.levels
        if random.random() < 0.4:
            degraded, levels = smoothed_by_the_camera(made.clean, degraded, random)
        if random.random() < 0.5:
            quality = int(random.integers(70, 99))
            degraded = Compression("JPEG", quality, half_colour=random.random() < 0.6)(degraded[0])[None]
    else:
        clean = enlarge_middle(sharp, torch.tensor([1 + max(0.0, random.random() - 0.6)])).clamp(0, 1)
        if random.random() < 0.2:
            clean = to_opponent(clean)[:, :1].expand(-1, 3, -1, -1)
        white = kind < 0.8
        sigma = 75 / 255 * random.random() ** 2 if white else 0.0
        white = sigma > 1.5 / 255
        shape = [1, 1 if torch.equal(clean[:, 0], clean[:, 1]) else 3, SIDE, SIDE]
        degraded = (clean + sigma * torch.randn(shape, generator=generator)).clamp(0, 1).mul(255).round().div(255)
        levels = levels_of(degraded - clean) if sigma else torch.zeros(1, 2)
    features = noise_features(degraded[0].permute(1, 2, 0).mul(255).round().numpy())
    if features is None:
        return None
    return features, np.array([*(levels[0] * 255).tolist(), white], np.float32)


def make(folders: list[Path], out: Path, count: int, seed: int) -> None:
    patches = Patches(read_images(folders, "rgb"))
    made = [s for i in range(count) if (s := sample(patches, seed * 1_000_000 + i))]
    np.savez(out, features=np.stack([f for f, _ in made]), wanted=np.stack([w for _, w in made]))


def fit(sets: list[Path], out: Path) -> None:
    loaded = [np.load(path) for path in sets]
    x = torch.from_numpy(np.concatenate([s["features"] for s in loaded]))
    wanted = torch.from_numpy(np.concatenate([s["wanted"] for s in loaded]))
    torch.manual_seed(0)
    order = torch.randperm(len(x))
    x, wanted = x[order], wanted[order]
    y = (wanted[:, :2] + FLOOR).log()
    mean, spread = x.mean(0), x.std(0) + 0.05
    x = (x - mean) / spread
    part = len(x) // 10
    networks = []
    for seed in range(4):
        torch.manual_seed(seed)
        network = nn.Sequential(nn.Linear(x.shape[1], 32), nn.SiLU(), nn.Linear(32, 32), nn.SiLU(), nn.Linear(32, 3))
        networks.append(trained(network, x[part:], y[part:], wanted[part:, 2]))
    with torch.inference_mode():
        said = torch.stack([network(x[:part]) for network in networks]).mean(0)
    report(said, wanted[:part])
    arrays = {"mean": mean.numpy(), "spread": spread.numpy()}
    for i, name in ((0, "first"), (2, "second"), (4, "third")):
        arrays[name] = np.stack([n[i].weight.detach().numpy() for n in networks]).astype(np.float16)
        arrays[name + "_bias"] = np.stack([n[i].bias.detach().numpy() for n in networks]).astype(np.float16)
    np.savez_compressed(out, **arrays)


def trained(network: nn.Sequential, x: Tensor, y: Tensor, white: Tensor) -> nn.Sequential:
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3, weight_decay=0.1)
    rounds, size = 60, 96
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 8e-3, total_steps=rounds * (len(x) // size))
    for _ in range(rounds):
        order = torch.randperm(len(x))
        for some in order[: len(x) // size * size].split(size):
            said = network(x[some] + 0.1 * torch.randn(size, x.shape[1]))
            off = nn.functional.huber_loss(said[:, :2], y[some], reduction="none", delta=0.5)
            # to say too little costs more than to say too much, as in CBDNet: noise that is left is seen at once
            off = off * torch.where(said[:, :2] < y[some], 4.0, 1.0)
            loss = off.mean() + 0.1 * nn.functional.binary_cross_entropy_with_logits(said[:, 2], white[some])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval()


def report(said: Tensor, wanted: Tensor) -> None:
    levels = said[:, :2].exp() - FLOOR
    white, taken = wanted[:, 2] > 0, said[:, 2] > 0
    print(
        f"white: {(taken == white).float().mean():.3f} right, {(taken & ~white).sum()} of {(~white).sum()} wrongly so"
    )
    for low, high in ((0, 0.3), (0.3, 1), (1, 2), (2, 4), (4, 8), (8, 16), (16, 60)):
        for plane, name in enumerate(("luma", "chroma")):
            some = (wanted[:, plane] >= low) & (wanted[:, plane] < high) & ~white
            if some.any():
                off = levels[some, plane] - wanted[some, plane]
                spread = f"{off.mean():+.2f} +- {off.std():.2f}, 95 %: {off.abs().quantile(0.95):.2f}"
                print(f"{name} {low}-{high}: {some.sum()} samples, off by {spread}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_subparsers(required=True)
    making = what.add_parser("make")
    making.add_argument("folders", type=Path, nargs="+")
    making.add_argument("--out", type=Path, required=True)
    making.add_argument("--count", type=int, default=2500)
    making.add_argument("--seed", type=int, default=0)
    making.set_defaults(run=lambda o: make(o.folders, o.out, o.count, o.seed))
    fitting = what.add_parser("fit")
    fitting.add_argument("samples", type=Path, nargs="+")
    fitting.add_argument("--out", type=Path, required=True)
    fitting.set_defaults(run=lambda o: fit(o.samples, o.out))
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.run(options)


if __name__ == "__main__":
    main()
