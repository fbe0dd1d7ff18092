"""Whoever calls: every kind of array, tensor and Pillow image, in any state of torch, gives the obvious result."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import nlrn
from nlrn.errors import ModelError, NoiseWarning
from nlrn.evaluation.metrics import psnr
from nlrn.pixels.degrade import resize_bicubic

SIGMA = 20


def scene(size: int = 64) -> np.ndarray:
    """Gray levels 0..255: a ramp, discs and bars."""
    y, x = np.mgrid[:size, :size].astype(float)
    levels = 60 + 90 * x / size + 25 * np.sin(y / 9) * np.sin(x / 13)
    levels[(y - size * 0.35) ** 2 + (x - size * 0.3) ** 2 < (size * 0.18) ** 2] = 210
    levels[(y - size * 0.7) ** 2 + (x - size * 0.65) ** 2 < (size * 0.2) ** 2] = 40
    levels[int(size * 0.8) :, ::8] += 50
    return levels.clip(0, 255)


CLEAN = scene()
NOISY = CLEAN + np.random.default_rng(0).normal(0, SIGMA, CLEAN.shape)
EIGHT = np.rint(NOISY.clip(0, 255)).astype(np.uint8)
COLOUR = (
    np.rint(CLEAN[..., None] + np.random.default_rng(1).normal(0, SIGMA, (64, 64, 3))).clip(0, 255).astype(np.uint8)
)


def gain(restored: Any, noisy: Any, clean: Any, full: float = 255) -> float:
    """Decibels."""
    first, second = (psnr(np.asarray(one, float), np.asarray(clean, float), full) for one in (restored, noisy))
    return float(first - second)


@pytest.fixture(autouse=True)
def as_torch_comes() -> Iterator[None]:
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("sigma", [None, "given"])
@pytest.mark.parametrize("dtype", ["float32", "float64", ">f4", "uint16", ">u2"])
@pytest.mark.parametrize(("black", "white"), [(0, 255), (0, 1023), (0, 4095), (0, 16383), (100, 600), (1000, 1200)])
def test_a_picture_is_restored_in_its_own_range(black: int, white: int, dtype: str, sigma: str | None) -> None:
    clean, noisy = (black + one / 255 * (white - black) for one in (CLEAN, NOISY))
    if "u" in dtype:
        noisy = np.rint(noisy).clip(0, 65535)
    given = None if sigma is None else SIGMA / 255 * (white - black)
    restored = nlrn.denoise(noisy.astype(dtype), given)
    assert restored.dtype == np.dtype(dtype)
    assert gain(restored, noisy, clean, white - black) > 6.5


@pytest.mark.parametrize("dtype", ["int16", "int32", "int64", "uint32", ">i2"])
def test_other_integers_are_restored_where_white_is_said(dtype: str) -> None:
    offset = 0 if "u" in dtype else -1000
    clean, noisy = (offset + 8 * one for one in (CLEAN, NOISY))
    image = np.rint(noisy).clip(min=offset).astype(dtype)
    with pytest.raises(ValueError, match="data_range"):
        nlrn.denoise(image)
    restored = nlrn.denoise(image, data_range=(offset, offset + 2040))
    assert restored.dtype == np.dtype(dtype)
    assert gain(restored, noisy, clean, 2040) > 6.5


def test_a_number_is_white_and_a_pair_black_and_white() -> None:
    counts = (EIGHT.astype(np.uint16) * 257 // 16).astype(np.uint16)
    one = nlrn.denoise(counts, data_range=4095)
    np.testing.assert_array_equal(one, nlrn.denoise(counts, data_range=(0, 4095)))
    for wrong in ("4095", (3, 2, 1), (5, 5), -1, float("nan"), object()):
        with pytest.raises(ValueError, match=r"data_range|white"):
            nlrn.denoise(counts, data_range=wrong)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30, 60000.0])
@pytest.mark.parametrize("call", ["denoise", "estimated", "upscale", "colour"])
@pytest.mark.parametrize("full", [1, 255])
def test_a_bad_pixel_spoils_nothing_but_itself(bad: float, call: str, full: int) -> None:
    image = (NOISY / 255 * full).astype(np.float32)
    run: Callable[[np.ndarray], np.ndarray] = {
        "denoise": lambda x: nlrn.denoise(x, SIGMA / 255 * full),
        "estimated": lambda x: nlrn.denoise(x),
        "upscale": lambda x: nlrn.upscale(x, 2),
        "colour": lambda x: nlrn.denoise(np.dstack([x, x[::-1], x.T]), SIGMA / 255 * full, channel_axis=-1)[..., 0],
    }[call]
    expected = run(image)
    image[20, 20] = bad
    got = run(image)
    scale = 2 if call == "upscale" else 1
    if call != "upscale" or not np.isfinite(bad):
        np.testing.assert_array_equal(got[20 * scale, 20 * scale], np.float32(bad))
    away = np.ones(got.shape, bool)
    reach = 12 if call == "upscale" and np.isfinite(bad) else 3
    away[(20 - reach) * scale : (21 + reach) * scale, (20 - reach) * scale : (21 + reach) * scale] = False
    if call == "colour":
        away[20, 43] = False  # where the other colours have it
        away[43 - 4 : 43 + 5, 20 - 4 : 20 + 5] = False
    assert np.isfinite(got[away]).all()
    assert np.abs(got[away] - expected[away]).max() < 0.06 * full


def test_a_star_in_sixteen_bits_does_not_hide_the_noise() -> None:
    clean, noisy = (np.rint(100 + one / 255 * 500) for one in (CLEAN, NOISY))
    image = noisy.astype(np.uint16)
    image[5:8, 5:8] = 60000
    restored = nlrn.denoise(image)
    assert (restored[5:8, 5:8] == 60000).all()
    assert gain(restored[12:], noisy[12:], clean[12:], 500) > 6.5


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_what_is_masked_has_no_part_in_the_result(dtype: type) -> None:
    full = {np.uint8: 255, np.uint16: 65535}.get(dtype, 1)
    image = np.ma.masked_array((EIGHT / 255 * full).astype(dtype), np.zeros(EIGHT.shape, bool))
    image[10:20, 10:30] = np.ma.masked
    results = []
    for filling in (0, full):
        image.data[10:20, 10:30] = filling
        restored = nlrn.denoise(image)
        np.testing.assert_array_equal(restored.mask, image.mask)
        np.testing.assert_array_equal(restored.data[image.mask], image.data[image.mask])
        results.append(restored.filled(0))
    np.testing.assert_array_equal(*results)
    assert nlrn.upscale(image, 2).mask.sum() == 4 * image.mask.sum()
    everything = np.ma.masked_array(EIGHT, True)
    np.testing.assert_array_equal(nlrn.denoise(everything).data, EIGHT)


@pytest.mark.parametrize("sigma", [None, 100, 150, 190])
def test_noise_above_the_strongest_is_not_limited(sigma: float | None) -> None:
    level = sigma or 120
    noisy = (scene(96) + np.random.default_rng(0).normal(0, level, (96, 96))) / 255
    restored = nlrn.denoise(noisy, None if sigma is None else sigma / 255)
    assert gain(restored, noisy, scene(96) / 255, 1) > 11


@pytest.mark.parametrize("sigma", [None, SIGMA])
@pytest.mark.parametrize("model", [None, "denoise-gray-lite"])
@pytest.mark.parametrize("tone", ["gray", "jpeg", "sepia"])
def test_gray_stored_as_rgb_is_restored_as_gray(tone: str, model: str | None, sigma: float | None) -> None:
    tones = {"sepia": (1.1, 0.98, 0.78)}.get(tone, (1, 1, 1))
    image, clean = (np.dstack([tone * one for tone in tones]).clip(0, 255) for one in (EIGHT, CLEAN))
    if tone == "jpeg":
        image = image + np.random.default_rng(0).integers(-1, 2, image.shape)
    pixels = np.rint(image.clip(0, 255)).astype(np.uint8)
    restored = nlrn.denoise(pixels, sigma, channel_axis=-1, model=model)
    assert gain(restored, pixels, clean) > gain(nlrn.denoise(EIGHT, sigma, model=model), EIGHT, CLEAN) - 0.5
    if tone == "gray":
        assert np.ptp(restored.astype(int), axis=2).max() <= 1


def test_noise_of_its_own_in_each_colour_is_for_the_network_of_colour() -> None:
    restored = nlrn.denoise(COLOUR, SIGMA, channel_axis=-1)
    np.testing.assert_array_equal(restored, nlrn.denoise(COLOUR, SIGMA, channel_axis=-1, model="denoise-color"))


def in_float64() -> Any:
    torch.set_default_dtype(torch.float64)
    return torch.no_grad()


@contextmanager
def with_rough_products() -> Iterator[None]:
    torch.set_float32_matmul_precision("medium")
    yield
    assert torch.get_float32_matmul_precision() == "medium"
    torch.set_float32_matmul_precision("highest")


STATES: dict[str, Callable[[], Any]] = {
    "float64": in_float64,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "meta device": lambda: torch.device("meta"),
    "inference": torch.inference_mode,
    "gradients": torch.enable_grad,
    "rough products": with_rough_products,
}


@pytest.mark.parametrize("state", list(STATES))
def test_the_state_of_torch_changes_nothing(state: str) -> None:
    calls: list[Callable[[], np.ndarray]] = [
        lambda: nlrn.denoise(EIGHT, SIGMA),
        lambda: nlrn.denoise(COLOUR, SIGMA, channel_axis=-1),
        lambda: nlrn.denoise(np.dstack([EIGHT] * 3), SIGMA, channel_axis=-1),
        lambda: nlrn.upscale(COLOUR, 2, channel_axis=-1),
        lambda: nlrn.denoise(COLOUR[:2, :2], SIGMA, channel_axis=-1),
    ]
    for call in calls:
        expected = call()
        with STATES[state]():
            got = call()
        torch.set_default_dtype(torch.float32)
        np.testing.assert_array_equal(got, expected)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")  # of the compiler itself
@pytest.mark.parametrize(
    "wrapped", [torch.nn.DataParallel, torch.compile, lambda n: torch.compile(torch.nn.DataParallel(n))]
)
def test_wrapped_networks_are_the_networks_in_them(wrapped: Callable[[Any], Any]) -> None:
    network = wrapped(nlrn.load("denoise-gray"))
    np.testing.assert_array_equal(nlrn.denoise(EIGHT, SIGMA, model=network), nlrn.denoise(EIGHT, SIGMA))


@pytest.mark.parametrize(
    "model", [torch.nn.Conv2d(1, 1, 1), 5, object(), ["denoise-gray-lite"], b"denoise-gray-lite"]
)
def test_what_is_no_network_is_no_model(model: Any) -> None:
    with pytest.raises(ModelError, match="model is a name"):
        nlrn.denoise(EIGHT, SIGMA, model=model)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: nlrn.denoise(EIGHT, "20"),
        lambda: nlrn.denoise(EIGHT, b"20"),
        lambda: nlrn.denoise(EIGHT, [20, 20]),
        lambda: nlrn.denoise(EIGHT, np.full((64, 64), 20)),
        lambda: nlrn.denoise(EIGHT, {"sigma": 20}),
        lambda: nlrn.denoise(EIGHT, 20 + 1j),
        lambda: nlrn.denoise(EIGHT, float("inf")),
        lambda: nlrn.denoise("photo.png", 20),
        lambda: nlrn.denoise(Path("photo.png"), 20),
        lambda: nlrn.denoise(b"photo.png", 20),
        lambda: nlrn.denoise(None, 20),
        lambda: nlrn.denoise({"image": EIGHT}, 20),
        lambda: nlrn.denoise([[1, 2], [3]], 20),
        lambda: nlrn.denoise([["a", "b"]], 20),
        lambda: nlrn.denoise(EIGHT.astype(complex), 20),
        lambda: nlrn.denoise(EIGHT > 100, 20),
        lambda: nlrn.denoise(EIGHT.astype(object), 20),
        lambda: nlrn.denoise(EIGHT, 20, channel_axis=0),
        lambda: nlrn.denoise(COLOUR, 20, channel_axis=5),
        lambda: nlrn.denoise(COLOUR[None], 20, channel_axis=-1, stack_axis=-1),
        lambda: nlrn.denoise(Image.fromarray(EIGHT), 20, channel_axis=-1),
        lambda: nlrn.denoise(Image.new("L", (0, 4)), 20),
        lambda: nlrn.denoise(Image.fromarray(-EIGHT.astype(np.int32)), 20),
        lambda: nlrn.denoise(torch.rand(0, 3, 32, 32), 0.1),
        lambda: nlrn.denoise(torch.rand(1, 3, 0, 32), 0.1),
        lambda: nlrn.denoise(torch.rand(2, 32, 32), 0.1),
        lambda: nlrn.denoise(torch.rand(1, 8, 8, requires_grad=True), 0.1),
        lambda: nlrn.denoise(torch.zeros(1, 8, 8, dtype=torch.bool), 0.1),
        lambda: nlrn.denoise(torch.zeros(1, 8, 8).to_sparse(), 0.1),
        lambda: nlrn.upscale(EIGHT[:, :0], 2),
        lambda: nlrn.upscale(EIGHT, 17),
        lambda: nlrn.upscale(EIGHT, 1),
        lambda: nlrn.upscale(EIGHT, "2"),
        lambda: nlrn.upscale(EIGHT, None),
        lambda: nlrn.upscale(EIGHT, True),
        lambda: nlrn.upscale(EIGHT, float("nan")),
        lambda: nlrn.upscale(EIGHT, [2]),
        lambda: nlrn.denoise(EIGHT, 20, device="gpu"),
        lambda: nlrn.denoise(EIGHT, 20, precision="half"),
        lambda: nlrn.NonLocalBlock(8, window=4),
        lambda: nlrn.load("denoise-gray-lite")(torch.rand(1, 1, 8, 8), torch.rand(1, 1, 8, 9)),
    ],
)
def test_what_makes_no_sense_is_one_sentence(wrong: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        wrong()


def test_numbers_of_any_kind_are_numbers() -> None:
    expected = nlrn.denoise(EIGHT, SIGMA)
    for sigma in (np.float32(SIGMA), np.array(SIGMA), torch.tensor(SIGMA), [SIGMA], float(SIGMA)):
        np.testing.assert_array_equal(nlrn.denoise(EIGHT, sigma), expected)
    in_colour = nlrn.denoise(COLOUR, SIGMA, channel_axis=-1)
    np.testing.assert_array_equal(nlrn.denoise(COLOUR, [SIGMA] * 3, channel_axis=-1), in_colour)
    np.testing.assert_array_equal(nlrn.denoise(COLOUR, np.full(3, SIGMA), channel_axis=-1), in_colour)
    np.testing.assert_array_equal(nlrn.denoise(EIGHT, SIGMA, device=torch.device("cpu")), expected)
    large = nlrn.upscale(EIGHT, 2)
    for scale in (2.0, np.int64(2), np.float32(2)):
        np.testing.assert_array_equal(nlrn.upscale(EIGHT, scale), large)


class Lazy:
    """As xarray and dask give their arrays."""

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return EIGHT if dtype is None else EIGHT.astype(dtype)


def test_what_can_become_an_array_is_one() -> None:
    expected = nlrn.denoise(EIGHT, SIGMA)
    np.testing.assert_array_equal(nlrn.denoise(Lazy(), SIGMA), expected)
    np.testing.assert_allclose(nlrn.denoise((EIGHT / 255).tolist(), SIGMA / 255) * 255, expected, atol=0.6)
    for same in (EIGHT[:, ::-1][:, ::-1], np.asfortranarray(EIGHT), EIGHT.view(np.memmap)):
        np.testing.assert_array_equal(nlrn.denoise(same, SIGMA), expected)
    frozen = EIGHT.copy()
    frozen.flags.writeable = False
    np.testing.assert_array_equal(nlrn.denoise(frozen, SIGMA), expected)


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
def test_stacks_are_restored_image_by_image(axis: int) -> None:
    images = [EIGHT, EIGHT[::-1], EIGHT.T]
    expected = np.stack([nlrn.denoise(image, SIGMA) for image in images], axis)
    np.testing.assert_array_equal(nlrn.denoise(np.stack(images, axis), SIGMA, stack_axis=axis), expected)
    large = np.stack([nlrn.upscale(image, 2) for image in images], axis)
    np.testing.assert_array_equal(nlrn.upscale(np.stack(images, axis), 2, stack_axis=axis), large)


@pytest.mark.parametrize(("stack", "channels"), [(0, -1), (0, 1), (3, 0), (-1, 2), (1, 3)])
def test_stacks_of_colour_have_both_axes(stack: int, channels: int) -> None:
    one = nlrn.denoise(COLOUR, SIGMA, channel_axis=-1)
    rest = [axis for axis in range(4) if axis not in (stack % 4, channels % 4)]
    order = np.argsort([stack % 4, *rest, channels % 4])
    image, expected = (np.stack([x, x[::-1]]).transpose(order) for x in (COLOUR, one))
    got = nlrn.denoise(image, SIGMA, stack_axis=stack, channel_axis=channels)
    assert got.shape == image.shape
    np.testing.assert_array_equal(got.take(0, stack), expected.take(0, stack))


@pytest.mark.parametrize(
    ("mode", "becomes"),
    [
        ("L", "L"), ("LA", "LA"), ("La", "La"), ("RGB", "RGB"), ("RGBA", "RGBA"), ("RGBa", "RGBa"), ("RGBX", "RGB"),
        ("P", "RGB"), ("1", "L"), ("CMYK", "RGB"), ("YCbCr", "RGB"), ("HSV", "RGB"), ("LAB", "RGB"), ("I;16", "I;16"),
        ("I;16B", "I;16B"), ("I", "I"), ("F", "F"),
    ],
)  # fmt: skip
def test_every_mode_of_pillow_has_the_picture_it_shows(mode: str, becomes: str) -> None:
    shown = Image.fromarray(COLOUR)
    if mode in ("La", "RGBa"):
        image = shown.convert(mode + "A" if mode == "L" else {"La": "LA", "RGBa": "RGBA"}[mode])
        image.putalpha(128)
        image = image.convert(mode)
    elif mode == "LAB":
        from PIL import ImageCms

        profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        image = ImageCms.applyTransform(shown, ImageCms.buildTransform(*profiles, "RGB", "LAB"))
    elif mode.startswith("I;16"):
        image = Image.fromarray((EIGHT.astype(np.uint16) * 257).astype(">u2" if mode[-1] == "B" else "<u2"))
    elif mode == "I":
        image = Image.fromarray(EIGHT.astype(np.int32) * 257)
    else:
        image = shown.convert(mode)
    restored = nlrn.denoise(image)
    assert (restored.mode, restored.size) == (becomes, image.size)
    values = np.asarray(restored.convert(mode.upper()) if mode in ("La", "RGBa") else restored, float)
    bright = (values[..., : 1 if "L" in mode else 3] if values.ndim == 3 else values).mean()
    assert bright == pytest.approx(COLOUR.mean() * (257 if mode[0] == "I" else 1), rel=0.04)


def test_a_colour_that_is_transparent_becomes_alpha() -> None:
    image = Image.fromarray(EIGHT)
    image.info["transparency"] = int(EIGHT[0, 0])
    restored = nlrn.denoise(image, SIGMA)
    assert restored.mode == "LA"
    assert "transparency" not in restored.info
    np.testing.assert_array_equal(np.asarray(restored)[..., 1] == 0, EIGHT[0, 0] == EIGHT)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.uint8])
def test_tensors_of_every_type(dtype: torch.dtype) -> None:
    full = 255 if dtype == torch.uint8 else 1
    image = (torch.from_numpy(COLOUR).permute(2, 0, 1) / 255 * full).to(dtype)
    restored = nlrn.denoise(image[None], SIGMA / 255 * full)
    assert (restored.dtype, restored.shape) == (dtype, (1, 3, 64, 64))
    with torch.no_grad():
        nlrn.denoise(image[None, :, :8, :8].float().requires_grad_(), SIGMA / 255 * full)


def test_a_noisy_picture_left_as_it_is_is_warned_of() -> None:
    grain = resize_bicubic(torch.from_numpy(np.random.default_rng(0).normal(0, 15, (1, 32, 32))), 64, 64)
    coarse = CLEAN + grain[0].numpy()
    with pytest.warns(NoiseWarning, match="coarser") as said:
        nlrn.denoise(np.rint(coarse.clip(0, 255)).astype(np.uint8))
    assert said[0].filename == __file__
    with pytest.warns(NoiseWarning, match="too small"):
        nlrn.denoise(EIGHT[:9, :9])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for quiet in (CLEAN.astype(np.uint8), np.full((64, 64), 9, np.uint8)):
            np.testing.assert_array_equal(nlrn.denoise(quiet), quiet)


def test_a_model_saved_again_is_the_new_one(network: Callable[..., Any], tmp_path: Path) -> None:
    first = network()
    nlrn.save(first, tmp_path)
    before = nlrn.denoise(EIGHT, SIGMA, model=tmp_path)
    torch.nn.init.normal_(first.tail.weight, std=0.3)
    nlrn.save(first, tmp_path)
    after = nlrn.denoise(EIGHT, SIGMA, model=tmp_path)
    assert (before != after).any()
    np.testing.assert_array_equal(after, nlrn.denoise(EIGHT, SIGMA, model=first))


def test_a_network_that_makes_no_numbers_is_an_error(network: Callable[..., Any]) -> None:
    made = network()
    torch.nn.init.constant_(made.tail.weight, float("nan"))
    with pytest.raises(ModelError, match="not finite"):
        nlrn.denoise(EIGHT, SIGMA, model=made)
