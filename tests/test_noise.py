"""The estimate of the noise, measured: on synthetic images, on scikit-image's, and on the benchmarks if present."""

import functools
import io
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from skimage import color, data

from nlrn.pixels import noise
from nlrn.pixels.noise import estimate_sigma

SHARED = Path(__file__).parents[2] / "shared" / "data"
Plane = npt.NDArray[np.float64]


@functools.cache
def photographs() -> list[Plane]:
    """Parts of seven photographs that come with scikit-image, gray, 0 to 255."""
    coloured = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]
    gray = [data.camera(), data.coins(), data.moon()]
    planes = [255 * color.rgb2gray(image) for image in coloured] + [image.astype(np.float64) for image in gray]
    return [plane[:300, -300:] for plane in planes]


def noisy(plane: Plane, sigma: float, *, clip: bool = False, seed: int = 0) -> Plane:
    result = plane + sigma * np.random.default_rng(seed).standard_normal(plane.shape)
    return np.clip(np.round(result), 0, 255) if clip else result


def cartoon(size: int = 256) -> Plane:
    """Flat areas with hard edges: what a drawing program makes."""
    rows, columns = np.mgrid[:size, :size]
    plane = np.full((size, size), 200.0)
    plane[(rows - 90) ** 2 + (columns - 80) ** 2 < 3000] = 60
    plane[150:220, 100:230] = 120
    plane[rows + columns > 420] = 30
    return plane


@pytest.mark.parametrize("sigma", [0.5, 5.0, 25.0, 75.0])
@pytest.mark.parametrize("size", [24, 48, 128, 512])
def test_pure_noise(size: int, sigma: float) -> None:
    found = [estimate_sigma(noisy(np.zeros((size, size)), sigma, seed=seed)) for seed in range(8)]
    assert np.mean(found) == pytest.approx(sigma, rel=0.1 if size < 100 else 0.02)
    assert np.std(found) < (0.1 if size < 100 else 0.02) * sigma


def test_units_are_those_of_the_plane() -> None:
    plane = noisy(np.zeros((100, 120)), 10) + 100
    expected = estimate_sigma(plane)
    assert estimate_sigma(plane / 255) == pytest.approx(expected / 255)
    assert estimate_sigma((plane * 257).astype(np.uint16)) == pytest.approx(257 * expected, rel=1e-3)
    assert estimate_sigma(plane.astype(np.float32)) == pytest.approx(expected, rel=1e-4)
    assert estimate_sigma(-plane) == pytest.approx(expected)


@pytest.mark.parametrize("sigma", [2, 10, 25, 50])
@pytest.mark.parametrize("clip", [False, True])
def test_photographs(sigma: int, clip: bool) -> None:
    found = [estimate_sigma(noisy(p, sigma, clip=clip, seed=n)) for n, p in enumerate(photographs())]
    # Clipping takes noise away where it is strong: the picture is then less noisy than the figure says.
    low = 0.75 if clip and sigma >= 35 else 0.93
    assert min(found) > low * sigma - 0.3
    assert max(found) < 1.05 * sigma + 1


def test_clean_photographs() -> None:
    assert max(estimate_sigma(plane) for plane in photographs()) < 2.5


@pytest.mark.parametrize("quality", [98, 90, 75, 50])
def test_clean_jpegs(quality: int) -> None:
    for plane in photographs():
        file = io.BytesIO()
        Image.fromarray(plane.astype(np.uint8)).save(file, "JPEG", quality=quality)
        assert estimate_sigma(np.asarray(Image.open(file))) < 2


def test_drawings_and_flat_planes_are_clean() -> None:
    assert estimate_sigma(cartoon()) == 0
    assert estimate_sigma(np.full((64, 64), 7, np.uint8)) == 0
    assert estimate_sigma(data.checkerboard()) == 0
    rows, columns = np.mgrid[:200, :300]
    assert estimate_sigma(rows * 0.4 + columns * 0.3) < 0.1


def test_text_is_clean() -> None:
    """White paper is at the end of the range, and is still the larger part of the picture."""
    page = np.full((200, 300), 255.0)
    page[20::12, 20:280:3] = 0
    page[21::12, 20:280:3] = 90
    assert estimate_sigma(page) == 0


def test_drawing_with_noise() -> None:
    assert estimate_sigma(noisy(cartoon(), 15)) == pytest.approx(15, abs=0.5)


@pytest.mark.parametrize("level", [0, 255])
def test_saturated_half_does_not_count_as_clean(level: int) -> None:
    plane = noisy(np.full((200, 300), 120.0), 12, clip=True)
    plane[:, 140:] = level
    assert estimate_sigma(plane) == pytest.approx(12, abs=0.5)
    plane[:, 40:] = level  # and still if little is left of the rest
    assert estimate_sigma(plane) == pytest.approx(12, abs=1)


def test_gradients_limit_is_what_it_says() -> None:
    patches = np.random.default_rng(0).standard_normal((400_000, 5, 5))
    assert np.mean(noise._gradients(patches) < noise._GRADIENT_LIMIT) == pytest.approx(0.99, abs=5e-4)


@pytest.mark.parametrize("shape", [(1, 1), (4, 500), (5, 5), (500, 3), (0, 9), (20, 20)])
def test_too_small_to_tell(shape: tuple[int, int]) -> None:
    assert estimate_sigma(noisy(np.zeros(shape), 20)) == 0


@pytest.mark.parametrize("shape", [(9, 9, 3), (9,), ()])
def test_a_plane_has_two_axes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="two axes"):
        estimate_sigma(np.zeros(shape))


def test_not_a_number() -> None:
    plane = np.zeros((300, 300), np.float32)
    for value in (np.nan, np.inf, -np.inf):
        plane[150, 150] = value
        with pytest.raises(ValueError, match="NaN"):
            estimate_sigma(plane)


def test_large_plane_is_quick() -> None:
    """24 megapixels within three seconds, whatever else the machine does."""
    tile = noisy(np.full((500, 500), 128.0), 10, clip=True).astype(np.uint8)
    plane = np.tile(tile, (8, 12))
    start = time.process_time()
    assert estimate_sigma(plane) == pytest.approx(10, abs=0.3)
    assert time.process_time() - start < 3


@pytest.mark.skipif(not SHARED.is_dir(), reason="the benchmark images are not here")
@pytest.mark.parametrize("sigma", [0, 5, 25])
def test_benchmarks(sigma: int) -> None:
    files = sorted(SHARED.glob("test/Set12/*.png")) + sorted(SHARED.glob("train/Train400/*.png"))[::40]
    planes = [np.asarray(Image.open(file).convert("L"), np.float64) for file in files]
    assert len(planes) >= 20
    errors = np.array([estimate_sigma(noisy(p, sigma, seed=n)) - sigma for n, p in enumerate(planes)])
    assert abs(errors.mean()) < (1 if sigma == 0 else 0.35)
    assert errors.std() < 0.8
