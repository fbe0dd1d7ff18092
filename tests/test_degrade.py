"""Degradations against values computed by hand, against MATLAB's own output, and against scikit-image."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import color
from torch import Tensor

from nlrn.pixels.degrade import (
    add_noise,
    bicubic_weights,
    jpeg,
    noise_seed,
    resize_bicubic,
    rgb_to_y,
    rgb_to_ycbcr,
    round_8bit,
    ycbcr_to_rgb,
)

GOLDEN = Path(__file__).parents[2] / "shared" / "data" / "test" / "Set5_bicubic"
SIZES = st.integers(1, 90)


def read(path: Path) -> Tensor:
    return torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1).double() / 255


def slow_resize(row: list[float], after: int) -> list[float]:
    """One row resized straight from the definition: sum over all pixels of the repeated-border image."""
    before, out = len(row), []
    scale = after / before
    stretch = min(scale, 1.0)
    for i in range(after):
        centre = (i + 0.5) / scale - 0.5
        total = weight_sum = 0.0
        for j in range(-4 * before - 9, 5 * before + 9):
            x = abs(stretch * (centre - j))
            weight = 1.5 * x**3 - 2.5 * x**2 + 1 if x <= 1 else -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0
            total += weight * row[min(max(j, 0), before - 1)]
            weight_sum += weight
        out.append(total / weight_sum)
    return out


def test_halving_has_the_weights_of_the_kernel_at_odd_quarters() -> None:
    # the widened kernel at 1/4, 3/4, 5/4, 7/4: 111, 29, -9, -3 over 128, halved
    indices, weights = bicubic_weights(40, 20)
    taps = {int(j): float(w) for j, w in zip(indices[10], weights[10], strict=True) if w}
    half = [111 / 256, 29 / 256, -9 / 256, -3 / 256]
    expected = dict(zip(range(17, 25), [*half[::-1], *half], strict=True))
    assert taps == pytest.approx(expected, abs=1e-12)


def test_doubling_has_the_four_weights_of_keys() -> None:
    indices, weights = bicubic_weights(20, 40)
    taps = {int(j): float(w) for j, w in zip(indices[20], weights[20], strict=True) if w}
    assert taps == pytest.approx({8: -3 / 128, 9: 29 / 128, 10: 111 / 128, 11: -9 / 128}, abs=1e-12)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=24), st.integers(1, 40))
@settings(deadline=None, max_examples=40)
def test_resizing_one_axis_is_the_definition(row: list[float], after: int) -> None:
    image = torch.tensor(row, dtype=torch.float64)[None]
    expected = torch.tensor(slow_resize(row, after), dtype=torch.float64)
    torch.testing.assert_close(resize_bicubic(image, 1, after)[0], expected, atol=1e-12, rtol=0)
    torch.testing.assert_close(resize_bicubic(image.T, after, 1)[:, 0], expected, atol=1e-12, rtol=0)


@given(SIZES, SIZES, SIZES, SIZES)
@settings(deadline=None, max_examples=40)
def test_resizing_is_linear_in_both_axes_and_keeps_constants(h: int, w: int, height: int, width: int) -> None:
    batch = torch.rand(2, 3, h, w, dtype=torch.float64)
    out = resize_bicubic(batch, height, width)
    assert out.shape == (2, 3, height, width)
    torch.testing.assert_close(out[1, 2], resize_bicubic(batch[1, 2], height, width), atol=1e-12, rtol=0)
    separate = resize_bicubic(resize_bicubic(batch, height, w), height, width)
    torch.testing.assert_close(out, separate, atol=1e-12, rtol=0)
    flat = resize_bicubic(torch.full((h, w), 0.7), height, width)
    torch.testing.assert_close(flat, torch.full((height, width), 0.7))


def test_resizing_is_differentiable_and_not_lowered_by_autocast() -> None:
    image = torch.rand(1, 9, 10, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: resize_bicubic(x, 4, 13), image)
    single = image.detach().float()
    expected = resize_bicubic(single, 4, 13)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(resize_bicubic(single, 4, 13), expected)


@pytest.mark.skipif(not GOLDEN.is_dir(), reason="the golden files of MATLAB are not here")
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_low_resolution_files_of_matlab_are_reproduced(scale: int) -> None:
    differences, rounded_twice = [], []
    for path in sorted(GOLDEN.glob(f"x{scale}/*_HR.png")):
        high, low = read(path), read(path.with_name(path.name.replace("HR", "LR")))
        height, width = low.shape[1:]
        ours = round_8bit(resize_bicubic(high, height, width))
        differences.append(((ours - low) * 255).abs().flatten())
        # MATLAB resizes 8-bit images one axis after the other and rounds after each
        rows = round_8bit(resize_bicubic(high, height, high.shape[2]))
        rounded_twice.append(((round_8bit(resize_bicubic(rows, height, width)) - low) * 255).abs().flatten())
    assert len(differences) == 5
    assert (torch.cat(differences) < 1.5).double().mean() > 0.9999
    # what is left are exact halves, which x3 does not have
    assert (torch.cat(rounded_twice) > 0.5).double().mean() <= (0 if scale == 3 else 0.005)


def test_noise_is_pinned_for_ever() -> None:
    assert noise_seed("01.png", 25) == noise_seed("01.png", 25.0) == 2387317109
    assert len({noise_seed(n, s) for n in ("01.png", "02.png") for s in (15, 25, 50)}) == 6
    noise = add_noise(torch.zeros(2, 2, dtype=torch.float64), 1.0, 7).flatten().tolist()
    # RandomState(7).standard_normal, whose stream NumPy has frozen
    assert noise == pytest.approx([1.6905257, -0.46593737, 0.03282016, 0.40751628], abs=1e-7)


def test_noise_has_the_level_asked_for_and_is_not_clipped() -> None:
    image = torch.ones(3, 200, 200)
    noisy = add_noise(image, 25 / 255, 1)
    assert noisy.dtype == torch.float32
    assert float((noisy - image).std()) * 255 == pytest.approx(25, rel=0.01)
    assert float(noisy.max()) > 1.3
    assert torch.equal(noisy, add_noise(image, 25 / 255, 1))
    assert not torch.equal(noisy, add_noise(image, 25 / 255, 2))


def test_rounding_takes_halves_up_and_clips() -> None:
    levels = torch.tensor([-3.0, 0.49, 0.5, 1.5, 2.5, 254.49, 300.0], dtype=torch.float64)
    assert (round_8bit(levels / 255) * 255).tolist() == pytest.approx([0, 0, 1, 2, 3, 254, 255])


def test_ycbcr_is_that_of_scikit_image_and_inverts() -> None:
    rgb = torch.rand(2, 3, 7, 5, dtype=torch.float64)
    ours = rgb_to_ycbcr(rgb)
    expected = torch.from_numpy(color.rgb2ycbcr(rgb.numpy(), channel_axis=1)) / 255
    torch.testing.assert_close(ours, expected, atol=1e-12, rtol=0)
    torch.testing.assert_close(rgb_to_y(rgb), ours[:, :1], atol=1e-12, rtol=0)
    torch.testing.assert_close(ycbcr_to_rgb(ours), rgb, atol=1e-12, rtol=0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(rgb_to_ycbcr(rgb.float()).double(), expected, atol=1e-6, rtol=0)


def test_black_and_white_are_16_and_235() -> None:
    assert float(rgb_to_y(torch.zeros(3, 1, 1, dtype=torch.float64)) * 255) == pytest.approx(16)
    assert float(rgb_to_y(torch.ones(3, 1, 1, dtype=torch.float64)) * 255) == pytest.approx(235)


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_loses_more_at_lower_quality(channels: int) -> None:
    smooth = resize_bicubic(torch.rand(channels, 8, 8, generator=torch.Generator().manual_seed(0)), 64, 48)
    errors = [float((jpeg(smooth, quality) - smooth).abs().mean()) for quality in (95, 40, 5)]
    assert jpeg(smooth, 40).shape == smooth.shape
    assert 0 < errors[0] < 0.03
    assert errors[0] < errors[1] < errors[2]
