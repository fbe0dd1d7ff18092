"""Make the samples by which nlrn.pixels.noise_levels learns what to tell the networks of a picture's noise.

    python scripts/make_noise_samples.py FOLDER... --out LEVELS.npz --levels-only --count 10000
    python scripts/make_noise_samples.py FOLDER... --out WHITE.npz --levels-only --only gray-white --count 37248
    python scripts/make_noise_samples.py FOLDER... --out TOLD.npz --seed 1 --count 4000
    python scripts/make_noise_samples.py FOLDER... --out COARSE.npz --only coarse --seed 41 --count 4000

Samples are photographs as denoise-photo is trained on, white noise up to 75 grey levels, and clean pictures; one of
eight is a drawing or a page made here. Each is restored as ``nlrn denoise`` does it, told one level after another, so
that it is known what every level gives: luma, chroma, and all colours together by the model for white noise.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor, nn

from nlrn.inference.fused import FusedNLRN
from nlrn.inference.options import Options
from nlrn.inference.photograph import Chroma
from nlrn.inference.restorer import Restorer
from nlrn.inference.whole import restore
from nlrn.pixels.degradations.compression import Compression
from nlrn.pixels.degradations.photograph import photographs
from nlrn.pixels.degradations.softness import enlarge_middle
from nlrn.pixels.noise_features import noise_features
from nlrn.pixels.opponent import levels_of, to_opponent, to_rgb
from nlrn.pixels.patches import Patches
from nlrn.training.data import read_images

SIDE, SEEN, JUDGED = 256, 160, 136
"""Pixels each way whose features are read, the middle that is restored, and its middle that is judged."""
TIMES = (0.5, 0.8, 1.25, 2.0, 3.2, 5.0)
"""Of the level: what the networks are told."""
SOFTEST = 5.0
"""Times that a picture is enlarged at most, before the softness of photographs that are trained on."""
LEAST, MOST = 1.5, 70.0
"""Grey levels that stand for a weaker or a stronger level."""
UNTRIED = {
    "told": np.ones((3, len(TIMES)), np.float32),
    "errors": np.full((3, len(TIMES) + 1), np.nan, np.float32),
    "apart": np.full(1, np.nan, np.float32),
}
CLEAN = {
    "told": LEAST * np.tile(np.array(TIMES, np.float32), (3, 1)),
    "errors": np.array(
        [(0, 0.09, 0.2, 0.5, 1.5, 4.6, 11), (0, 0.08, 0.2, 0.5, 1.1, 2.3, 4.1), 7 * [np.nan]], np.float32
    ),
    "apart": np.zeros(1, np.float32),
}
"""About what 105 pictures without noise lost."""


def drawing(random: np.random.Generator) -> Image.Image:
    """A page of shapes, ramps and words."""
    side = SIDE
    page = Image.new("RGB", (side, side), tuple(random.integers(0, 256, 3).tolist()))
    if random.random() < 0.5:
        ends = random.integers(0, 256, (2, 3))
        ramp = np.linspace(0, 1, side)[:, None] * (ends[1] - ends[0]) + ends[0]
        page = Image.fromarray(np.broadcast_to(ramp[:, None], (side, side, 3)).round().astype(np.uint8))
    pen = ImageDraw.Draw(page)
    if random.random() < 0.3:
        size, colour = int(random.integers(8, 20)), tuple(random.integers(0, 256, 3).tolist())
        for row in range(int(random.integers(0, 30)), side, size + int(random.integers(2, 10))):
            words = "".join(chr(c) for c in random.integers(97, 128, 60)).replace("{", " ").replace("~", " ")
            pen.text((int(random.integers(4, 20)), row), words, fill=colour, font_size=size)
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


def reduced(image: Tensor, factor: float) -> Tensor:
    """An image [1, 3, SIDE, SIDE] with all that is in it smaller and sharper, mirrored at its edges."""
    side = round(factor * SIDE)
    small = nn.functional.interpolate(image, (side, side), mode="bicubic", antialias=True).clamp(0, 1)
    before = (SIDE - side) // 2
    after = SIDE - side - before
    return nn.functional.pad(small, (before, after, before, after), mode="reflect")


def smoothed_by_the_camera(clean: Tensor, noisy: Tensor, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """What is left where a camera smooths what looks flat, and where it crushes the shadows; and the levels of it."""
    luma = to_opponent(clean)[:, :1]
    around = nn.functional.avg_pool2d(luma, 9, 1, padding=4, count_include_pad=False)
    texture = nn.functional.avg_pool2d((luma - around).square(), 9, 1, padding=4, count_include_pad=False).sqrt()
    flat = 0.2 + 0.8 * random.random()
    kept = flat + (1 - flat) * (texture / (texture.quantile(0.7) + 1e-4)).clamp(max=1)
    left = (noisy - clean) * kept * luma ** (0.6 * random.random())
    return (clean + left).clamp(0, 1).mul(255).round().div(255), levels_of(left)


class Degraded(NamedTuple):
    degraded: Tensor
    """[1, 3, SIDE, SIDE] in [0, 1]."""
    clean: Tensor
    levels: Tensor
    """Of luma and chroma."""
    kind: Literal["photograph", "coarse", "white", "clean"]
    """Even noise is coarse if it is blurred, enlarged or pressed."""


def degraded_one(patches: Patches, number: int) -> Degraded:
    """A picture of any kind, the same for the same number."""
    generator = torch.Generator().manual_seed(number)
    random = np.random.default_rng(number)
    if random.random() < 0.12:
        sharp = torch.from_numpy(np.array(drawing(random))).permute(2, 0, 1)[None] / 255
    else:
        sharp = patches.cut(1, SIDE, generator)
    kind, size = random.random(), random.random()
    if size < 0.25:
        sharp = reduced(sharp, 0.55 + 0.4 * random.random())
    if kind < 0.45:
        if size > 0.4:  # a camera has many more pixels than there is detail, and most of what it sees is smooth
            sharp = enlarge_middle(sharp, torch.tensor([SOFTEST ** random.random()])).clamp(0, 1)
        made = photographs(sharp, generator)
        clean, degraded, levels = made.clean, made.degraded, made.levels
        if random.random() < 0.4:
            degraded, levels = smoothed_by_the_camera(clean, degraded, random)
        if random.random() < 0.5:
            degraded = as_jpeg(degraded, random)
        return Degraded(degraded, clean, levels[0], "photograph")
    clean = enlarge_middle(sharp, torch.tensor([1 + max(0.0, random.random() - 0.6)])).clamp(0, 1)
    if random.random() < 0.2:
        clean = to_opponent(clean)[:, :1].expand(-1, 3, -1, -1)
    own = 1 if torch.equal(clean[:, 0], clean[:, 1]) else 3
    is_even, is_white = kind < 0.7, 0.7 <= kind < 0.82
    sigma = (1 + 30 * random.random() ** 2 if is_even else 75 * random.random() ** 2 if is_white else 0.0) / 255
    noise = torch.randn(1, own, SIDE, SIDE, generator=generator)
    pressed = random.random() < (0.5 if is_even else 0.0 if is_white else 0.3)
    if is_even and not (pressed and random.random() < 0.7):
        noise = coarser(noise, random)
    noisy = (clean + sigma * noise).clamp(0, 1).mul(255).round().div(255)
    degraded = noisy
    levels = levels_of(noisy - clean)[0] if sigma else torch.zeros(2)  # as strong as it was before it was saved
    if pressed:
        degraded = as_jpeg(noisy, random)
    return Degraded(degraded, clean, levels, "coarse" if is_even else "white" if sigma > 1.5 / 255 else "clean")


def is_gray(image: Tensor) -> bool:
    return torch.equal(image[:, 0], image[:, 1])


def coarser(noise: Tensor, random: np.random.Generator) -> Tensor:
    """White noise [1, C, SIDE, SIDE] blurred, or that of a small picture enlarged; of the same strength."""
    if random.random() < 0.3:
        side = round(SIDE / (1.3 + 1.2 * random.random()))
        made = nn.functional.interpolate(noise[..., :side, :side], (SIDE, SIDE), mode="bicubic")
    else:
        blur = 0.3 + random.random()
        along = torch.fft.fftfreq(SIDE)
        keep = torch.exp(-2 * (torch.pi * blur) ** 2 * (along[:, None].square() + along.square()))
        made = torch.fft.ifft2(torch.fft.fft2(noise) * keep).real
    return made / made.std()


def as_jpeg(image: Tensor, random: np.random.Generator) -> Tensor:
    quality = int(random.integers(60, 99))
    return Compression("JPEG", quality, half_colour=random.random() < 0.6)(image[0])[None]


def middle(image: Tensor, side: int) -> Tensor:
    start = (image.shape[-1] - side) // 2
    return image[..., start : start + side, start : start + side]


def errors(images: Tensor, clean: Tensor) -> Tensor:
    """Mean squares [N] in grey levels of what was made [N, C, SEEN, SEEN]."""
    return middle(images - clean, JUDGED).square().mean((1, 2, 3)) * 255**2


def told(level: float) -> Tensor:
    return torch.tensor([min(MOST, max(LEAST, 255 * level) * times) for times in TIMES]) / 255


ONLY: dict[str, Callable[[Degraded], bool]] = {
    "gray-white": lambda one: one.kind == "white" and is_gray(one.degraded),
    "coarse": lambda one: one.kind == "coarse",
}


class Trials:
    """What the networks make of a picture, told one level after another."""

    def __init__(self) -> None:
        options = Options(model="denoise-photo", precision="auto")
        self.photo: FusedNLRN = Restorer("denoise", options).network(1)
        self.colour: FusedNLRN = Restorer("denoise").network(3)

    def __call__(self, degraded: Tensor, clean: Tensor, levels: Tensor) -> dict[str, np.ndarray]:
        """Levels told and mean squared errors, first of what is left as it is, for luma, chroma and all colours."""
        seen, wanted = middle(degraded, SEEN), middle(clean, SEEN)
        y_seen, y_wanted = to_opponent(seen), to_opponent(wanted)
        luma, chroma = told(float(levels[0])), told(float(levels[1]))
        lumas = restore(self.photo, y_seen[:, :1].expand(len(luma), -1, -1, -1).contiguous(), luma)
        pixels = seen[0].permute(1, 2, 0).mul(255).round().to(torch.uint8).numpy()
        whole = slice(0, SEEN)
        chromas = torch.stack([Chroma(self.photo, pixels, float(t), False).part(whole, whole) for t in chroma])
        of_luma, of_chroma = (
            torch.cat([errors(before, after), errors(made, after)])
            for made, before, after in (
                (lumas, y_seen[:, :1], y_wanted[:, :1]),
                (chromas, y_seen[:, 1:], y_wanted[:, 1:]),
            )
        )
        best = torch.cat(
            [
                torch.cat([y_seen[:, :1], lumas])[of_luma.argmin()],
                torch.cat([y_seen[:, 1:], chromas])[of_chroma.argmin()],
            ]
        )
        apart = errors(to_rgb(best)[None], wanted)
        together, of_colours = torch.zeros(len(TIMES)), torch.full([len(TIMES) + 1], torch.nan)
        if levels[0] > 1 / 255 and 0.5 < levels[1] / levels[0] < 1.5:  # as where red, green and blue differ
            together = told(float(levels[0]) / 0.668)
            made = restore(self.colour, seen.expand(len(together), -1, -1, -1).contiguous(), together)
            of_colours = torch.cat([errors(seen, wanted), errors(made, wanted)])
        return {
            "told": 255 * torch.stack([luma, chroma, together]).numpy(),
            "errors": torch.stack([of_luma, of_chroma, of_colours]).numpy(),
            "apart": apart.numpy(),
        }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--levels-only", action="store_true", help="what to tell of noise is left open: thirty times as fast"
    )
    parser.add_argument("--only", choices=ONLY, help="keep those of one kind, of which there are few")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    patches, trials = Patches(read_images(options.folders, "rgb")), None if options.levels_only else Trials()
    made: list[dict[str, np.ndarray]] = []
    started = time.monotonic()
    for number in range(options.count):
        one = degraded_one(patches, options.seed * 1_000_000 + number)
        if options.only and not ONLY[options.only](one):
            continue
        degraded, clean, levels, kind = one
        features = noise_features(degraded[0].permute(1, 2, 0).mul(255).round().numpy())
        if features is None:
            continue
        levels_said = np.array([*(levels * 255).tolist(), kind == "white"], np.float32)
        if trials:
            tried = trials(degraded, clean, levels)
        else:
            tried = CLEAN if (degraded - clean).abs().max() < 1 / 255 else UNTRIED
        made.append({"features": features, "levels": levels_said, **tried})
        if len(made) % 100 == 0:
            np.savez(options.out, **{name: np.stack([one[name] for one in made]) for name in made[0]})
            print(f"{len(made)} samples, {time.monotonic() - started:.0f} s", flush=True)
    np.savez(options.out, **{name: np.stack([one[name] for one in made]) for name in made[0]})


if __name__ == "__main__":
    main()
