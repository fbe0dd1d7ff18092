"""Colour planes: lossless there and back, noise gains as stated, no fringes from transparent pixels."""

import numpy as np
import pytest
import torch

from nlrn.pixels.color import Planes, filled


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("colours", [1, 3])
def test_planes_there_and_back(colours: int, channels: int) -> None:
    planes, x = Planes(colours, channels), torch.rand(colours, 7, 5)
    split = planes.split(x)
    assert split.shape[1] == channels
    assert split.min() >= 0
    assert split.max() <= 1
    torch.testing.assert_close(planes.join(split), x, atol=1e-6, rtol=0)


def test_noise_in_the_planes_is_as_stated_and_independent() -> None:
    planes = Planes(3, 1)
    torch.manual_seed(0)
    noise = torch.randn(3, 300, 300)
    split = planes.split(noise).flatten(1) - planes.centre.view(3, 1)
    torch.testing.assert_close(split.std(1), torch.tensor(planes.gains), rtol=0.02, atol=0)
    correlation = torch.corrcoef(split)
    assert (correlation - torch.eye(3)).abs().max() < 0.02


def test_one_plane_is_that_of_the_split() -> None:
    planes, rgb = Planes(3, 1), np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    split = planes.split(torch.from_numpy(rgb).permute(2, 0, 1).float())[:, 0] - planes.centre
    for i in range(3):
        np.testing.assert_allclose(planes.one(rgb, i), split[i].numpy(), atol=1e-3)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_transparent_pixels_take_the_colour_beside_them(dtype: type) -> None:
    full = 1 if dtype is np.float32 else np.iinfo(dtype).max
    image = np.zeros((8, 12, 4), dtype)
    image[:, :6] = full  # opaque white on the left, transparent black on the right
    shown = filled(image[..., :-1], image[..., -1] > 0)
    assert shown.dtype == dtype
    assert (shown[:, :10] == full).all()
    assert (shown[:, 10:] == 0).all()


def test_opaque_pixels_are_never_touched() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (20, 20, 2), dtype=np.uint8)
    known = image[..., 1] > 0
    np.testing.assert_array_equal(filled(image[..., :1], known)[known], image[..., :1][known])
