"""Pictures that JPEG compressed strongly are mended by what their files say; fine ones are left to their noise."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

import nlrn
from nlrn.cli import main
from nlrn.evaluation.metrics import psnr

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
