"""Noise that was cut off at black and white: its level is found, and what it did to the mean is undone."""

import numpy as np
import pytest
import torch

import nlrn
from nlrn.pixels.clipping import Clipping, mean_of_clipped
from nlrn.pixels.color import Planes
from nlrn.pixels.noise import estimate_sigma
from nlrn.pixels.scene import Scene

LEVELS = np.linspace(0, 1, 9)


def noisy(clean: np.ndarray, sigma: float, seed: int = 0) -> np.ndarray:
    """White noise on a picture from 0 to 255, as a file of 8 bits keeps it."""
    made = clean + np.random.default_rng(seed).normal(0, sigma, clean.shape)
    return made.clip(0, 255).round().astype(np.uint8)


def night(side: int = 96, *, colours: int = 1) -> np.ndarray:
    """A black sky over hills, with a lamp that is white; [side, side] or [side, side, colours]."""
    y, x = np.mgrid[:side, :side] / side
    picture = np.clip(220 * (y - 0.6 - 0.1 * np.sin(7 * x)), 0, 60)
    picture[(y - 0.3) ** 2 + (x - 0.7) ** 2 < 0.02] = 255
    return picture if colours == 1 else np.stack([picture * part for part in (1.0, 0.8, 0.6)], 2)


def decibels(image: np.ndarray, clean: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.square(image - clean).mean()))


@pytest.mark.parametrize("sigma", [0.01, 0.1, 0.3])
def test_the_mean_of_what_is_left(sigma: float) -> None:
    places = np.linspace(-8, 8, 100_001)
    density = np.exp(-(places**2) / 2)
    for level in LEVELS:
        wanted = ((level + sigma * places).clip(0, 1) * density).sum() / density.sum()
        assert float(mean_of_clipped(torch.tensor(level), sigma)) == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("sigma", [2, 10, 25, 60])
def test_a_mean_over_many_pixels_is_moved_back(sigma: float) -> None:
    """Where a network returns the mean of what was cut off, the level that it had comes back."""
    for level in 255 * LEVELS:
        pixels = noisy(np.full((120, 120, 1), level), sigma)
        mean = torch.full((1, 120, 120), float(pixels.mean()) / 255)
        back = Clipping(Scene(pixels), [sigma / 255]).undone(mean, slice(0, 120), slice(0, 120))
        assert abs(float(back[:, 10:-10, 10:-10].mean()) * 255 - level) < 0.3 + 0.04 * sigma


def test_highlights_without_cut_noise_stay_as_they_are() -> None:
    """A camera's noise is weak where it is bright, whatever it is said to be."""
    bright = noisy(np.full((64, 64, 1), 249.0), 1.0)
    made = torch.full((1, 64, 64), 249 / 255)
    assert torch.equal(Clipping(Scene(bright), [12 / 255]).undone(made, slice(0, 64), slice(0, 64)), made)
    # nor are the surroundings of what is burnt out made brighter, but for the nearest pixels
    bright[:, 32:] = 255
    back = Clipping(Scene(bright), [12 / 255]).undone(made, slice(0, 64), slice(0, 64))
    assert torch.equal(back[..., :28], made[..., :28])


def test_an_even_background_has_no_noise_whatever_is_said() -> None:
    """What is dark on black and bright on white stays as it is, wherever all around is even."""
    drawn = np.zeros((96, 96, 1), np.uint8)
    drawn[:, 48:] = 255
    drawn[20, 20], drawn[20, 76] = 12, 243  # faint specks
    made = Scene(drawn).tensor(slice(0, 96), slice(0, 96))
    back = Clipping(Scene(drawn), [25 / 255]).undone(made, slice(0, 96), slice(0, 96))
    assert (back - made).abs().max() * 255 < 1


def test_pieces_are_as_the_whole() -> None:
    scene = Scene(noisy(night(colours=3), 30))
    clipping = Clipping(scene, [30 / 255] * 3)
    made = torch.rand(3, 96, 96, generator=torch.Generator().manual_seed(0))
    whole = clipping.undone(made, slice(0, 96), slice(0, 96))
    for rows in (slice(0, 40), slice(40, 96)):
        for cols in (slice(0, 3), slice(3, 60), slice(60, 96)):
            assert torch.equal(clipping.undone(made[:, rows, cols], rows, cols), whole[:, rows, cols])


@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize("known", [True, False])
def test_a_night_is_dark_again(monkeypatch: pytest.MonkeyPatch, colours: int, known: bool) -> None:
    clean = night(colours=colours)
    pixels, axis = noisy(clean, 25), None if colours == 1 else -1
    sigma = 25 if known else None
    restored = nlrn.denoise(pixels, sigma, channel_axis=axis)
    monkeypatch.setattr(Clipping, "undone", lambda self, colours, rows, cols: colours)
    before = nlrn.denoise(pixels, sigma, channel_axis=axis)
    assert decibels(restored, clean) > decibels(before, clean) + 3
    sky = clean == 0
    assert restored[sky].mean() < 0.3 * before[sky].mean()


@pytest.mark.parametrize("kind", [np.uint16, np.float32, np.float64])
def test_white_is_cut_off_in_every_type(kind: type) -> None:
    full = 65535 if kind == np.uint16 else 1.0
    pixels = noisy(night(), 25)
    made = nlrn.denoise((pixels / 255 * full).astype(kind), 25 / 255 * full)
    assert np.abs(made / full * 255 - nlrn.denoise(pixels, 25)).max() < 1.5


def test_what_was_not_cut_off_is_not_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Floats go beyond black, and their mean is right as it is."""
    clean = night().astype(np.float32) / 255
    loose = clean + np.random.default_rng(0).normal(0, 0.1, clean.shape).astype(np.float32)
    made = nlrn.denoise(loose, 0.1, data_range=1)
    monkeypatch.setattr(Clipping, "undone", lambda self, colours, rows, cols: colours)
    assert np.array_equal(made, nlrn.denoise(loose, 0.1, data_range=1))


def test_the_noise_of_colours_from_that_of_planes() -> None:
    sigmas = torch.tensor([0.1, 0.2, 0.3])
    opponent = Planes(3, 1)
    noise = torch.randn(3, 200, 200, generator=torch.Generator().manual_seed(0)) * 0.2
    levels = opponent.split(noise).std((1, 2, 3)).tolist()
    assert opponent.noise_of_colours(levels) == pytest.approx([0.2] * 3, rel=0.02)
    assert Planes(3, 3).noise_of_colours(sigmas.tolist()) == pytest.approx(sigmas.tolist())
    assert Planes(1, 3).noise_of_colours([0.2] * 3) == pytest.approx([0.2])
    assert Planes(1, 1).noise_of_colours([0.2]) == pytest.approx([0.2])
    tint = np.array([1.0, 0.5, 2.0], np.float32)
    assert Planes(3, 1, tint).noise_of_colours([0.1]) == pytest.approx((0.1 * tint).tolist(), rel=1e-4)


@pytest.mark.parametrize("sigma", [2, 5, 15, 30, 50])
@pytest.mark.parametrize("white", [False, True])
def test_the_level_is_found_where_nearly_all_is_black_or_white(sigma: float, white: bool) -> None:
    sky, random = np.zeros((200, 200)), np.random.default_rng(1)
    sky[random.integers(0, 200, 60), random.integers(0, 200, 60)] = random.integers(40, 255, 60)
    pixels = noisy(255 - sky if white else sky, sigma)
    assert estimate_sigma(pixels) == pytest.approx(sigma, rel=0.08, abs=0.4)
    assert estimate_sigma(np.round(sky)) == 0
