"""What JPEG left in pixels is read from them, at any place of its blocks; where it never was, nothing is found."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import data

from nlrn.pixels.color import LUMA
from nlrn.pixels.compression import compression_level, standard_steps
from nlrn.pixels.traces import coarseness_of

PICTURES = {"camera": data.camera()[:256, :256], "astronaut": data.astronaut()[:200, 100:330]}


def read_again(pixels: np.ndarray, quality: int, **how: object) -> tuple[np.ndarray, float]:
    """What is read of a file, its brightness, and the level that its table tells of."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, **how)
    with Image.open(buffer) as file:
        read = np.asarray(file)
        return (read if read.ndim == 2 else read @ LUMA), compression_level(file.quantization[0])


def level(coarseness: float) -> float:
    return compression_level((coarseness * standard_steps()[0]).clip(1, 255))


@pytest.mark.parametrize("name", list(PICTURES))
@pytest.mark.parametrize("quality", [8, 15, 30, 50, 65])
@pytest.mark.parametrize("start", [(0, 0), (3, 5)])
def test_the_steps_are_read_from_the_pixels(name: str, quality: int, start: tuple[int, int]) -> None:
    luma, told = read_again(PICTURES[name], quality)
    assert level(coarseness_of(luma[start[0] :, start[1] :])) == pytest.approx(told, rel=0.07)


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
def test_colours_kept_at_half_the_resolution_do_no_harm(subsampling: str) -> None:
    luma, told = read_again(PICTURES["astronaut"], 40, subsampling=subsampling)
    assert level(coarseness_of(luma)) == pytest.approx(told, rel=0.07)


@pytest.mark.parametrize("name", ["cat", "coffee", "chelsea", "checkerboard", "horse", "logo", "text", "moon"])
def test_pictures_that_were_hardly_compressed_show_nothing(name: str) -> None:
    pixels = getattr(data, name)()
    pixels = 255 * pixels.astype(np.uint8) if pixels.dtype == bool else pixels
    luma = pixels if pixels.ndim == 2 else pixels[..., :3] @ LUMA
    assert coarseness_of(luma) < 0.4


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_drawings_of_flat_parts_on_any_grid_show_nothing(seed: int) -> None:
    random = np.random.default_rng(seed)
    canvas = np.full(random.integers(48, 300, 2), 230.0)
    for _ in range(random.integers(1, 40)):
        grid = random.choice([1, 2, 4, 8, 16])
        top, left = (random.integers(0, side) // grid * grid for side in canvas.shape)
        height, width = grid * random.integers(1, 9, 2)
        canvas[top : top + height, left : left + width] = random.integers(0, 256)
    assert coarseness_of(canvas) == 0


@pytest.mark.parametrize("level", [2, 10, 40])
def test_noise_shows_nothing_and_hides_what_was_there(level: float) -> None:
    noise = np.random.default_rng(0).normal(0, level, (256, 256))
    assert coarseness_of(128 + noise) == 0
    luma, _ = read_again(PICTURES["camera"], 90)
    assert coarseness_of(np.rint(luma + noise)) == 0


@pytest.mark.parametrize("shape", [(1, 1), (23, 300), (24, 24), (25, 31)])
def test_small_pictures_are_not_judged_by_chance(shape: tuple[int, int]) -> None:
    assert coarseness_of(np.random.default_rng(1).integers(0, 256, shape)) == 0
    assert coarseness_of(np.zeros(shape, np.uint8)) == 0
