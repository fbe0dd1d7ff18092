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


@pytest.mark.parametrize(("scale", "kind"), [(2, np.uint8), (3, np.uint16), (4, np.float32), (1.5, np.uint8)])
def test_the_network_sharpens_transparency_where_asked(scale: float, kind: type) -> None:
    """A disc that is all there or not there at all, made smaller by means of pixels."""
    side, by, most = 24 * 12, 12, np.iinfo(kind).max if np.issubdtype(kind, np.integer) else 1
    disc = np.hypot(*(np.mgrid[:side, :side] - side / 2 + 0.5)) < side * 0.3
    small = disc.reshape(side // by, by, side // by, by).mean((1, 3)) * most
    cut = np.full((*small.shape, 4), most // 2 if most > 1 else 0.5, kind)
    cut[..., 3] = small if kind is np.float32 else np.rint(small)
    plain = nlrn.upscale(cut, scale, channel_axis=-1, device="cpu")
    sharp = nlrn.upscale(cut, scale, channel_axis=-1, device="cpu", sharpen_alpha=True)
    np.testing.assert_array_equal(sharp[..., :3], plain[..., :3])
    height = len(sharp)
    true = disc.reshape(height, side // height, height, side // height).mean((1, 3)) * most
    assert np.square(sharp[..., 3] - true).mean() < 0.9 * np.square(plain[..., 3] - true).mean()
    far = np.abs(np.hypot(*(np.mgrid[:height, :height] - height / 2 + 0.5)) - 0.3 * height) > 3 * scale
    assert set(np.unique(sharp[..., 3][far])) == {0, most}  # what is opaque or empty stays so


def test_a_picture_without_transparency_is_enlarged_the_same() -> None:
    gray = np.random.default_rng(0).integers(0, 255, (20, 20)).astype(np.uint8)
    np.testing.assert_array_equal(nlrn.upscale(gray, 2, sharpen_alpha=True), nlrn.upscale(gray, 2))
