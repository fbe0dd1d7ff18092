"""Draw the picture of the README: a scene of our own, with noise, and what ``nlrn denoise`` makes of it.

python scripts/draw_readme_picture.py docs/before-after.png
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

import nlrn
from nlrn import images
from nlrn.evaluation.metrics import psnr

SIGMA = 30


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


def main() -> None:
    clean = house_by_the_sea()
    noise = np.random.default_rng(0).normal(0, SIGMA, clean.shape)
    noisy = np.rint((clean + noise).clip(0, 255)).astype(np.uint8)
    restored = nlrn.denoise(noisy, channel_axis=-1)
    print(f"PSNR {psnr(noisy, clean, 255):.2f} dB with noise, {psnr(restored, clean, 255):.2f} dB restored")
    gap = np.full((clean.shape[0], 8, 3), 255, np.uint8)
    images.write(Path(sys.argv[1]), np.hstack([noisy, gap, restored]))


if __name__ == "__main__":
    main()
