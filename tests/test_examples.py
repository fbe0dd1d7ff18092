"""The examples run, and show what they say."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))


@pytest.mark.slow
def test_the_non_local_block_helps_a_plain_cnn() -> None:
    from nonlocal_block_in_a_cnn import compare, sample_images

    without, with_block = compare(sample_images(), 300)
    assert with_block > without + 0.05
