"""``denoise`` and ``upscale`` on every kind of image: what comes in comes out, restored, and nonsense is refused."""

import logging

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import nlrn
from nlrn.config import Config
from nlrn.errors import ModelError
from nlrn.evaluation.metrics import psnr
from nlrn.network import NLRN
from nlrn.pixels.degrade import resize_bicubic


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    """A photograph, uint8 [H, W, 3]."""
    data = pytest.importorskip("skimage.data")
    picture: np.ndarray = data.astronaut()[:160, 140:300]
    return picture


def noisy(clean: np.ndarray, sigma: float) -> np.ndarray:
    full = 1.0 if clean.dtype.kind == "f" else np.iinfo(clean.dtype).max
    noise = np.random.default_rng(0).normal(0, sigma / 255 * full, clean.shape)
    values = clean + noise
    return values.astype(clean.dtype) if full == 1 else np.rint(values.clip(0, full)).astype(clean.dtype)


@pytest.mark.parametrize("sigma", [None, 25])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_noisy_photo_gets_better_by_decibels(photo, channels: int, sigma: float | None) -> None:
    clean = photo if channels == 3 else photo[..., 1]
    axis = -1 if channels == 3 else None
    degraded = noisy(clean, 25)
    restored = nlrn.denoise(degraded, sigma, channel_axis=axis)
    assert psnr(restored, clean, 255) > psnr(degraded, clean, 255) + 6.5


def test_a_clean_photo_comes_back_unharmed(photo) -> None:
    assert psnr(nlrn.denoise(photo, channel_axis=-1), photo, 255) > 45


def test_upscaling_beats_bicubic(photo) -> None:
    clean = photo[..., 1]
    whole = torch.from_numpy(clean)[None] / 255.0
    small = (resize_bicubic(whole, 80, 80)[0].numpy() * 255).round().clip(0, 255).astype(np.uint8)
    bicubic = resize_bicubic(torch.from_numpy(small)[None] / 255.0, 160, 160)[0].numpy() * 255
    assert psnr(nlrn.upscale(small, 2), clean, 255) > psnr(bicubic.round().clip(0, 255), clean, 255) + 1


@pytest.mark.parametrize("post_upsampling", [False, True])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_enlarged_colours_are_those_of_the_bicubic_enlargement(network, post_upsampling: bool, channels: int) -> None:
    """A network that adds nothing gives the bicubic enlargement, tiled or not, in every channel."""
    made = network(task="sr", noise_map=False, post_upsampling=post_upsampling)
    torch.nn.init.zeros_(made.tail.weight)
    torch.nn.init.zeros_(made.tail.bias)
    image = np.random.default_rng(0).integers(100, 156, (19, 22, channels)).astype(np.uint8)
    image[..., -1] = 255 if channels in (2, 4) else image[..., -1]
    planes = torch.from_numpy(image).permute(2, 0, 1) / 255.0
    expected = (resize_bicubic(planes, 57, 66).permute(1, 2, 0) * 255).round().clamp(0, 255).numpy()
    enlarged = nlrn.upscale(image, 3, channel_axis=-1, model=made)
    assert np.abs(enlarged - expected).max() <= 1  # a value midway between two levels may go either way
    assert np.abs(enlarged - expected).mean() < 0.01


@pytest.mark.parametrize(
    ("asked", "shape"),
    [
        ({"scale": 1.5}, (30, 36)),
        ({"scale": 2.2}, (44, 53)),
        ({"scale": 8}, (160, 192)),
        ({"width": 60}, (50, 60)),
        ({"height": 33}, (33, 40)),
        ({"width": 100, "height": 20}, (20, 100)),
    ],
    ids=str,
)
def test_any_size_is_made_from_the_next_above_that_networks_make(network, asked, shape) -> None:
    made = network(task="sr", noise_map=False, post_upsampling=True)
    y, x = np.mgrid[:20, :24]
    image = (128 + 60 * np.sin(x / 4 + y / 6)).astype(np.uint8)
    enlarged = nlrn.upscale(image, model=made, **asked)
    assert enlarged.shape == shape
    wanted = resize_bicubic(torch.from_numpy(image)[None] / 255.0, *shape)[0].numpy() * 255
    assert np.abs(enlarged - wanted)[8:-8, 8:-8].mean() < 40  # the same picture at that size; the network is random


def test_eight_times_is_four_times_and_then_twice(network) -> None:
    made = network(task="sr", noise_map=False, post_upsampling=True)
    image = np.random.default_rng(0).integers(0, 256, (9, 7, 3)).astype(np.uint8)
    twice = nlrn.upscale(nlrn.upscale(image, 4, channel_axis=-1, model=made), 2, channel_axis=-1, model=made)
    progress: list[float] = []
    at_once = nlrn.upscale(
        image, 8, channel_axis=-1, model=made, progress=lambda done, total: progress.append(done / total)
    )
    np.testing.assert_array_equal(at_once, twice)
    assert progress == sorted(progress)
    assert progress[-1] == 1


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "scale, or its width"),
        ({"scale": 2, "width": 60}, "scale, or its width"),
        ({"scale": 1}, "above 1"),
        ({"scale": 17}, "at most 16"),
        ({"width": 0}, "above 0"),
        ({"width": 10}, "24 x 20 cannot be enlarged to 10 x 8"),
        ({"width": 24, "height": 10}, "cannot be enlarged"),
        ({"height": 330}, "up to 16 times"),
    ],
    ids=str,
)
def test_a_size_that_cannot_be_made_is_refused(asked, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        nlrn.upscale(np.zeros((20, 24), np.uint8), **asked)


DTYPES = {"uint8": 1e-9, "uint16": 1 / 255, "float32": 1 / 255, "float64": 1 / 255, "float16": 1 / 255}


@settings(deadline=None, max_examples=25)
@given(
    st.sampled_from(list(DTYPES)),
    st.sampled_from([None, 1, 2, 3, 4]),
    st.integers(1, 23),
    st.integers(1, 23),
    st.sampled_from([2, 3, 4]),
)
def test_shape_and_dtype_are_kept(dtype: str, channels: int | None, height: int, width: int, scale: int) -> None:
    full = 1.0 if dtype.startswith("f") else np.iinfo(dtype).max
    shape = (height, width) if channels is None else (height, width, channels)
    image = (np.random.default_rng(0).random(shape) * full).astype(dtype)
    axis = None if channels is None else -1
    restored = nlrn.denoise(image, 10 / 255 * full, channel_axis=axis)
    assert (restored.dtype, restored.shape) == (image.dtype, image.shape)
    if channels in (2, 4):
        np.testing.assert_array_equal(restored[..., -1], image[..., -1])
    enlarged = nlrn.upscale(image, scale, channel_axis=axis)
    assert enlarged.dtype == image.dtype
    assert enlarged.shape == (height * scale, width * scale, *shape[2:])


def test_bit_depths_agree(photo) -> None:
    eight = noisy(photo[:64, :64], 20)
    sixteen = eight.astype(np.uint16) * 257
    a = nlrn.denoise(eight, 20, channel_axis=-1) / 255
    b = nlrn.denoise(sixteen, 20 * 257, channel_axis=-1) / 65535
    c = nlrn.denoise(eight / 255, 20 / 255, channel_axis=-1)
    assert np.abs(a - b).max() <= 0.51 / 255
    assert np.abs(b - c.clip(0, 1)).max() <= 1 / 65535


def test_the_channel_axis_may_be_anywhere(photo) -> None:
    image = noisy(photo[:40, :50], 20)
    last = nlrn.denoise(image, 20, channel_axis=-1)
    first = nlrn.denoise(image.transpose(2, 0, 1), 20, channel_axis=0)
    np.testing.assert_array_equal(first.transpose(1, 2, 0), last)


def test_pillow_images(photo) -> None:
    image = Image.fromarray(noisy(photo[:40, :50], 20))
    image.info["icc_profile"] = b"profile"
    restored = nlrn.denoise(image, 20)
    assert (restored.mode, restored.size, restored.info["icc_profile"]) == ("RGB", (50, 40), b"profile")
    np.testing.assert_array_equal(np.array(restored), nlrn.denoise(np.array(image), 20, channel_axis=-1))
    for mode, becomes in (("L", "L"), ("LA", "LA"), ("RGBA", "RGBA"), ("P", "RGB"), ("1", "L"), ("CMYK", "RGB")):
        assert nlrn.upscale(image.convert(mode), 2).mode == becomes


def test_tensors(photo) -> None:
    image = torch.from_numpy(noisy(photo[:40, :50], 20)).permute(2, 0, 1) / 255
    batch = torch.stack([image, image.flip(2)])
    restored = nlrn.denoise(batch, 20 / 255)
    assert restored.shape == batch.shape
    torch.testing.assert_close(restored[0], nlrn.denoise(image, 20 / 255))
    assert nlrn.upscale(image[:1], 3).shape == (1, 120, 150)


def test_transparency_leaves_no_dark_fringe() -> None:
    image = np.zeros((24, 24, 4), np.uint8)
    image[:, :12] = 255  # opaque white beside transparent black
    enlarged = nlrn.upscale(image, 2, channel_axis=-1)
    seen = enlarged[..., 3] > 0
    assert enlarged[..., :3][seen].min() > 245


@pytest.mark.parametrize("sigma", [-1, 0.01, 200, float("nan")])
def test_a_sigma_that_cannot_be_meant_is_refused(sigma: float) -> None:
    with pytest.raises(ValueError, match="cannot be meant"):
        nlrn.denoise(np.zeros((8, 8), np.uint8), sigma)


def test_sigma_is_in_the_units_of_the_image() -> None:
    for image, sigma in ((np.zeros((8, 8), np.uint16), 25), (np.zeros((8, 8)), 25)):
        with pytest.raises(ValueError, match="units of the image"):
            nlrn.denoise(image, sigma)


def test_no_noise_asked_for_changes_nothing(photo) -> None:
    np.testing.assert_array_equal(nlrn.denoise(photo, 0, channel_axis=-1), photo)


def test_the_estimate_is_said(photo, caplog) -> None:
    with caplog.at_level(logging.INFO, "nlrn"):
        nlrn.denoise(noisy(photo, 25), channel_axis=-1)
    said = next(record.args for record in caplog.records if "estimated" in record.message)
    assert isinstance(said, tuple)
    assert said[0] == pytest.approx(25, rel=0.15)


@pytest.mark.parametrize(
    ("image", "axis"),
    [
        (np.zeros((8, 8, 3), np.uint8), None),
        (np.zeros((8, 8), np.uint8), -1),
        (np.zeros((8, 8, 5), np.uint8), -1),
        (np.zeros((0, 8, 3), np.uint8), -1),
        (np.zeros((8, 8), np.int32), None),
        (np.zeros((2, 8, 8, 3), np.uint8), -1),
        ("photo.png", None),
        (torch.zeros(8, 8, dtype=torch.uint8), None),
    ],
)
def test_what_is_no_image_is_refused(image, axis) -> None:
    with pytest.raises(ValueError, match=r"image|array|tensor"):
        nlrn.denoise(image, 10, channel_axis=axis)


def test_models_are_for_their_task() -> None:
    with pytest.raises(ModelError, match="denoise-gray-lite"):
        nlrn.denoise(np.zeros((8, 8), np.uint8), model="sr-lite")


def test_a_network_for_colour_restores_gray_too(network) -> None:
    image = np.random.default_rng(0).random((12, 10))
    assert nlrn.denoise(image, 0.1, model=network(channels=3)).shape == (12, 10)


def test_a_network_for_one_level_restores_brightness_alone(network) -> None:
    made = network(noise_map=False)
    image = np.random.default_rng(0).random((12, 10, 3))
    change = nlrn.denoise(image, 0.1, channel_axis=-1, model=made) - image
    assert np.abs(change).max() > 1e-3
    np.testing.assert_allclose(change, change[..., :1].repeat(3, 2), atol=1e-5)


def test_a_large_image_is_tiled_without_a_trace() -> None:
    made = NLRN(Config(steps=2, filters=16, embedding=8, window=5, noise_map=True)).eval()
    torch.nn.init.normal_(made.tail.weight, std=0.05)
    image = np.random.default_rng(0).random((700, 1900)).astype(np.float32)
    whole = nlrn.denoise(image, 0.1, model=made)
    part = nlrn.denoise(image[:, 800:1000], 0.1, model=made)
    np.testing.assert_allclose(whole[:, 820:980], part[:, 20:-20], atol=1e-4)


@pytest.mark.parametrize("value", [0, 100, 255])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_flat_ground_is_enlarged_without_a_frame(value: int, scale: int) -> None:
    flat = np.full((40, 56, 3), value, np.uint8)
    enlarged = nlrn.upscale(flat, scale, channel_axis=-1)
    assert np.abs(enlarged.astype(int) - value).max() <= 1
