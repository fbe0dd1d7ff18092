"""The main job on a real photograph: noise added and taken away, detail reduced and brought back, with figures."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console

from nlrn import images
from nlrn.errors import needs
from nlrn.evaluation.metrics import psnr, ssim
from nlrn.inference.restore import denoise, upscale
from nlrn.pixels.degrade import add_noise, resize_bicubic, round_8bit

_SIGMA, _SEED = 25, 0
_SCALE: Literal[3] = 3


def run_demo(folder: Path) -> None:
    """Denoise and upscale the sample photograph of scikit-image (a cat, 451 x 300).

    Leaves the pictures and two side-by-side sheets in ``folder``; prints PSNR, SSIM and seconds.

    Raises:
        UsageError: scikit-image is not installed.
    """
    with needs("demo"):
        from skimage import data
    folder.mkdir(parents=True, exist_ok=True)
    clean: np.ndarray = data.chelsea()[:, : 451 // 12 * 12]  # type: ignore[no-untyped-call]  # scikit-image's is untyped
    tensor = torch.from_numpy(clean).permute(2, 0, 1).double() / 255
    console = Console()

    noisy = _pixels(add_noise(tensor, _SIGMA / 255, _SEED))
    console.print(f"Denoising: noise of sigma {_SIGMA} added; the level is estimated from the noisy picture alone")
    _show(console, folder, "denoise", clean, noisy, lambda: denoise(noisy, channel_axis=-1))

    height, width = clean.shape[0] // _SCALE, clean.shape[1] // _SCALE
    small = _pixels(resize_bicubic(tensor, height, width))
    images.write(folder / "upscale-input.png", small)
    bicubic = _pixels(resize_bicubic(torch.from_numpy(small).permute(2, 0, 1) / 255.0, height * 3, width * 3))
    console.print(f"Upscaling x{_SCALE}: the picture reduced to {width} x {height}; before = bicubic enlargement")
    _show(console, folder, "upscale", clean, bicubic, lambda: upscale(small, _SCALE, channel_axis=-1))
    console.print(f"Pictures and side-by-side sheets: {folder.resolve()}", highlight=False, soft_wrap=True)


def _show(
    console: Console,
    folder: Path,
    name: str,
    clean: np.ndarray,
    before: np.ndarray,
    restored: Callable[[], np.ndarray],
) -> None:
    started = time.perf_counter()
    after = restored()
    seconds = time.perf_counter() - started
    for word, picture in (("before", before), ("after", after)):
        scores = psnr(picture, clean, 255), ssim(picture.transpose(2, 0, 1), clean.transpose(2, 0, 1), 255)
        console.print(f"  {word:6}  PSNR {scores[0]:.2f} dB  SSIM {scores[1]:.4f}")
    console.print(f"  {seconds:.2f} seconds for {clean.shape[1]} x {clean.shape[0]} pixels")
    images.write(folder / f"{name}-before.png", before)
    images.write(folder / f"{name}-after.png", after)
    images.write(folder / f"{name}-sheet.png", _sheet({"before": before, "after": after, "original": clean}))


def _sheet(pictures: dict[str, np.ndarray]) -> np.ndarray:
    """Pictures of one size side by side, each under its name."""
    height, width = next(iter(pictures.values())).shape[:2]
    margin, title = 8, 28
    sheet = Image.new("RGB", (len(pictures) * (width + margin) + margin, height + title + margin), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(16)
    for i, (name, picture) in enumerate(pictures.items()):
        left = margin + i * (width + margin)
        pen.text((left, 5), name, "black", font)
        sheet.paste(Image.fromarray(picture), (left, title))
    return np.array(sheet)


def _pixels(tensor: torch.Tensor) -> np.ndarray:
    """[3, H, W] in [0, 1] to uint8 [H, W, 3]."""
    pixels: np.ndarray = (round_8bit(tensor) * 255).round().byte().permute(1, 2, 0).numpy()
    return pixels
