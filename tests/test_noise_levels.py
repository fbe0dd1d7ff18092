"""The levels of noise are found in white, coarse and compressed noise, and in clean pictures there is none."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

import nlrn
from nlrn.evaluation.metrics import psnr
from nlrn.pixels import noise_levels
from nlrn.pixels.noise_levels import noise_of
from nlrn.pixels.scene import Scene
from nlrn.pixels.tint import tint_of


def landscape(side: int = 256, seed: int = 0) -> np.ndarray:
    """A soft picture in colour with flat, sloping and textured parts, [side, side, 3] in 0 to 255."""
    random = np.random.default_rng(seed)
    page = Image.new("RGB", (side, side), (90, 120, 160))
    pen = ImageDraw.Draw(page)
    for _ in range(12):
        colour, (x, y), size = tuple(random.integers(40, 210, 3).tolist()), random.integers(0, side, 2), side // 4
        pen.ellipse([int(x) - size, int(y) - size, int(x) + size, int(y) + size // 2], fill=colour)
    return np.asarray(page.filter(ImageFilter.GaussianBlur(1.5))).astype(np.float64)


def grain(luma: float, chroma: float, side: int = 256, seed: int = 1, coarse: float = 0.7) -> np.ndarray:
    """Noise of a camera: luma one pixel coarse or white, chroma four, [side, side, 3] in RGB."""
    random = np.random.default_rng(seed)
    planes = []
    for level, blur in ((luma, coarse), (chroma, 2.5), (chroma, 2.5)):
        made = _blurred(random.standard_normal((side, side)), blur)
        planes.append(level * made / made.std())
    y, cb, cr = planes
    return np.stack([y + 1.402 * cr, y - 0.344 * cb - 0.714 * cr, y + 1.772 * cb], 2)


def _blurred(plane: np.ndarray, sigma: float) -> np.ndarray:
    along = np.fft.fftfreq(len(plane))
    keep = np.exp(-2 * (np.pi * sigma) ** 2 * (along[:, None] ** 2 + along**2))
    return np.fft.ifft2(np.fft.fft2(plane) * keep).real


def in_8_bits(image: np.ndarray) -> np.ndarray:
    return image.clip(0, 255).round().astype(np.uint8)


def as_jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality, subsampling="4:2:0")
    return np.asarray(Image.open(buffer))


@pytest.mark.parametrize(("luma", "chroma"), [(4, 3), (8, 6)])
@pytest.mark.parametrize("quality", [None, 90])
def test_coarse_noise_is_found(luma: float, chroma: float, quality: int | None) -> None:
    noisy = in_8_bits(landscape() + grain(luma, chroma))
    noise = nlrn.estimate_noise(noisy if quality is None else as_jpeg(noisy, quality), channel_axis=-1)
    assert not noise.white
    assert 0.6 < noise.luma / luma < 1.7
    assert 0.6 < noise.chroma / chroma < 2.2


@pytest.mark.parametrize("quality", [75, 85, 95])
def test_white_noise_saved_as_jpeg_is_restored_nearly_as_well_as_can_be(quality: int) -> None:
    texture = 40 * np.sin(np.arange(256)[:, None] * 0.9) * np.sin(np.arange(256) * 0.7) * (landscape()[..., 1] > 110)
    clean = landscape() + texture[..., None]
    noise = np.random.default_rng(3).normal(0, 15, (256, 256, 3))
    noisy = as_jpeg(in_8_bits(clean + noise), quality)
    assert not nlrn.estimate_noise(noisy, channel_axis=-1).white

    def reached(sigma: float | None) -> float:
        return psnr(np.asarray(nlrn.denoise(noisy, sigma, channel_axis=-1)), clean, 255)

    assert reached(None) > max(map(reached, (7, 10, 15, 22, 30))) - 0.7


@pytest.mark.parametrize("quality", [90, 95, 98])
@pytest.mark.parametrize("sigma", [15, 25])
def test_white_noise_saved_as_jpeg_goes_to_the_models_for_white_noise(quality: int, sigma: float) -> None:
    noise = np.random.default_rng(quality).normal(0, sigma, (256, 256, 3))
    read = noise_of(as_jpeg(in_8_bits(landscape() + noise), quality))
    assert read.together
    assert read.sigma == pytest.approx(1.1 * sigma, rel=0.1)  # JPEG takes something of the picture too
    assert not read.noise.white


@pytest.mark.parametrize("quality", [90, 95, 98])
@pytest.mark.parametrize(("luma", "chroma"), [(5, 4), (10, 4), (10, 8)])
@pytest.mark.parametrize("coarse", [0.0, 0.7])
def test_grain_and_blotches_saved_as_jpeg_do_not(quality: int, luma: float, chroma: float, coarse: float) -> None:
    assert not noise_of(as_jpeg(in_8_bits(landscape() + grain(luma, chroma, coarse=coarse)), quality)).together


@pytest.mark.parametrize("sigma", [10, 25, 50])
def test_white_noise_is_known_as_white(sigma: float) -> None:
    noise = np.random.default_rng(2).normal(0, sigma, (256, 256, 3))
    assert nlrn.estimate_noise(in_8_bits(landscape() + noise), channel_axis=-1).white


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_levels_are_in_the_units_of_the_image(kind: type) -> None:
    noisy = in_8_bits(landscape() + grain(6, 5))
    full = 1 if kind is np.float32 else np.iinfo(kind).max
    found = nlrn.estimate_noise((noisy / 255 * full).astype(kind), channel_axis=-1)
    assert found.luma / full * 255 == pytest.approx(nlrn.estimate_noise(noisy, channel_axis=-1).luma, rel=0.01)


def test_a_drawing_has_no_noise() -> None:
    page = Image.new("RGB", (256, 256), "white")
    pen = ImageDraw.Draw(page)
    pen.rectangle([30, 40, 150, 200], fill=(200, 30, 30))
    for row in range(20):
        pen.text((10, 12 * row), "The quick brown fox jumps over the lazy dog", fill="black")
    found = nlrn.estimate_noise(page)
    assert found is None or max(found.luma, found.chroma) < 1.25


def test_a_plain_page_and_a_tiny_picture_tell_nothing() -> None:
    assert nlrn.estimate_noise(np.full((300, 300), 77, np.uint8)) is None
    assert nlrn.estimate_noise(np.random.default_rng(0).integers(0, 255, (40, 40)).astype(np.uint8)) is None


def test_gray_has_no_chroma_noise() -> None:
    noisy = in_8_bits((landscape() + grain(6, 0)).mean(2))
    assert nlrn.estimate_noise(noisy).chroma == 0


def test_gray_stored_as_colour_is_seen_and_sepia_too() -> None:
    gray = in_8_bits(landscape().mean(2) + np.random.default_rng(0).normal(0, 12, (256, 256)))
    assert tint_of(Scene(gray[..., None].repeat(3, 2))).tolist() == [1, 1, 1]
    sepia = in_8_bits(gray[..., None] * np.array([1.0, 0.85, 0.6]))
    red, green, blue = tint_of(Scene(sepia))
    assert red > green > blue > 0.5
    assert green / red == pytest.approx(0.85, abs=0.02)


def test_the_same_noise_laid_over_colours_is_seen() -> None:
    laid = landscape() + np.random.default_rng(0).normal(0, 12, (256, 256, 1))
    assert tint_of(Scene(in_8_bits(laid))) == pytest.approx([1, 1, 1], abs=0.05)


def test_colour_with_noise_of_its_own_is_not_gray() -> None:
    white = np.random.default_rng(0).normal(0, 10, (256, 256, 3))
    assert tint_of(Scene(in_8_bits(landscape() + white))) is None
    assert tint_of(Scene(in_8_bits(landscape() + grain(5, 3)))) is None
    assert tint_of(Scene(in_8_bits(landscape()))) is None


@pytest.mark.parametrize(("level", "left"), [(0.8, True), (1.3, True), (2.5, False), (6.0, False)])
def test_white_noise_too_weak_to_be_seen_is_left_alone(level: float, left: bool, monkeypatch) -> None:
    """Whatever the networks say of it; patches of a flat picture tell how strong it is."""
    said = noise_levels.Reading(noise_levels.Noise(9.0, 9.0, True), 9.0, 9.0, 9.0, together=True)
    monkeypatch.setattr(noise_levels, "_read", lambda features: said)
    noisy = 0.5 + np.random.default_rng(0).normal(0, level / 255, (128, 128, 3))
    read = noise_levels.noise_of(noisy.astype(np.float32))
    assert (read == noise_levels._NOTHING) == left
    if not left:
        assert read.noise.luma < 1.2 * level / 255
        assert read.noise.white
