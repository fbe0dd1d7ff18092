"""The pictures of the site, made by the package from photographs that come with scikit-image, and their captions."""

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from skimage import data

import nlrn
from nlrn import images, network
from nlrn.evaluation.metrics import psnr
from nlrn.pixels import degrade

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
from deblur_plug_and_play import compare

SIGMA, SCALE = 25, 3


def draw_all(folder: Path) -> dict[str, str]:
    """Writes all pictures into the folder; returns each one's Markdown by its name."""
    drawn = {"denoise": _denoise, "upscale": _upscale, "attention": _attention, "deblur": _deblur}
    texts = {}
    for name, draw in drawn.items():
        picture, caption = draw()
        images.write(folder / f"{name}.png", picture)
        texts[name] = f"```{{figure}} /_made/{name}.png\n:alt: {caption.partition('. ')[0]}\n\n{caption}\n```\n"
    return texts


def _denoise() -> tuple[np.ndarray, str]:
    clean = data.chelsea()[40:240, 80:330]
    noise = np.random.default_rng(0).normal(0, SIGMA, clean.shape)
    noisy = np.rint((clean + noise).clip(0, 255)).astype(np.uint8)
    restored = nlrn.denoise(noisy, channel_axis=-1)
    before, after = (psnr(picture, clean, 255) for picture in (noisy, restored))
    return _side_by_side(noisy, restored, clean), (
        f"Noise of sigma {SIGMA} ({before:.2f} dB), restored without being told how much ({after:.2f} dB), and the "
        "photograph."
    )


def _upscale() -> tuple[np.ndarray, str]:
    clean = data.astronaut()[:180, 130:310]
    tensor = torch.from_numpy(clean).permute(2, 0, 1) / 255
    small = _pixels(degrade.resize_bicubic(tensor, 60, 60))
    bicubic = np.array(Image.fromarray(small).resize((180, 180), Image.Resampling.BICUBIC))
    restored = nlrn.upscale(small, SCALE, channel_axis=-1)
    before, after = (psnr(picture, clean, 255) for picture in (bicubic, restored))
    return _side_by_side(bicubic, restored, clean), (
        f"60 x 60 pixels enlarged {SCALE} times: bicubic ({before:.2f} dB), the network ({after:.2f} dB), and the "
        "photograph at full size."
    )


def _attention() -> tuple[np.ndarray, str]:
    reach, zoom = 7, 8
    clean = data.camera()[60:188, 130:290] / 255
    colours = clean + np.random.default_rng(0).normal(0, SIGMA / 255, (3, *clean.shape))
    noisy, carried = colours[0], _correlations(torch.from_numpy(colours).float()[None])
    rows = []
    for y, x in ((49, 17), (110, 45), (79, 127)):
        around = (slice(y - reach, y + reach + 1), slice(x - reach, x + reach + 1))
        shown = [clean[around], noisy[around].clip(0, 1)]
        for step in carried:
            keys = torch.cat(step.keys, 1)[(0, slice(None), *around)].flatten(1)
            weights = (torch.cat(step.queries, 1)[0, :, y, x] @ keys).softmax(0).view(2 * reach + 1, -1).numpy()
            shown.append(np.sqrt(weights / weights.max()))
        large = [np.rint(255 * one).astype(np.uint8).repeat(zoom, 0).repeat(zoom, 1) for one in shown]
        rows.append(_side_by_side(*large))
    gap = np.full((6, rows[0].shape[1]), 255, np.uint8)
    return np.vstack([part for row in rows for part in (row, gap)][:-1]), (
        "What three pixels look at. Left the 15 x 15 pixels around each, then one of the three colours with noise, "
        "as `denoise-color-lite` sees it, and how much weight the pixel in the middle gives to each of them in steps "
        "1, 3 and 5 (white is most; the root is shown). In step 1 the weights are scattered by the noise; with the "
        "correlation carried on, what remains is the edge that the pixel lies on."
    )


def _correlations(noisy: torch.Tensor) -> list[network.Carried]:
    """The queries and keys, with those of the earlier steps, of every non-local block on the way."""
    recorded, attention = [], network.propagated_attention

    def recording(*arguments: object, **named: object) -> tuple[torch.Tensor, network.Carried]:
        out, carried = attention(*arguments, **named)
        recorded.append(carried)
        return out, carried

    network.propagated_attention = recording
    try:
        with torch.inference_mode():
            nlrn.load("denoise-color-lite")(noisy, SIGMA / 255)
    finally:
        network.propagated_attention = attention
    return recorded


def _deblur() -> tuple[np.ndarray, str]:
    sharp = data.camera()[90:234, 150:294] / 255
    found = compare(sharp)
    said = ", ".join(f"{name} {psnr(picture, sharp, 1):.2f} dB" for name, picture in found.items())
    row = [np.rint(255 * picture).astype(np.uint8) for picture in (*found.values(), sharp)]
    return _side_by_side(*row), f"A photograph out of focus, with noise. From left to right: {said}; the photograph."


def _side_by_side(*pictures: np.ndarray) -> np.ndarray:
    gap = np.full((pictures[0].shape[0], 6, *pictures[0].shape[2:]), 255, np.uint8)
    return np.hstack([part for picture in pictures for part in (picture, gap)][:-1])


def _pixels(tensor: torch.Tensor) -> np.ndarray:
    return (tensor.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
