"""Draw gray pictures that repeat themselves, to train on beside photographs: python scripts/draw_patterns.py FOLDER

Stripes, checks, dots, weaves, rows of bricks and windows, pages of words, each in a cell of its own: hard edges and
soft ones, periods from two pixels up, straight and at any angle. Photographs hold few of them.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SIDE, CELL = 512, 128
"""Pixels each way of a picture, and of a pattern in it."""
FINE = 4
"""Each pixel is the mean of so many each way, unless edges are to be hard."""

Random = np.random.Generator
Plane = np.ndarray


def wave(along: Plane, length: float, random: Random) -> Plane:
    """From 0 to 1 and back in each length: in steps, in slopes, or as a sine."""
    phase = (along / length + random.random()) % 1
    kind, part = random.random(), random.uniform(0.25, 0.75)
    if kind < 0.6:
        return np.where(phase < part, 1.0, 0.0)
    return np.abs(2 * phase - 1) if kind < 0.7 else 0.5 + 0.5 * np.sin(2 * np.pi * phase)


def period(random: Random) -> float:
    return float(2 * 10 ** random.random())


def turned(random: Random, fine: int) -> tuple[Plane, Plane]:
    """Places along two axes at right angles, in pixels of the picture."""
    across, down = (axis / fine for axis in np.meshgrid(*2 * [np.arange(CELL * fine, dtype=np.float64)]))
    angle = random.uniform(0, np.pi) if random.random() < 0.5 else 0.0
    first, second = across * np.cos(angle) + down * np.sin(angle), down * np.cos(angle) - across * np.sin(angle)
    return (first, second) if random.random() < 0.5 else (second, first)


def stripes(random: Random, fine: int) -> Plane:
    return wave(turned(random, fine)[0], period(random), random)


def checks(random: Random, fine: int) -> Plane:
    first, second = turned(random, fine)
    one = period(random)
    return np.abs(wave(first, one, random) - wave(second, one, random))


def dots(random: Random, fine: int) -> Plane:
    first, second = turned(random, fine)
    one = max(3.0, period(random))
    away = np.hypot((first / one) % 1 - 0.5, (second / one + 0.5 * (first // one % 2)) % 1 - 0.5)
    return np.where(away < random.uniform(0.2, 0.45), 1.0, 0.0)


def weave(random: Random, fine: int) -> Plane:
    """Threads in two directions that pass over each other in turn."""
    first, second = turned(random, fine)
    one = max(4.0, period(random))
    over = (first // one + second // one) % 2 == 0
    thread = np.sin(np.pi * (np.where(over, first, second) / one % 1))
    return thread * np.where(over, 1.0, random.uniform(0.4, 1.0))


def front(random: Random, fine: int) -> Plane:
    """Windows, or bricks where every second row is moved by half."""
    first, second = turned(random, fine)
    wide, high = (max(5.0, period(random)) for _ in range(2))
    moved = 0.5 * (second // high % 2) if random.random() < 0.5 else 0.0
    gap = random.uniform(0.1, 0.4)
    return np.where(((first / wide + moved) % 1 > gap) & (second / high % 1 > gap), 1.0, 0.0)


def words(random: Random, fine: int) -> Plane:
    page = Image.new("L", (CELL * fine, CELL * fine))
    pen, size = ImageDraw.Draw(page), int(random.integers(8, 22))
    for row in range(int(random.integers(0, 10)), CELL, size + int(random.integers(2, 8))):
        letters = "".join(random.choice(list("abcdefghijklmnopqrstuvwxyz ABCDEFGHIJ 0123456789 .,-"), 60))
        pen.text((fine * int(random.integers(0, 12)), fine * row), letters, fill=255, font_size=fine * size)
    return np.asarray(page, np.float64) / 255


KINDS: tuple[Callable[[Random, int], Plane], ...] = (stripes, stripes, checks, dots, weave, front, words)


def cell(random: Random) -> Plane:
    """A pattern between two grey levels, some of it brighter towards one side."""
    fine = 1 if random.random() < 0.4 else FINE
    pattern = KINDS[random.integers(len(KINDS))](random, fine)
    pattern = pattern.reshape(CELL, fine, CELL, fine).mean((1, 3))
    low, high = random.uniform(0, 255, 2)
    shade = 1 + random.uniform(-0.4, 0.4) * np.linspace(-1, 1, CELL) * (random.random() < 0.5)
    return np.asarray((low + (high - low) * pattern) * shade)


def picture(number: int) -> Image.Image:
    """The same for the same number."""
    random = np.random.default_rng(number)
    cells = [[cell(random) for _ in range(SIDE // CELL)] for _ in range(SIDE // CELL)]
    return Image.fromarray(np.block(cells).clip(0, 255).round().astype(np.uint8))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=64)
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    for number in range(options.count):
        picture(number).save(options.folder / f"{number:03}.png")


if __name__ == "__main__":
    main()
