"""Draw the gallery of photographs: behind a simulated sensor, developed and saved as a camera does, and restored.

python scripts/draw_gallery.py docs/gallery.png

The photographs are those of scikit-image that are free of rights (chelsea and coffee: CC0; astronaut: NASA). Their
noise arises where it does in a camera: photons and reading behind a mosaic, then demosaicing, white balance, colour
matrix, tone curve, sharpening and JPEG, by nlrn.pixels.degradations.raw. The last column has no noise, but was saved
as a strongly compressed JPEG. ``nlrn.denoise`` is told nothing of all this.
"""

import io
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from skimage import data

import nlrn
from nlrn import images
from nlrn.evaluation.metrics import psnr
from nlrn.pixels.degradations.compression import Compression
from nlrn.pixels.degradations.raw import Camera

SIDE = 232
SCENES = (  # photograph, rows and columns from, variance of a photon, what the column says
    ("chelsea", (30, 95), 0.0012, "much light"),
    ("coffee", (60, 190), 0.004, "little light"),
    ("astronaut", (0, 130), 0.009, "hardly any light"),
)
QUALITY = 92
SMALL, SMALL_AT, SMALL_QUALITY = "astronaut", (215, 150), 12
"""The photograph that is compressed, rows and columns from, and to how small a file."""


def photograph(name: str, photons: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A photograph without noise and with it, as the same camera develops and saves both, uint8 [H, W, 3]."""
    generator = torch.Generator().manual_seed(seed)
    drawn = Camera.draw(1, generator)
    variance = torch.full((1, 1, 1, 1), photons)
    camera = replace(
        drawn, photons=variance, reading=0.2 * variance.sqrt(), sharpening=torch.full_like(variance, 0.4)
    )
    sharp = torch.from_numpy(np.ascontiguousarray(getattr(data, name)())).permute(2, 0, 1)[None] / 255
    sharp = sharp[..., : sharp.shape[2] // 2 * 2, : sharp.shape[3] // 2 * 2]
    counts = camera.sensed(sharp)
    save = Compression("JPEG", QUALITY, half_colour=True)
    clean, noisy = (camera.developed(some)[0] for some in (counts, camera.noisy(counts, generator)))
    clean, noisy = (
        image.permute(1, 2, 0).mul(255).round().to(torch.uint8).numpy() for image in (clean.clamp(0, 1), save(noisy))
    )
    return clean, noisy


def compressed() -> tuple[np.ndarray, Image.Image]:
    """A photograph uint8 [H, W, 3], and as Pillow reads it from a small file."""
    clean, file = getattr(data, SMALL)(), io.BytesIO()
    Image.fromarray(clean).save(file, "JPEG", quality=SMALL_QUALITY)
    return clean, Image.open(file)


def main() -> None:
    gap, head = 8, 22
    columns = [(*photograph(name, photons, seed), at, said) for seed, (name, at, photons, said) in enumerate(SCENES)]
    columns.append((*compressed(), SMALL_AT, f"JPEG of quality {SMALL_QUALITY}"))
    page = Image.new("RGB", ((SIDE + gap) * len(columns) - gap, 2 * (SIDE + gap) + head - gap), "white")
    pen = ImageDraw.Draw(page)
    for column, (clean, given, (top, left), said) in enumerate(columns):
        axis = None if isinstance(given, Image.Image) else -1
        restored, noisy = np.asarray(nlrn.denoise(given, channel_axis=axis)), np.asarray(given)
        before, after = (psnr(image, clean, 255) for image in (noisy, restored))
        print(f"{said}: {nlrn.estimate_noise(noisy, channel_axis=-1)}, {before:.2f} -> {after:.2f} dB")
        x = column * (SIDE + gap)
        for row, image in enumerate((noisy, restored)):
            part = image[top : top + SIDE, left : left + SIDE]
            page.paste(Image.fromarray(part), (x, head + row * (SIDE + gap)))
        pen.text((x, 3), f"{said}: {before:.1f} -> {after:.1f} dB", fill="black", font=ImageFont.load_default(14))
    images.write(Path(sys.argv[1]), np.array(page))


if __name__ == "__main__":
    main()
