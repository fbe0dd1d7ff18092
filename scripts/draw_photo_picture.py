"""Draw the picture of docs/photos.md: a scene of our own as a camera would have it, and what strengths make of it.

python scripts/draw_photo_picture.py docs/photo-strength.png
"""

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter, ImageFont

import nlrn
from nlrn import images
from nlrn.evaluation.metrics import psnr
from nlrn.pixels.degradations.compression import Compression
from nlrn.pixels.degradations.grain import camera_noise

LUMA, CHROMA, QUALITY = 7.0, 7.0, 92
STRENGTHS = (0.5, 1.0, 1.6)
CROP = (slice(90, 270), slice(120, 300))


def house_by_the_sea(width: int = 360, height: int = 300) -> np.ndarray:
    """A brick house under an evening sky, uint8 [height, width, 3]."""
    random = np.random.default_rng(3)
    scale = 3
    w, h = width * scale, height * scale
    y = np.linspace(0, 1, h)[:, None, None]
    sky = (1 - y) * np.array([70, 110, 180]) + y * np.array([250, 190, 130])
    picture = Image.fromarray(np.broadcast_to(sky, (h, w, 3)).astype(np.uint8))
    pen = ImageDraw.Draw(picture)
    pen.ellipse([w * 0.72, h * 0.12, w * 0.86, h * 0.12 + w * 0.14], fill=(255, 236, 190))
    ridge = np.cumsum(random.normal(0, 5, w))
    ridge = h * 0.55 + np.convolve(ridge, np.ones(25) / 25, "same")
    pen.polygon([(0, h), *((x, ridge[x]) for x in range(w)), (w, h)], fill=(86, 104, 120))
    pen.rectangle([0, h * 0.78, w, h], fill=(60, 92, 110))
    for row in range(int(h * 0.78), h, 12):
        for _ in range(14):
            x, length = random.integers(0, w), random.integers(20, 90)
            pen.line([x, row, x + length, row + 2], fill=(120, 160, 175), width=3)
    left, top, right, bottom = int(w * 0.08), int(h * 0.34), int(w * 0.56), int(h * 0.9)
    pen.rectangle([left, top, right, bottom], fill=(196, 186, 172))
    for i, row in enumerate(range(top, bottom, 24)):
        for column in range(left - 40 * (i % 2), right, 80):
            shade = int(random.normal(0, 9))
            box = [max(left, column + 3), row + 3, min(right, column + 77), min(bottom, row + 21)]
            if box[2] > box[0]:
                pen.rectangle(box, fill=(158 + shade, 82 + shade // 2, 66 + shade // 2))
    pen.polygon([(left - 30, top), ((left + right) // 2, h * 0.1), (right + 30, top)], fill=(92, 66, 60))
    for x in range(left - 30, right + 30, 18):
        pen.line([(left + right) // 2, h * 0.1, x, top], fill=(78, 54, 50), width=3)
    for column in (0.16, 0.40):
        x0, y0 = int(w * column), int(h * 0.44)
        pen.rectangle([x0, y0, x0 + 110, y0 + 130], fill=(240, 236, 226))
        for dx, dy in ((8, 8), (59, 8), (8, 69), (59, 69)):
            pen.rectangle([x0 + dx, y0 + dy, x0 + dx + 43, y0 + dy + 53], fill=(255, 214, 120))
    pen.rectangle([w * 0.27, h * 0.68, w * 0.37, bottom], fill=(60, 84, 70))
    pen.rectangle([w * 0.60, h * 0.62, w * 0.95, h * 0.74], fill=(244, 240, 228), outline=(60, 50, 44), width=6)
    pen.text((w * 0.625, h * 0.635), "non-local", fill=(50, 40, 36), font=ImageFont.load_default(72))
    pen.rectangle([w * 0.76, h * 0.74, w * 0.79, h * 0.92], fill=(70, 56, 48))
    small = picture.filter(ImageFilter.GaussianBlur(1)).resize((width, height), Image.Resampling.LANCZOS)
    return np.array(small)


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
