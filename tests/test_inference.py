"""The fused copy computes what the network computes, borders and tiny images included."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from conftest import paced
from torch import nn

import nlrn
from nlrn import models
from nlrn.config import SIMILARITIES
from nlrn.inference import fused as inference
from nlrn.inference.fused import FusedNLRN
from nlrn.models import cards
from nlrn.network import NLRN
from nlrn.pixels.degrade import resize_bicubic

CHANGES = [
    {},
    {"every": 0},
    {"every": 2},
    {"propagate": False},
    {"groups": 2},
    {"noise_map": False, "task": "sr", "unshuffle": 2},
    {"noise_map": False, "task": "sr", "post_upsampling": True},
    {"channels": 3, "unshuffle": 3},
    {"channels": 3},
    {"steps": 7},  # many blocks: by a map of logits
    *({"similarity": similarity} for similarity in SIMILARITIES[1:]),
]
SIZES = [(1, 1), (2, 7), (3, 3), (19, 24)]


def with_lively_norms(made: NLRN) -> NLRN:
    """Norms that scale by any sign and shift, so that a bias at the border that is wrong shows."""
    for norm in made.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.normal_(norm.running_mean, 0, 0.3)
            nn.init.uniform_(norm.running_var, 0.5, 2)
            nn.init.uniform_(norm.weight, -0.5, 1)
            nn.init.normal_(norm.bias, 0, 0.3)
    return made


@pytest.mark.parametrize("change", CHANGES, ids=str)
@pytest.mark.parametrize(
    ("dtype", "accumulates", "tolerance"),
    [(torch.float32, True, 2e-5), (torch.float32, False, 2e-5), (torch.float64, False, 1e-11)],
)
@torch.inference_mode()
def test_it_equals_the_definition(
    network, monkeypatch, change, dtype: torch.dtype, accumulates: bool, tolerance: float
) -> None:
    if not accumulates:
        monkeypatch.setattr(inference, "_can_accumulate", lambda dtype: False)
    made = with_lively_norms(network(**change)).to(dtype)
    fused, levels = FusedNLRN(made, dtype), torch.tensor([0.1, 0.2], dtype=dtype)
    for size in SIZES:
        x = torch.rand(2, made.config.channels, *size, dtype=dtype)
        expected = made(x, levels, scale=3)
        assert (expected - resize_bicubic(x, *expected.shape[2:])).abs().max() > 1e-3
        torch.testing.assert_close(fused(x, levels, 3), expected, atol=tolerance, rtol=0)


@pytest.mark.parametrize("name", paced(cards.list_models()))
@torch.inference_mode()
def test_the_models_that_ship(name: str) -> None:
    made = models.load(name)
    y, x = torch.meshgrid(torch.arange(70.0), torch.arange(90.0), indexing="ij")
    clean = (0.5 + 0.2 * torch.sin(x * y / 300) + 0.2 * (torch.sin(x / 5 + y / 9) > 0)).expand(
        1, made.config.channels, 70, 90
    )
    noisy = clean + 0.1 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    expected = made(noisy, 0.1, scale=2)
    torch.testing.assert_close(FusedNLRN(made)(noisy, 0.1, 2), expected, atol=5e-6, rtol=0)
    # in bf16 it comes about as near as autocast, whose norms are float32: within a few tenths of a grey level
    error = (FusedNLRN(made, torch.bfloat16)(noisy, 0.1, 2) - expected) * 255
    with torch.autocast("cpu", torch.bfloat16):
        autocast = (made(noisy, 0.1, scale=2) - expected) * 255
    assert error.square().mean().sqrt() < max(0.15, 2 * autocast.square().mean().sqrt())


@torch.inference_mode()
def test_what_was_in_its_memory_does_not_matter(network) -> None:
    made = network()
    fused, x = FusedNLRN(made), torch.rand(1, 1, 20, 30)
    first = fused(x, 0.1)
    fused(torch.full((1, 1, 40, 25), 1e3), 0.1)
    assert torch.equal(fused(x, 0.1), first)


def test_it_is_a_copy(network) -> None:
    made, x = network(), torch.rand(1, 1, 9, 9)
    fused = FusedNLRN(made)
    before = fused(x, 0.1)
    with torch.no_grad():
        made.bodies[0].conv1.weight.zero_()
    assert torch.equal(fused(x, 0.1), before)
    assert not torch.equal(FusedNLRN(made)(x, 0.1), before)


@torch.inference_mode()
def test_a_map_that_was_used_before_does_not_matter(network) -> None:
    made = network(steps=7, noise_map=False)
    fused, x = FusedNLRN(made), torch.rand(1, 1, 20, 30)
    first = fused(x)
    fused(torch.full((2, 1, 40, 25), torch.nan))
    assert torch.equal(fused(x), first)


@pytest.mark.parametrize("name", paced(cards.list_models()))
@pytest.mark.parametrize("precision", ["fp32", "auto"])
def test_any_number_of_threads_gives_the_same_bytes(name: str, precision: Any) -> None:
    pixels = np.random.default_rng(0).normal(128, 20, (33, 41, 3)).clip(0, 255).astype(np.uint8)
    image = pixels if models.load(name).config.channels == 3 or name == "denoise-photo" else pixels[..., 0]
    axis = -1 if image.ndim == 3 else None
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        try:
            if models.load(name).config.task == "sr":
                results.append(nlrn.upscale(image, 2, model=name, precision=precision))
            else:
                results.append(nlrn.denoise(image, 20, model=name, precision=precision, channel_axis=axis))
        finally:
            torch.set_num_threads(1)
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


_MANY_SIZES = """
import resource, numpy as np, nlrn

def most():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10

sizes = [(height, width) for height in range(25, 40) for width in range(26, 40)]
for number, size in enumerate(sizes):
    nlrn.denoise(np.full(size, 100, np.uint8), 20)
    if number == 70:  # from here on what was prepared for other sizes has to go
        before = most()
print(most() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted in other units")
def test_memory_does_not_grow_with_the_number_of_sizes() -> None:
    """What was prepared for 221 sizes took 950 MB where nothing bounded it; now it is 52 MB."""
    done = subprocess.run([sys.executable, "-c", _MANY_SIZES], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 60
