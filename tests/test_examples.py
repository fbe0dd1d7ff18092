"""The examples run, and show what they say."""

import sys
from pathlib import Path

import pytest

from nlrn.evaluation.metrics import psnr

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))


@pytest.mark.slow
def test_the_non_local_block_helps_a_plain_cnn() -> None:
    from nonlocal_block_in_a_cnn import compare, sample_images

    without, with_block = compare(sample_images(), 300)
    assert with_block > without + 0.05


def test_the_denoiser_as_a_prior_beats_wiener_and_total_variation() -> None:
    data = pytest.importorskip("skimage.data")
    from deblur_plug_and_play import compare

    sharp = data.camera()[100:196, 180:276] / 255
    scores = {name: psnr(image, sharp, 1) for name, image in compare(sharp).items()}
    assert scores["NLRN"] > scores["total variation"] + 0.5
    assert scores["total variation"] > scores["Wiener"] > scores["blurred"]
