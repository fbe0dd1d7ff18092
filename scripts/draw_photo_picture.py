"""Draw the picture of docs/photos.md: a scene of our own as a camera would have it, and what strengths make of it.

python scripts/draw_photo_picture.py docs/photo-strength.png
"""

import sys
from pathlib import Path

import numpy as np
import torch
from draw_readme_picture import house_by_the_sea
from PIL import Image, ImageDraw, ImageFont

import nlrn
from nlrn import images
from nlrn.evaluation.metrics import psnr
from nlrn.pixels.degradations.compression import Compression
from nlrn.pixels.degradations.grain import camera_noise

LUMA, CHROMA, QUALITY = 7.0, 7.0, 92
STRENGTHS = (0.5, 1.0, 1.6)
CROP = (slice(90, 270), slice(120, 300))


def photograph() -> tuple[np.ndarray, np.ndarray]:
    """The scene as soft as a camera's, uint8 [H, W, 3], and with its noise, saved as JPEG."""
    scene = Image.fromarray(house_by_the_sea()).resize((480, 400), Image.Resampling.BICUBIC).crop((0, 0, 384, 384))
    clean = np.asarray(scene)
    tensor = torch.from_numpy(clean.copy()).permute(2, 0, 1)[None] / 255
    levels = (torch.tensor([level / 255]) for level in (LUMA, CHROMA))
    noise = camera_noise(tensor, *levels, torch.Generator().manual_seed(4))
    noisy = Compression("JPEG", QUALITY, half_colour=True)((tensor + noise)[0])
    return clean, (noisy.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)


def main() -> None:
    clean, noisy = photograph()
    shown = [("as the camera has it", noisy)]
    shown += [(f"strength {s:g}", nlrn.denoise(noisy, channel_axis=-1, strength=s)) for s in STRENGTHS]
    print(nlrn.estimate_noise(noisy, channel_axis=-1))
    side = CROP[0].stop - CROP[0].start
    page = Image.new("RGB", ((side + 8) * len(shown) - 8, side + 22), "white")
    pen = ImageDraw.Draw(page)
    for i, (said, pixels) in enumerate(shown):
        print(f"{said}: {psnr(pixels, clean, 255):.2f} dB")
        page.paste(Image.fromarray(pixels[CROP]), (i * (side + 8), 22))
        pen.text((i * (side + 8), 3), said, fill="black", font=ImageFont.load_default(14))
    images.write(Path(sys.argv[1]), np.array(page))


if __name__ == "__main__":
    main()
