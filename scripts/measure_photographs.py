"""Measure what ``nlrn denoise`` does to pictures with nothing said of their noise: the figures of docs/photos.md.

    python scripts/measure_photographs.py pairs FOLDER             # NAME_real.* and NAME_mean.*
    python scripts/measure_photographs.py white FOLDER...          # white noise of unknown level
    python scripts/measure_photographs.py coarse FOLDER...         # blurred, enlarged, saved as JPEG
    python scripts/measure_photographs.py jpeg FOLDER...           # gray, strongly compressed
    python scripts/measure_photographs.py clean FOLDER... [--made] # pictures without noise
    python scripts/measure_photographs.py seconds FOLDER           # NAME_real.*, one after another

PSNR over all channels in 8 bits, in dB; means over the pictures. Noise is drawn from the number of the picture.
"""

import argparse
import io
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import nlrn
from nlrn import images
from nlrn.evaluation.metrics import psnr
from nlrn.pixels.degrade import resize_bicubic

LEVELS = (15, 25, 50)
COARSE_LEVELS = (5, 15)
"""Standard deviations of coarse noise, and of the white noise that is saved as JPEG."""
STRENGTHS = (0.5, 0.7, 1.4, 2.0)
SIGMAS = (0.7, 1.0, 1.5, 2.0, 3.0)
"""Of the deviation: what the model for white noise is told, to find out what is best."""
QUALITIES = (10, 20, 30, 40)
MENDING = (4, 7, 10, 13)
"""Levels of white noise that a network for it is told, to mend what JPEG did."""
MOST = 100.0


def restored(picture: np.ndarray | Image.Image, sigma: float | None = None, strength: float = 1.0) -> np.ndarray:
    """Of a picture as Pillow reads it from its file it is known how that compressed it."""
    axis = None if isinstance(picture, Image.Image) or picture.ndim == 2 else -1
    return np.asarray(nlrn.denoise(picture, sigma, channel_axis=axis, strength=strength))


def score(image: np.ndarray, clean: np.ndarray) -> float:
    return min(MOST, psnr(image, clean, 255))


def pictures(folders: list[Path], crop: int | None, count: int | None) -> Iterator[tuple[str, np.ndarray]]:
    for folder in folders:
        paths = sorted(path for path in folder.iterdir() if path.is_file())
        step = max(1, len(paths) // count) if count else 1
        for path in paths[::step][:count]:
            pixels = images.read(path).pixels
            pixels = pixels if pixels.ndim == 2 else pixels[..., :3]
            if crop is not None:
                top, left = (max(0, side - crop) // 2 for side in pixels.shape[:2])
                pixels = pixels[top : top + crop, left : left + crop]
            yield f"{folder.name}/{path.stem}", pixels


def eight_bits(image: np.ndarray) -> np.ndarray:
    return np.rint(image.clip(0, 255)).astype(np.uint8)


def pairs(options: argparse.Namespace) -> None:
    (folder,) = options.folders
    found = sorted(path for path in folder.iterdir() if path.stem.lower().endswith("_real"))
    rows, seconds = [], 0.0
    for path in found[:: options.every] if options.every > 0 else found[1 :: -options.every]:
        clean = images.read(next(folder.glob(path.stem[:-5] + "_mean.*"))).pixels[..., :3]
        noisy = Image.open(path)
        started = time.perf_counter()
        made = restored(noisy)
        seconds += time.perf_counter() - started
        rows.append((path.stem, score(np.asarray(noisy), clean), score(made, clean)))
        if options.each:
            print(f"{rows[-1][0]:40} {rows[-1][1]:6.2f} -> {rows[-1][2]:6.2f}", flush=True)
    before, after = (np.array([row[i] for row in rows]) for i in (1, 2))
    gains = after - before
    print(f"{len(rows)} pairs in {seconds:.0f} s: {before.mean():.2f} -> {after.mean():.2f}, {gains.mean():+.2f}")
    print(f"worse by more than 0.1: {(gains < -0.1).sum()}; worst {gains.min():+.2f}, {rows[int(gains.argmin())][0]}")


def taken(options: argparse.Namespace) -> None:
    """Seconds of whole pictures, the look at their noise included, and of that look alone; the least of five."""
    print("| picture | pixels | nlrn.denoise | its look at the noise |\n|---|---|---|---|")
    for path in sorted(path for path in options.folders[0].iterdir() if path.stem.lower().endswith("_real"))[:3]:
        picture = Image.open(path)
        pixels = np.asarray(picture)
        turns = []
        for _ in range(6):
            started = time.perf_counter()
            restored(picture)
            between = time.perf_counter()
            nlrn.estimate_noise(pixels, channel_axis=-1)
            turns.append((between - started, time.perf_counter() - between))
        best = (f"{spent:.3f}" for spent in np.min(turns[1:], 0))
        print(f"| {path.stem} | {pixels.shape[1]} x {pixels.shape[0]} | {' | '.join(best)} |", flush=True)


def white(options: argparse.Namespace) -> None:
    print("| noise | pictures | told | not told | apart | worst |\n|---|---|---|---|---|---|")
    for folder in options.folders:
        for level in LEVELS:
            told, untold, names = [], [], []
            for number, (name, clean) in enumerate(pictures([folder], options.crop, options.count)):
                noisy = eight_bits(clean + np.random.default_rng(number).normal(0, level, clean.shape))
                told.append(score(restored(noisy, level), clean))
                untold.append(score(restored(noisy), clean))
                names.append(name)
            off = np.array(untold) - told
            worst = f"{off.min():+.2f} {names[int(off.argmin())]}"
            cells = level, folder.name, f"{np.mean(told):.2f}", f"{np.mean(untold):.2f}", f"{off.mean():+.2f}", worst
            print(f"| {' | '.join(map(str, cells))} |", flush=True)


def blurred(shape: tuple[int, ...], blur: float, random: np.random.Generator) -> np.ndarray:
    rows, columns = (np.fft.fftfreq(side)[:, None] ** 2 for side in shape[:2])
    keep = np.exp(-2 * (np.pi * blur) ** 2 * (rows + columns.T))
    keep = keep.reshape(keep.shape + (1,) * (len(shape) - 2))
    return np.asarray(np.fft.ifft2(np.fft.fft2(random.standard_normal(shape), axes=(0, 1)) * keep, axes=(0, 1)).real)


def enlarged(shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    small = torch.from_numpy(random.standard_normal((*shape[2:], (shape[0] + 1) // 2, (shape[1] + 1) // 2)))
    large = resize_bicubic(small, 2 * small.shape[-2], 2 * small.shape[-1])[..., : shape[0], : shape[1]].numpy()
    return np.asarray(large if len(shape) == 2 else large.transpose(1, 2, 0))


def as_jpeg(pixels: np.ndarray, quality: int) -> Image.Image:
    file = io.BytesIO()
    colours = {} if pixels.ndim == 2 else {"subsampling": "4:2:0"}
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, **colours)
    return Image.open(file)


def added(make: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    def noisy(clean: np.ndarray, level: float, random: np.random.Generator) -> np.ndarray:
        noise = make(clean.shape, random=random)
        return eight_bits(clean + level / noise.std() * noise)

    return noisy


def compressed(quality: int) -> Callable[..., Image.Image]:
    def noisy(clean: np.ndarray, level: float, random: np.random.Generator) -> Image.Image:
        return as_jpeg(eight_bits(clean + random.normal(0, level, clean.shape)), quality)

    return noisy


KINDS = {
    "blurred by 0.5": added(lambda shape, random: blurred(shape, 0.5, random)),
    "blurred by 1": added(lambda shape, random: blurred(shape, 1.0, random)),
    "enlarged by 2": added(enlarged),
    "JPEG 95": compressed(95),
    "JPEG 85": compressed(85),
    "JPEG 75": compressed(75),
}


def coarse(options: argparse.Namespace) -> None:
    print(
        "| noise | noisy | as it comes | best strength | best sigma | apart from the best | worst |\n|" + 7 * "---|"
    )
    for kind, degrade in KINDS.items():
        for level in COARSE_LEVELS:
            rows, names, strengths, sigmas = [], [], [], []
            for number, (name, clean) in enumerate(pictures(options.folders, options.crop, options.count)):
                noisy = degrade(clean, level, np.random.default_rng(number))
                bare = score(restored(noisy), clean)
                strong = [score(restored(noisy, strength=s), clean) for s in STRENGTHS]
                told = [score(restored(noisy, level * s), clean) for s in SIGMAS]
                strengths.append([bare, *strong])
                sigmas.append(told)
                rows.append((score(np.asarray(noisy), clean), bare, max(bare, *strong), max(told)))
                names.append(name)
            noise, bare, strength, sigma = np.mean(rows, 0)
            off = np.array([row[1] - max(row[2:]) for row in rows])
            print(
                f"| {kind}, {level} | {noise:.2f} | {bare:.2f} | {strength:.2f} | {sigma:.2f} "
                f"| {off.mean():+.2f} | {off.min():+.2f} {names[int(off.argmin())]} |",
                flush=True,
            )
            if options.each:
                print("   strength", [1.0, *STRENGTHS], np.mean(strengths, 0).round(2).tolist())
                print("   sigma", list(SIGMAS), np.mean(sigmas, 0).round(2).tolist(), flush=True)


def jpeg(options: argparse.Namespace) -> None:
    heads = ["quality", "pictures", "as it is", "as it comes", *(f"sigma {level}" for level in MENDING)]
    print(f"| {' | '.join(heads)} |\n|{len(heads) * '---|'}")
    for folder in options.folders:
        for quality in QUALITIES:
            rows = []
            for _, clean in pictures([folder], options.crop, options.count):
                file = as_jpeg(clean, quality)
                mended = [restored(file), *(restored(file, level) for level in MENDING)]
                rows.append([score(one, clean) for one in (np.asarray(file), *mended)])
            cells = quality, folder.name, *(f"{mean:.2f}" for mean in np.mean(rows, 0))
            print(f"| {' | '.join(map(str, cells))} |", flush=True)


def clean(options: argparse.Namespace) -> None:
    print("| pictures | unchanged | above 45 dB | below | worst |\n|---|---|---|---|---|")
    groups = [(folder.name, pictures([folder], options.crop, options.count)) for folder in options.folders]
    if options.made:
        groups.append(("drawings and pictures of scikit-image", of_scikit_image()))
    for name, group in groups:
        scores = {one: score(restored(pixels), pixels) for one, pixels in group}
        below = {one: s for one, s in scores.items() if s <= 45}
        same = sum(s == MOST for s in scores.values())
        worst = min(scores, key=lambda one: scores[one])
        said = ", ".join(f"{one.rpartition('/')[2]} {s:.1f}" for one, s in below.items())
        cells = name, same, len(scores) - same - len(below), len(below), said or f"{worst} {scores[worst]:.1f}"
        print(f"| {' | '.join(map(str, cells))} |", flush=True)


def of_scikit_image() -> Iterator[tuple[str, np.ndarray]]:
    """What needs no download, in 8 bits."""
    from skimage import data

    for name in (
        "astronaut",
        "camera",
        "cat",
        "chelsea",
        "clock",
        "coffee",
        "coins",
        "horse",
        "logo",
        "page",
        "text",
    ):
        pixels = getattr(data, name)()
        pixels = 255 * pixels.astype(np.uint8) if pixels.dtype == bool else pixels
        yield name, np.ascontiguousarray(pixels[..., :3] if pixels.ndim == 3 else pixels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["pairs", "white", "coarse", "jpeg", "clean", "seconds"])
    parser.add_argument("folders", type=Path, nargs="*")
    parser.add_argument("--crop", type=int, help="only so many pixels each way, of the middle")
    parser.add_argument("--count", type=int, help="only so many pictures of a folder, spread evenly")
    parser.add_argument("--every", type=int, default=1, help="of pairs only every second, third; -2: the other half")
    parser.add_argument("--each", action="store_true", help="print every pair, and every strength")
    parser.add_argument("--made", action="store_true", help="also drawings, and the pictures of scikit-image")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # of what is left as it is
    of = {"pairs": pairs, "white": white, "coarse": coarse, "jpeg": jpeg, "clean": clean, "seconds": taken}
    of[options.what](options)


if __name__ == "__main__":
    main()
