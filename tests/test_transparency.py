"""What transparency hides has no part in the result: not in the noise level, not at the edge."""

import numpy as np
import pytest

import nlrn


def picture(hidden: int | None) -> tuple[np.ndarray, np.ndarray]:
    """A clean disc [64, 64, 4] and a noisy one; the invisible colours around it are as inside, or ``hidden``."""
    rows, columns = np.mgrid[:64, :64]
    clean = np.stack([170 + 40 * np.sin(rows / 9), 160 + 30 * np.cos(columns / 11), 150 + 0.5 * rows], -1)
    alpha = np.clip((26 - np.hypot(rows - 32, columns - 32)) * 255 + 128, 0, 255)
    noisy = (clean + np.random.default_rng(0).normal(0, 20, clean.shape)).clip(0, 255)
    if hidden is not None:
        noisy[alpha == 0] = hidden
    return np.dstack([clean, alpha]), np.rint(np.dstack([noisy, alpha])).astype(np.uint8)


@pytest.mark.parametrize("hidden", [0, 255])
@pytest.mark.parametrize("sigma", [20, None])
def test_no_fringe_and_no_wrong_noise_level(hidden: int, sigma: float | None) -> None:
    clean, noisy = picture(hidden)
    restored = nlrn.denoise(noisy, sigma, channel_axis=-1, device="cpu")
    np.testing.assert_array_equal(restored[..., 3], noisy[..., 3])
    seen = clean[..., 3] == 255
    edge = seen & (np.hypot(*(np.mgrid[:64, :64] - 32)) > 23)
    error = restored[..., :3].astype(float) - clean[..., :3]
    assert np.sqrt(np.square(error[seen]).mean()) < 8  # of 20
    assert abs(error[edge].mean()) < 2


def test_an_enlarged_edge_does_not_darken() -> None:
    flat = np.full((24, 24, 4), 200, np.uint8)
    flat[..., 3] = 255
    flat[:, 12:] = 0  # transparent black
    large = nlrn.upscale(flat, 2, channel_axis=-1, device="cpu").astype(float)
    visible = large[..., 3] > 0
    assert np.abs(large[..., :3][visible] - 200).max() < 6
