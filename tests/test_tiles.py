"""Tiles: they cover the image, their seams are invisible, and their memory is what the plan says."""

import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nlrn import models
from nlrn.network import Config
from nlrn.restore import restore
from nlrn.tiles import WORKING_MEMORY, bytes_per_pixel, make_plan, reach, sweep

SMALL = Config(steps=3, filters=8, embedding=4, window=5, noise_map=True)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 500), st.integers(1, 500), st.integers(200_000, 50_000_000))
def test_tiles_cover_every_pixel_once_within_the_memory(height: int, width: int, memory: int) -> None:
    plan = make_plan(SMALL, height, width, memory=memory)
    covered = torch.zeros(height, width)
    for rows, cols in plan.tiles():
        covered[rows, cols] += 1
        seen_rows, seen_cols = plan.seen(rows, cols)
        pixels = (seen_rows.stop - seen_rows.start) * (seen_cols.stop - seen_cols.start)
        assert pixels * bytes_per_pixel(SMALL) <= plan.bytes
    assert torch.equal(covered, torch.ones(height, width))
    smallest = (16 + 2 * plan.halo) ** 2 * bytes_per_pixel(SMALL)
    assert plan.bytes <= max(memory, smallest)


@pytest.mark.parametrize("config", [SMALL, Config()], ids=["small", "paper"])
def test_a_huge_image_stays_within_two_gigabytes(config: Config) -> None:
    plan = make_plan(config, 4000, 6000, batch=3)
    assert plan.bytes <= WORKING_MEMORY < 2e9
    assert plan.tile < 4000


def test_the_reach_is_the_receptive_field(network) -> None:
    made = network(every=2)
    radius, size = reach(made.config), 61
    x = torch.rand(1, 1, size, size, requires_grad=True)
    made(x, 0.1)[0, 0, size // 2, size // 2].backward()
    rows = x.grad[0, 0].abs().sum(1).nonzero().flatten()
    assert rows.min() == size // 2 - radius
    assert rows.max() == size // 2 + radius


def tiled(network, x: torch.Tensor, memory: int) -> torch.Tensor:
    plan = make_plan(network.config, *x.shape[2:], memory=memory)
    assert len(list(plan.tiles())) >= 4
    out = torch.empty_like(x)

    def write(rows: slice, cols: slice, restored: torch.Tensor) -> None:
        out[:, :, rows, cols] = restored

    sweep(network, plan, lambda rows, cols: x[:, :, rows, cols], write, torch.tensor([0.1]))
    return out


def test_tiled_equals_untiled(network) -> None:
    x = torch.rand(1, 1, 150, 170)
    made = network()
    torch.testing.assert_close(tiled(made, x, 4_000_000), restore(made, x, 0.1), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", list(models.list_models()))
def test_the_seams_of_the_models_that_ship_are_below_a_hundredth_of_a_grey_level(name: str) -> None:
    made = models.load(name)
    y, x = torch.meshgrid(torch.arange(200.0), torch.arange(200.0), indexing="ij")
    picture = 0.5 + 0.2 * torch.sin(x * y / 300) + 0.2 * (torch.sin(x / 5 + y / 9) > 0)
    noisy = picture.view(1, 1, 200, 200) + 0.1 * torch.randn(
        1, 1, 200, 200, generator=torch.Generator().manual_seed(0)
    )
    with torch.inference_mode():
        seams = (tiled(made, noisy, 90_000_000) - made(noisy, 0.1)).abs() * 255
    assert seams.max() < 0.01
    assert seams.mean() < 0.001


def test_a_flat_field_shows_no_grid(network) -> None:
    made = network()
    inner = tiled(made, torch.full((1, 1, 150, 150), 0.5), 4_000_000)[0, 0, 40:-40, 40:-40]
    assert inner.max() - inner.min() < 1e-5


def test_the_ensemble_is_the_mean_over_flips_and_turns(network) -> None:
    made, x = network(), torch.rand(1, 1, 12, 15)
    views = [x, x.flip(3)]
    views = [v.rot90(k, (2, 3)) for v in views for k in range(4)]
    back = [made(v, 0.1).rot90(-k, (2, 3)) for v, k in zip(views, [0, 1, 2, 3] * 2, strict=True)]
    expected = (sum(back[:4]) + sum(b.flip(3) for b in back[4:])) / 8
    torch.testing.assert_close(restore(made, x, 0.1, ensemble=True), expected, atol=1e-5, rtol=0)


def test_progress_ends_at_the_whole(network) -> None:
    seen: list[tuple[int, int]] = []
    restore(network(), torch.rand(1, 1, 20, 30), 0.1, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(600, 600)]


MEASURE = """
import torch
from pathlib import Path
from nlrn.network import NLRN, Config
from nlrn.tiles import make_plan
from nlrn.restore import restore

def peak():
    line = next(l for l in Path("/proc/self/status").read_text().splitlines() if l.startswith("VmHWM"))
    return int(line.split()[1]) * 1024

network = NLRN(Config(**{fields})).eval().to(memory_format=torch.channels_last)
restore(network, torch.rand(1, 1, 32, 32), 0.1)
before = peak()
restore(network, torch.rand(1, 1, {side}, {side}), 0.1)
print(peak() - before, make_plan(network.config, {side}, {side}).bytes)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
@pytest.mark.parametrize(
    ("fields", "side"),
    [
        ({"steps": 6, "filters": 64, "embedding": 32, "window": 15, "every": 2, "noise_map": True}, 400),
        ({"steps": 4, "window": 15, "noise_map": True}, 160),
    ],
    ids=["lite", "paper's widths"],
)
def test_the_memory_is_as_predicted(fields, side) -> None:
    code = MEASURE.format(fields=fields, side=side)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    used, predicted = map(int, done.stdout.split())
    assert 0.4 * predicted < used < predicted
