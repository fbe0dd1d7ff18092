"""PSNR and SSIM against scikit-image, an independent implementation, and against hand-computed values."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import metrics as theirs

from nlrn.evaluation.metrics import psnr, shave, ssim

RNG = np.random.default_rng(0)


def pair(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    reference = RNG.random(shape)
    return reference + 0.1 * RNG.standard_normal(shape), reference


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1.0, 255.0]))
@settings(deadline=None)
def test_psnr_is_that_of_scikit_image(height: int, width: int, peak: float) -> None:
    image, reference = pair((height, width))
    expected = theirs.peak_signal_noise_ratio(reference * peak, image * peak, data_range=peak)
    assert psnr(image * peak, reference * peak, peak) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("shape", [(11, 11), (11, 40), (64, 37), (3, 33, 32)])
@pytest.mark.parametrize("peak", [1.0, 255.0])
def test_ssim_is_that_of_scikit_image_with_the_papers_options(shape: tuple[int, ...], peak: float) -> None:
    image, reference = pair(shape)
    expected = theirs.structural_similarity(
        reference * peak,
        image * peak,
        data_range=peak,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        channel_axis=0 if len(shape) == 3 else None,
    )
    assert ssim(image * peak, reference * peak, peak) == pytest.approx(expected, abs=1e-9)


def test_8bit_images_are_not_compared_in_8_bit_arithmetic() -> None:
    black, white = np.zeros((12, 12), np.uint8), np.full((12, 12), 255, np.uint8)
    assert psnr(black, white, 255) == 0
    assert ssim(black, white, 255) == pytest.approx(0.0001, rel=1e-3)


def test_one_grey_level_is_48_decibels() -> None:
    reference = RNG.integers(0, 255, (20, 20), dtype=np.uint8)
    assert psnr(reference + 1, reference, 255) == pytest.approx(20 * math.log10(255))


def test_equal_images_are_perfect() -> None:
    image = RNG.random((20, 20))
    assert psnr(image, image) == math.inf
    assert ssim(image, image) == pytest.approx(1)


def test_shave() -> None:
    image = np.arange(20.0).reshape(1, 4, 5)
    assert shave(image, 1).tolist() == [[[6, 7, 8], [11, 12, 13]]]
    assert shave(image, 0).shape == (1, 4, 5)
    with pytest.raises(ValueError, match="nothing is left of 5 x 4 pixels"):
        shave(image, 2)


def test_errors_say_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="different shapes"):
        psnr(np.zeros((4, 4)), np.zeros((1, 4, 4)))
    with pytest.raises(ValueError, match="at least 11 x 11"):
        ssim(np.zeros((10, 30)), np.zeros((10, 30)))
