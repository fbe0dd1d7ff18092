"""Pictures that JPEG compressed are mended by what files or pixels say of it; fine ones are left to their noise."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

import nlrn
from nlrn.cli import main
from nlrn.evaluation.metrics import psnr
from nlrn.inference.choice import JPEG

CLEAN = {"gray": data.camera()[60:188, 180:308], "colour": data.astronaut()[20:148, 160:288]}


def saved(tmp_path: Path, kind: str, quality: int) -> Path:
    Image.fromarray(CLEAN[kind]).save(tmp_path / "in.jpg", quality=quality)
    return tmp_path / "in.jpg"


@pytest.mark.parametrize("kind", list(CLEAN))
@pytest.mark.parametrize("quality", [10, 30, 50])
def test_blocks_are_mended_the_same_way_from_files_and_from_pillow(tmp_path: Path, kind: str, quality: int) -> None:
    path = saved(tmp_path, kind, quality)
    assert main(["denoise", str(path), "-o", str(tmp_path / "out.png")]) == 0
    with Image.open(path) as picture:
        mended = np.asarray(nlrn.denoise(picture))
        before = np.asarray(picture)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out.png")), mended)
    assert psnr(mended, CLEAN[kind], 255) > psnr(before, CLEAN[kind], 255) + 0.3


@pytest.mark.parametrize("kind", list(CLEAN))
def test_fine_files_are_left_to_their_noise(tmp_path: Path, kind: str) -> None:
    with Image.open(saved(tmp_path, kind, 90)) as picture:
        axis = None if kind == "gray" else -1
        expected = nlrn.denoise(np.asarray(picture), channel_axis=axis)
        np.testing.assert_array_equal(np.asarray(nlrn.denoise(picture)), expected)


@pytest.mark.parametrize("kind", list(CLEAN))
def test_pixels_without_their_file_are_mended_by_their_traces(tmp_path: Path, kind: str) -> None:
    with Image.open(saved(tmp_path, kind, 25)) as picture:
        told, before = np.asarray(nlrn.denoise(picture)), np.asarray(picture)
        axis = None if kind == "gray" else -1
        mended = nlrn.denoise(before[3:, 5:], channel_axis=axis)
    clean = CLEAN[kind][3:, 5:]
    assert psnr(mended, clean, 255) > psnr(told[3:, 5:], clean, 255) - 0.1
    assert psnr(mended, clean, 255) > psnr(before[3:, 5:], clean, 255) + 0.3


@pytest.mark.parametrize("kind", list(CLEAN))
def test_the_model_can_be_asked_for_at_any_quality(tmp_path: Path, kind: str) -> None:
    with Image.open(saved(tmp_path, kind, 88)) as picture:
        mended = np.asarray(nlrn.denoise(picture, model=JPEG))
        assert psnr(mended, CLEAN[kind], 255) > psnr(np.asarray(picture), CLEAN[kind], 255) + 0.1


def test_what_never_was_a_jpeg_is_left_alone_by_its_model(caplog: pytest.LogCaptureFixture) -> None:
    for kind, clean in CLEAN.items():
        with caplog.at_level("INFO", "nlrn"):
            axis = None if kind == "gray" else -1
            np.testing.assert_array_equal(nlrn.denoise(clean, channel_axis=axis, model=JPEG), clean)
        assert "no JPEG" in caplog.text


def test_a_gray_picture_stored_in_colours_stays_gray(tmp_path: Path) -> None:
    Image.fromarray(CLEAN["gray"]).convert("RGB").save(tmp_path / "in.jpg", quality=20)
    with Image.open(tmp_path / "in.jpg") as picture:
        mended = np.asarray(nlrn.denoise(picture))
        assert psnr(mended[..., 1], CLEAN["gray"], 255) > psnr(np.asarray(picture)[..., 1], CLEAN["gray"], 255) + 0.3
    assert np.ptp(mended.astype(int), axis=2).max() <= 1


def test_transparency_is_kept_where_traces_are_mended(tmp_path: Path) -> None:
    with Image.open(saved(tmp_path, "colour", 25)) as picture:
        opaque = np.asarray(picture)
    alpha = np.full((*opaque.shape[:2], 1), 255, np.uint8)
    mended = nlrn.denoise(np.concatenate([opaque, alpha], 2), channel_axis=-1)
    np.testing.assert_array_equal(mended[..., :3], nlrn.denoise(opaque, channel_axis=-1))
    assert (mended[..., 3] == 255).all()


def test_weak_noise_saved_as_jpeg_is_not_smoothed_away_with_the_texture(tmp_path: Path) -> None:
    texture = data.gravel()[:192, :192]
    noisy = texture + np.random.default_rng(0).normal(0, 4, texture.shape)
    Image.fromarray(np.rint(noisy.clip(0, 255)).astype(np.uint8)).save(tmp_path / "in.jpg", quality=70)
    with Image.open(tmp_path / "in.jpg") as picture:
        assert psnr(np.asarray(nlrn.denoise(picture)), texture, 255) > psnr(np.asarray(picture), texture, 255) + 0.2


def test_strength_and_what_is_asked_for_count_more(tmp_path: Path) -> None:
    with Image.open(saved(tmp_path, "gray", 10)) as picture:
        before, told = np.asarray(picture), np.asarray(nlrn.denoise(picture, 5))
        np.testing.assert_array_equal(np.asarray(nlrn.denoise(picture, strength=0)), before)
        np.testing.assert_array_equal(told, nlrn.denoise(before, 5))


def test_noise_that_is_stronger_than_the_blocks_decides(tmp_path: Path) -> None:
    noisy = CLEAN["gray"] + np.random.default_rng(0).normal(0, 25, CLEAN["gray"].shape)
    Image.fromarray(np.rint(noisy.clip(0, 255)).astype(np.uint8)).save(tmp_path / "in.jpg", quality=60)
    with Image.open(tmp_path / "in.jpg") as picture:
        np.testing.assert_array_equal(np.asarray(nlrn.denoise(picture)), nlrn.denoise(np.asarray(picture)))


@pytest.mark.parametrize(("quality", "said"), [(30, True), (90, False)])
def test_who_enlarges_blocks_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, quality: int, said: bool
) -> None:
    path = saved(tmp_path, "gray", quality)
    with caplog.at_level("INFO", "nlrn"):
        assert main(["upscale", str(path), "-o", str(tmp_path / "out.png"), "--scale", "2"]) == 0
    assert ("JPEG of a quality of about 30" in caplog.text) == said
    caplog.clear()
    with caplog.at_level("INFO", "nlrn"), Image.open(path) as picture:
        nlrn.upscale(picture, 2)
    assert ("JPEG of a quality of about 30" in caplog.text) == said
