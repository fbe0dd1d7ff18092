"""Photographs lose grain and blotches without a flag; gray stays gray; strength says how much."""

import logging

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

import nlrn
from nlrn.evaluation.metrics import psnr
from nlrn.inference import photograph
from nlrn.inference.choice import choose
from nlrn.inference.fused import FusedNLRN
from nlrn.inference.photograph import Levels, restored_photograph
from nlrn.network import NLRN
from nlrn.pixels.degradations.grain import camera_noise
from nlrn.pixels.scene import Scene


@pytest.fixture(scope="module")
def clean() -> np.ndarray:
    """A soft picture in colour, uint8 [192, 192, 3]."""
    y, x = np.mgrid[:192, :192] / 192
    edges = np.sign(np.sin(9 * x + 4 * y)) * 40
    picture = np.stack([120 + edges + 60 * x, 110 + edges * 0.5 + 70 * y, 130 - edges * 0.3 + 30 * x * y], 2)
    return np.asarray(Image.fromarray(picture.clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(1.2)))


@pytest.fixture(scope="module")
def noisy(clean: np.ndarray) -> np.ndarray:
    tensor = torch.from_numpy(clean.copy()).permute(2, 0, 1)[None] / 255
    noise = camera_noise(tensor, torch.tensor([5 / 255]), torch.tensor([5 / 255]), torch.Generator().manual_seed(2))
    return ((tensor + noise)[0].permute(1, 2, 0).numpy() * 255).round().clip(0, 255).astype(np.uint8)


def test_a_photograph_gets_better_by_decibels_with_no_flag(
    clean: np.ndarray, noisy: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "nlrn"):
        restored = nlrn.denoise(noisy, channel_axis=-1)
    assert psnr(restored, clean, 255) > psnr(noisy, clean, 255) + 3
    assert any("grain of about" in r.getMessage() and "denoise-photo" in r.getMessage() for r in caplog.records)


def test_strength_goes_from_nothing_to_smooth(noisy: np.ndarray) -> None:
    assert np.array_equal(nlrn.denoise(noisy, channel_axis=-1, strength=0), noisy)
    changes = [
        np.abs(nlrn.denoise(noisy, channel_axis=-1, strength=s).astype(float) - noisy).mean() for s in (0.3, 1, 2)
    ]
    assert changes == sorted(changes)
    with pytest.raises(ValueError, match="from 0 to 2"):
        nlrn.denoise(noisy, channel_axis=-1, strength=3)


def test_white_noise_goes_to_the_models_for_it(clean: np.ndarray) -> None:
    white = clean + np.random.default_rng(0).normal(0, 25, clean.shape)
    assert choose(Scene(white.clip(0, 255).round().astype(np.uint8))).model is None


def test_gray_stored_as_colour_is_restored_as_gray_is(clean: np.ndarray) -> None:
    gray = (clean.mean(2) + np.random.default_rng(0).normal(0, 20, clean.shape[:2])).clip(0, 255).round()
    gray = gray.astype(np.uint8)
    alone = nlrn.denoise(gray)
    stored = nlrn.denoise(gray[..., None].repeat(3, 2), channel_axis=-1)
    assert np.ptp(stored.astype(int), axis=2).max() <= 1
    assert np.abs(stored[..., 0].astype(int) - alone).mean() < 1


def test_transparency_stays_as_it_is(noisy: np.ndarray) -> None:
    alpha = np.full((*noisy.shape[:2], 1), 200, np.uint8)
    restored = nlrn.denoise(np.concatenate([noisy, alpha], 2), channel_axis=-1)
    assert (restored[..., 3] == 200).all()
    assert np.abs(restored[..., :3].astype(int) - nlrn.denoise(noisy, channel_axis=-1)).max() <= 1


@pytest.mark.parametrize("size", [(64, 96), (63, 97)])
def test_pieces_of_chroma_are_those_of_the_whole(network, size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (*size, 3)).astype(np.uint8)
    fused = FusedNLRN(network())
    chroma = photograph.Chroma(fused, pixels, 5 / 255, False)
    whole = chroma.part(slice(0, size[0]), slice(0, size[1]))
    part = chroma.part(slice(22, 41), slice(33, 80))
    assert whole.shape == (2, *size)
    assert torch.allclose(part, whole[:, 22:41, 33:80], atol=1e-5)


def test_what_a_network_leaves_alone_comes_back(noisy: np.ndarray) -> None:
    network = NLRN(nlrn.Config(steps=2, filters=8, embedding=4, window=5, noise_map=True)).eval()  # the identity
    out = np.empty(noisy.shape, np.float32)
    for rows, cols, restored in restored_photograph(
        FusedNLRN(network), noisy, Levels(3 / 255, 1e-9), ensemble=False, progress=None
    ):
        out[rows, cols] = restored.permute(1, 2, 0).numpy()
    assert np.abs(out * 255 - noisy).max() < 0.01
