"""What cameras and files do to pictures is as coarse, as strong and as repeatable as it should be."""

import numpy as np
import pytest
import torch
from torch import Tensor

from nlrn.config import Config
from nlrn.pixels.degradations.compression import Compression
from nlrn.pixels.degradations.grain import blurred_noise, camera_noise, even_noise
from nlrn.pixels.degradations.jpeg import Jpeg
from nlrn.pixels.degradations.photograph import Photo, photographs
from nlrn.pixels.degradations.raw import Camera, demosaiced
from nlrn.pixels.degradations.softness import enlarge_middle
from nlrn.pixels.opponent import levels_of, to_opponent, to_rgb
from nlrn.pixels.patches import Patches


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def scene(images: int = 4, side: int = 64) -> Tensor:
    """Waves in three colours, [B, 3, side, side]."""
    y, x = torch.meshgrid(torch.arange(side) / side, torch.arange(side) / side, indexing="ij")
    planes = [0.5 + 0.3 * torch.sin((3 + k) * x + (5 - k) * y) for k in range(3)]
    return torch.stack(planes).expand(images, -1, -1, -1).clone()


def alike(noise: Tensor, distance: int) -> float:
    """The correlation of noise with itself so many pixels to the side."""
    return float((noise[..., :-distance] * noise[..., distance:]).mean() / noise.square().mean())


def test_opponent_colours_come_back_as_they_were() -> None:
    image = torch.rand(2, 3, 8, 8, generator=generator())
    assert torch.allclose(to_rgb(to_opponent(image)), image, atol=1e-6)
    gray = torch.rand(1, 1, 8, 8, generator=generator()).expand(-1, 3, -1, -1)
    assert to_opponent(gray)[:, 1:].abs().max() < 1e-6


def test_blurred_noise_has_variance_1_and_the_correlation_of_its_blur() -> None:
    made = blurred_noise(torch.tensor([[0.0, 0.8, 3.0]]).expand(8, -1), 96, generator())
    assert made.square().mean((0, 2, 3)).tolist() == pytest.approx([1, 1, 1], abs=0.15)
    # of a Gaussian of s pixels, exp(-d^2 / 4 s^2)
    assert alike(made[:, 0], 1) == pytest.approx(0, abs=0.02)
    assert alike(made[:, 1], 1) == pytest.approx(0.68, abs=0.05)
    assert alike(made[:, 2], 4) == pytest.approx(0.64, abs=0.08)


def test_camera_noise_is_fine_in_luma_and_coarse_in_chroma() -> None:
    clean = torch.full((48, 3, 64, 64), 0.5)
    noise = to_opponent(camera_noise(clean, torch.full((48,), 0.04), torch.full((48,), 0.03), generator()))
    luma, chroma = alike(noise[:, 0], 1), alike(noise[:, 1:], 1)
    assert 0.3 < luma < 0.8
    assert chroma > 0.8
    assert alike(noise[:, 1:], 4) > 0.3


def test_camera_noise_is_as_strong_as_asked_for_in_the_middle_tones() -> None:
    clean = torch.full((48, 3, 64, 64), 0.5)
    levels = levels_of(camera_noise(clean, torch.full((48,), 0.04), torch.full((48,), 0.02), generator())).mean(0)
    assert levels.tolist() == pytest.approx([0.04, 0.02], rel=0.15)


def test_camera_noise_goes_with_the_brightness() -> None:
    clean = torch.full((64, 3, 32, 32), 0.1)
    clean[..., 16:] = 0.9
    noise = camera_noise(clean, torch.full((64,), 0.04), torch.full((64,), 0.04), generator())
    dark, light = (part.square().mean((1, 2, 3)).sqrt() for part in (noise[..., :16], noise[..., 16:]))
    ratio = (dark / light).log()
    assert ratio.max() > 0.5
    assert ratio.min() < -0.3
    assert ratio.mean() > 0  # more in the shadows, mostly


def test_even_noise_is_white_without_a_blur() -> None:
    noise = even_noise(torch.zeros(8, 3, 64, 64), torch.full((8,), 0.1), torch.zeros(8), generator())
    assert noise.std() == pytest.approx(0.1, rel=0.05)
    assert abs(alike(noise, 1)) < 0.02
    assert abs(float((noise[:, 0] * noise[:, 1]).mean())) < 2e-4


def test_an_enlarged_middle_is_soft_and_begins_where_it_did() -> None:
    sharp = torch.rand(2, 3, 65, 65, generator=generator())
    same, double = enlarge_middle(sharp, torch.tensor([1.0, 2.0]))
    assert torch.allclose(same, sharp[0], atol=1e-5)
    assert double[:, 32, 32].tolist() == pytest.approx(sharp[1, :, 32, 32].tolist(), abs=1e-5)
    change = (double[..., 1:] - double[..., :-1]).square().mean()
    assert change < 0.5 * (sharp[1, ..., 1:] - sharp[1, ..., :-1]).square().mean()


def test_demosaicing_keeps_what_is_even_and_sees_one_colour_a_pixel() -> None:
    even = torch.tensor([0.2, 0.5, 0.7]).view(1, 3, 1, 1).expand(1, 3, 16, 16)
    assert torch.allclose(demosaiced(even), even, atol=1e-6)
    spot = torch.zeros(1, 3, 16, 16)
    spot[0, :, 8, 8] = 1  # a red place of the mosaic
    made = demosaiced(spot)
    assert made[0, 0, 8, 8] == 1
    assert made[0, 1:].abs().max() == 0


def test_a_sensor_without_noise_gives_the_picture_back() -> None:
    clean = 0.2 + 0.5 * torch.rand(6, 1, 1, 1, generator=generator()).expand(-1, 3, 24, 24)
    camera = Camera.draw(6, generator())
    assert torch.allclose(camera.developed(camera.sensed(clean)), clean, atol=2e-3)


def test_photons_make_more_noise_where_there_is_more_light() -> None:
    camera = Camera.draw(4, generator())
    dim, bright = (camera.noisy(torch.full((4, 3, 64, 64), v), generator()) - v for v in (0.05, 0.8))
    assert (bright.std((1, 2, 3)) > 2 * dim.std((1, 2, 3))).all()


def test_saving_with_half_the_colour_loses_colour_only() -> None:
    stripes = scene(1)[0]
    stripes[0, :, ::2] += 0.15
    stripes[2, :, ::2] -= 0.15
    full, half = (Compression("JPEG", 98, half_colour=half)(stripes) for half in (False, True))
    lost_full, lost_half = ((made - stripes).square().mean().sqrt() for made in (full, half))
    assert lost_full < 0.02 < lost_half


def test_blocks_begin_where_the_picture_was_cropped() -> None:
    image = scene(1)[0] + 0.05 * torch.randn(3, 64, 64, generator=generator())
    edges = []
    for start in ((0, 0), (0, 3)):
        made = Compression("JPEG", 15, half_colour=False, start=start)(image)
        step = (made[..., 1:] - made[..., :-1]).abs().mean((0, 1))
        edges.append([float(step[k::8].mean()) for k in range(8)])
    assert edges[0].index(max(edges[0])) == 7
    assert edges[1].index(max(edges[1])) == 4


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_lower_qualities_lose_more(kind: str) -> None:
    image = scene(1)[0] + 0.05 * torch.randn(3, 64, 64, generator=generator())
    fine, coarse = (Compression(kind, q, half_colour=True)(image) for q in (95, 30))
    assert (fine - image).square().mean() < (coarse - image).square().mean()


def test_photographs_repeat_for_an_equal_seed_and_differ_otherwise() -> None:
    first, again, other = (photographs(scene(6), generator(seed)) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.degraded, other.degraded)


def test_photographs_are_of_8_bits_with_levels_that_are_those_of_their_noise() -> None:
    made = photographs(scene(64), generator())
    assert torch.equal(made.degraded, made.degraded.mul(255).round().div(255))
    assert made.levels.shape == (64, 2)
    assert 2 < 255 * made.levels.mean() < 10
    assert made.levels.max() < 40 / 255
    # some are without noise, or gray: with no noise in their colours
    gray = (made.clean[:, 0] - made.clean[:, 2]).abs().amax((1, 2)) < 1e-6
    assert gray.any()
    assert (255 * made.levels[gray, 1] < 1.5).all()


def test_a_network_is_trained_on_the_luma_of_photographs_and_validated_on_the_same_ones() -> None:
    pictures = (scene(4, 96).permute(0, 2, 3, 1) * 255).byte().numpy()
    photo, patches = Photo(Config(noise_map=True), (5, 55)), Patches(list(np.ascontiguousarray(pictures)))
    assert photo.sees == "rgb"
    batch = photo.batch(patches, 32, 40, 0, generator())
    assert batch.degraded.shape == batch.clean.shape == (32, 1, 40, 40)
    noise = (batch.degraded - batch.clean).std((1, 2, 3))
    for some in (slice(24), slice(24, 32)):  # luma, chroma
        assert torch.corrcoef(torch.stack([noise[some], batch.sigma[some]]))[0, 1] > 0.8
    first, again = photo.validation(patches), photo.validation(patches)
    assert list(first) == [0, 1, 2]
    assert all(torch.equal(first[n].degraded, again[n].degraded) for n in first)
    assert not torch.equal(first[0].degraded, first[1].degraded)


def test_a_network_is_trained_on_what_jpeg_leaves_of_luma_and_of_chroma(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = (scene(4, 96).permute(0, 2, 3, 1) * 255).byte().numpy()
    pictures = pictures + np.random.default_rng(0).integers(0, 40, pictures.shape, np.uint8)  # something to lose
    jpeg, patches = Jpeg(Config(noise_map=True), (5, 55)), Patches(list(np.ascontiguousarray(pictures)))
    assert jpeg.sees == "rgb"
    batch, again = (jpeg.batch(patches, 48, 40, 0, generator(3)) for _ in range(2))
    assert batch.degraded.shape == batch.clean.shape == (48, 1, 40, 40)
    assert all(torch.equal(one, other) for one, other in zip(batch[:4], again[:4], strict=True))
    # what is told is what the steps of the file say, whatever noise there was before
    monkeypatch.setattr("nlrn.pixels.degradations.jpeg._NOISY", 0.0)
    plain = jpeg.batch(patches, 48, 40, 0, generator(3))
    assert torch.equal(plain.sigma, batch.sigma)
    assert not torch.equal(plain.degraded, batch.degraded)
    monkeypatch.setattr("nlrn.pixels.degradations.jpeg._CHROMA", 0.0)
    luma = jpeg.batch(patches, 48, 40, 0, generator(3))
    lost = (luma.degraded - luma.clean).square().mean((1, 2, 3)).sqrt()
    assert torch.corrcoef(torch.stack([lost, luma.sigma]))[0, 1] > 0.5
    assert 255 * batch.sigma.min() > 0.7
    assert 255 * batch.sigma.max() < 40


def test_jpeg_is_validated_on_luma_without_noise_at_three_qualities() -> None:
    pictures = (scene(3, 48).permute(0, 2, 3, 1) * 255).byte().numpy()
    jpeg, patches = Jpeg(Config(noise_map=True), (5, 55)), Patches(list(np.ascontiguousarray(pictures)))
    batches = jpeg.validation(patches)
    assert list(batches) == [10, 20, 40]
    errors = [float((batch.degraded - batch.clean).square().mean()) for batch in batches.values()]
    assert errors[0] > errors[1] > errors[2] > 0
    coarse, fine = batches[10].sigma, batches[40].sigma
    assert torch.allclose(coarse, coarse[:1])
    assert float(coarse[0] / fine[0]) == pytest.approx(2, rel=0.2)  # four times the steps


def test_jpeg_is_for_one_channel_with_a_noise_map() -> None:
    for config in (Config(channels=3, noise_map=True), Config()):
        with pytest.raises(ValueError, match="1 channel"):
            Jpeg(config, (5, 55))
