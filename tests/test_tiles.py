"""Tiles: they cover the image, their seams are invisible, and their memory is what the plan says."""

import subprocess
import sys
from dataclasses import replace
from functools import partial

import psutil
import pytest
import torch
from conftest import paced
from hypothesis import given, settings
from hypothesis import strategies as st

from nlrn import models
from nlrn.config import Config
from nlrn.inference import memory as memory_module
from nlrn.inference.device import has_fast_bf16
from nlrn.inference.fused import FusedNLRN, bytes_per_pixel
from nlrn.inference.memory import MOST, budget, free_memory
from nlrn.inference.tiles import Given, _up, make_plan, pieces, reach
from nlrn.inference.whole import restore
from nlrn.models import cards
from nlrn.network import NLRN

CPU = torch.device("cpu")
SMALL = Config(steps=3, filters=8, embedding=4, window=5, noise_map=True)


@settings(deadline=None, max_examples=100)
@given(
    st.integers(1, 500), st.integers(1, 500), st.integers(1, 4), st.integers(200_000, 50_000_000), st.integers(1, 3)
)
def test_tiles_cover_every_pixel_once_within_the_memory(
    height: int, width: int, images: int, memory: int, unshuffle: int
) -> None:
    config = replace(SMALL, unshuffle=unshuffle)
    plan = make_plan(config, height, width, images=images, memory=memory)
    cost = bytes_per_pixel(config, torch.float32, CPU)
    covered = torch.zeros(height, width)
    for rows, cols in plan.tiles():
        covered[rows, cols] += 1
        seen_rows, seen_cols = plan.seen(rows, cols)
        assert seen_rows.start % unshuffle == seen_cols.start % unshuffle == 0
        pixels = (seen_rows.stop - seen_rows.start) * (seen_cols.stop - seen_cols.start)
        assert plan.batch * pixels * cost <= plan.bytes
    assert torch.equal(covered, torch.ones(height, width))
    whole_squares = partial(_up, unit=unshuffle)
    assert plan.bytes <= max(memory, (whole_squares(16) + 2 * plan.halo) ** 2 * cost)
    if height * width * images * cost <= memory:
        tile = (whole_squares(height), whole_squares(width))
        assert (plan.tile_height, plan.tile_width, plan.batch) == (*tile, images)


@pytest.mark.parametrize("config", [SMALL, Config()], ids=["small", "paper"])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_a_huge_image_stays_within_two_gigabytes(config: Config, precision: torch.dtype) -> None:
    plan = make_plan(config, 4000, 6000, images=3, precision=precision)
    assert plan.bytes <= MOST < 2e9
    assert plan.tile_height < 4000
    assert plan.batch == 1


def test_a_long_narrow_image_is_cut_across_only() -> None:
    plan = make_plan(SMALL, 60, 20_000, memory=20_000_000)
    assert plan.tile_height == 60
    assert plan.tile_width < 20_000


def test_the_plan_is_made_for_what_is_free(monkeypatch) -> None:
    monkeypatch.setattr(memory_module, "free_memory", lambda: 100_000_000)
    assert budget(CPU) == 50_000_000
    assert make_plan(SMALL, 4000, 6000).bytes <= 50_000_000
    monkeypatch.setattr(memory_module, "free_memory", lambda: 1 << 40)
    assert budget(CPU) == MOST


def test_free_memory_is_that_of_the_machine_or_of_the_container(tmp_path, monkeypatch) -> None:
    available = psutil.virtual_memory()._replace(available=4_096_000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: available)
    assert free_memory(tmp_path) == 4_096_000
    for name, text in (("max", "max"), ("current", "900"), ("stat", "anon 5\ninactive_file 300\n")):
        (tmp_path / f"memory.{name}").write_text(text)
    assert free_memory(tmp_path) == 4_096_000
    (tmp_path / "memory.max").write_text("1000\n")
    assert free_memory(tmp_path) == 400


@pytest.mark.parametrize("unshuffle", [1, 2])
def test_the_reach_is_the_receptive_field(network, unshuffle: int) -> None:
    made = network(every=2, unshuffle=unshuffle)
    radius, size = reach(made.config), 61 * unshuffle
    up, down = [], []
    for at in (middle := size // 2 // unshuffle * unshuffle, middle + unshuffle - 1):
        x = torch.rand(1, 1, size, size, requires_grad=True)
        made(x, 0.1)[0, 0, at, at].backward()
        rows = x.grad[0, 0].abs().sum(1).nonzero().flatten()
        up.append(at - int(rows.min()))
        down.append(int(rows.max()) - at)
    assert max(up) == max(down) == radius


def given(x: torch.Tensor):
    return lambda rows, cols: Given(x[:, :, rows, cols], x[:, :, rows, cols])


def tiled(
    run, config: Config, x: torch.Tensor, memory: int, precision: torch.dtype = torch.float32, scale: int = 1
) -> torch.Tensor:
    plan = make_plan(config, *x.shape[2:], precision=precision, memory=memory, scale=scale)
    assert len(list(plan.tiles())) >= 4
    out = torch.zeros(*x.shape[:2], x.shape[2] * scale, x.shape[3] * scale)
    for rows, cols, restored, beside in pieces(run, plan, given(x), torch.tensor([0.1])):
        out[:, :, rows, cols] = restored
        seen_rows, seen_cols = (slice(part.start // scale, part.stop // scale) for part in (rows, cols))
        assert torch.equal(beside, x[:, :, seen_rows, seen_cols])
    return out


@pytest.mark.parametrize("unshuffle", [1, 2, 3])
def test_tiled_equals_untiled(network, unshuffle: int) -> None:
    x = torch.rand(1, 1, 151 * unshuffle, 170 * unshuffle - 1)
    made = network(unshuffle=unshuffle)
    expected = restore(FusedNLRN(made), x, 0.1)
    together = tiled(FusedNLRN(made), made.config, x, 2_000_000 * unshuffle)
    torch.testing.assert_close(together, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_tiles_of_the_small_image_make_the_large_one(network, scale: int) -> None:
    x, made = torch.rand(1, 1, 151, 169), network(task="sr", noise_map=False, post_upsampling=True)
    fused = FusedNLRN(made)
    together = tiled(partial(fused, scale=scale), made.config, x, 2_500_000, scale=scale)
    assert together.shape == (1, 1, 151 * scale, 169 * scale)
    torch.testing.assert_close(together, restore(fused, x, scale=scale), atol=1e-5, rtol=0)


# each network once: two models may share one
@pytest.mark.parametrize("name", paced({card["sha256"]: name for name, card in cards.list_models().items()}.values()))
def test_the_seams_of_the_models_that_ship_in_grey_levels(name: str) -> None:
    made = models.load(name)
    halo = min(reach(made.config), 64 * made.config.unshuffle)
    side = 2 * halo + 76
    y, x = torch.meshgrid(torch.arange(float(side)), torch.arange(float(side)), indexing="ij")
    picture = 0.5 + 0.2 * torch.sin(x * y / 300) + 0.2 * (torch.sin(x / 5 + y / 9) > 0)
    noise = torch.randn(1, made.config.channels, side, side, generator=torch.Generator().manual_seed(0))
    noisy = picture.view(1, 1, side, side) + 0.1 * noise
    whole, seams, scale = {}, {}, 2 if made.config.post_upsampling else 1
    # bf16 where it is what people get: emulated it takes minutes
    for precision in (torch.float32, *([torch.bfloat16] if has_fast_bf16(CPU) else [])):
        run = partial(FusedNLRN(made, precision), scale=2)
        memory = (side // 2 + halo + 4) ** 2 * bytes_per_pixel(made.config, precision, CPU, scale)
        whole[precision] = run(noisy, 0.1) * 255
        seams[precision] = tiled(run, made.config, noisy, memory, precision, scale) * 255 - whole[precision]
    assert seams[torch.float32].abs().max() < 0.01
    assert seams[torch.float32].abs().mean() < 0.001
    if torch.bfloat16 in seams:
        # every order of the same sums rounds differently in bf16; that is all there is to see, and no more of it
        rounding = whole[torch.bfloat16] - whole[torch.float32]
        assert seams[torch.bfloat16].abs().max() < 2 * rounding.abs().max()
        assert seams[torch.bfloat16].square().mean() < rounding.square().mean()


class Cramped:
    """A network on a device whose memory holds so many pixels."""

    def __init__(self, network: NLRN, pixels: int, error: type[Exception] = torch.OutOfMemoryError) -> None:
        self.run, self.pixels, self.error, self.seen = FusedNLRN(network), pixels, error, 0

    def __call__(self, x: torch.Tensor, sigma: torch.Tensor | None) -> torch.Tensor:
        if x[0, 0].numel() > self.pixels:
            raise self.error("out of memory")
        self.seen += x[0, 0].numel()
        return self.run(x, sigma)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, MemoryError])
def test_out_of_memory_halves_the_tiles(network, error: type[Exception], caplog) -> None:
    made, x = network(), torch.rand(1, 1, 150, 170)
    run = Cramped(made, 70 * 80, error)
    with caplog.at_level("INFO", "nlrn"):
        torch.testing.assert_close(
            tiled(run, made.config, x, 7_000_000), restore(FusedNLRN(made), x, 0.1), atol=1e-5, rtol=0
        )
    assert "out of memory" in caplog.text


def test_out_of_memory_late_keeps_what_is_finished(network) -> None:
    made, x = network(), torch.rand(1, 1, 150, 170)
    run = Cramped(made, 150 * 170)
    whole = make_plan(made.config, 150, 170, memory=2_000_000)
    tiles = list(whole.tiles())
    written, out = [], torch.empty_like(x)
    progress: list[tuple[int, int]] = []
    for rows, cols, restored, _ in pieces(
        run, whole, given(x), torch.tensor([0.1]), progress=lambda *now: progress.append(now)
    ):
        written.append((rows, cols))
        out[:, :, rows, cols] = restored
        if len(written) == len(tiles) // 2:
            run.pixels = 70 * 70  # somebody else took the memory
    assert written[: len(tiles) // 2] == tiles[: len(tiles) // 2]
    assert sum((r.stop - r.start) * (c.stop - c.start) for r, c in written) == 150 * 170
    assert progress[-1] == (150 * 170, 150 * 170)
    torch.testing.assert_close(out, restore(FusedNLRN(made), x, 0.1), atol=1e-5, rtol=0)


def test_too_little_memory_for_any_tile(network) -> None:
    made = network()
    with pytest.raises(MemoryError, match="smallest tiles"):
        tiled(Cramped(made, 0), made.config, torch.rand(1, 1, 100, 100), 2_000_000)


def test_planes_take_turns_where_all_at_once_have_no_room(network) -> None:
    made, x = network(), torch.rand(3, 1, 60, 64)
    cost = bytes_per_pixel(made.config, torch.float32, CPU)
    plan = make_plan(made.config, 60, 64, images=3, memory=60 * 64 * cost)
    assert (plan.batch, plan.tile_height, plan.tile_width) == (1, 60, 64)
    out, levels = torch.empty_like(x), torch.tensor([0.05, 0.1, 0.2])
    for rows, cols, restored, _ in pieces(FusedNLRN(made), plan, given(x), levels):
        out[:, :, rows, cols] = restored
    torch.testing.assert_close(out, restore(FusedNLRN(made), x, levels), atol=1e-5, rtol=0)


def test_a_flat_field_shows_no_grid(network) -> None:
    made = network()
    inner = tiled(FusedNLRN(made), made.config, torch.full((1, 1, 150, 150), 0.5), 2_000_000)[0, 0, 40:-40, 40:-40]
    assert inner.max() - inner.min() < 1e-5


def test_the_ensemble_is_the_mean_over_flips_and_turns(network) -> None:
    made, x = network(), torch.rand(1, 1, 12, 15)
    views = [x, x.flip(3)]
    views = [v.rot90(k, (2, 3)) for v in views for k in range(4)]
    back = [made(v, 0.1).rot90(-k, (2, 3)) for v, k in zip(views, [0, 1, 2, 3] * 2, strict=True)]
    expected = (sum(back[:4]) + sum(b.flip(3) for b in back[4:])) / 8
    torch.testing.assert_close(restore(FusedNLRN(made), x, 0.1, ensemble=True), expected, atol=1e-5, rtol=0)


def test_progress_ends_at_the_whole(network) -> None:
    seen: list[tuple[int, int]] = []
    restore(
        FusedNLRN(network()), torch.rand(1, 1, 20, 30), 0.1, progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(600, 600)]


MEASURE = """
import torch
from pathlib import Path
from nlrn.config import Config
from nlrn.network import NLRN
from nlrn.inference.fused import FusedNLRN
from nlrn.inference.whole import restore
from nlrn.inference.tiles import make_plan

def peak():
    line = next(l for l in Path("/proc/self/status").read_text().splitlines() if l.startswith("VmHWM"))
    return int(line.split()[1]) * 1024

network = NLRN(Config(**{fields})).eval().to(memory_format=torch.channels_last)
restore(FusedNLRN(network, {precision}), torch.rand(1, 1, 32, 32), 0.1, scale=4)
before = peak()
restore(FusedNLRN(network, {precision}), torch.rand(1, 1, {side}, {side}), 0.1, scale=4)
print(peak() - before, make_plan(network.config, {side}, {side}, precision={precision}, scale=4).bytes)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
@pytest.mark.parametrize(
    ("fields", "side"),
    [
        ({"steps": 6, "filters": 64, "embedding": 32, "window": 15, "every": 2, "noise_map": True}, 300),
        ({"steps": 4, "window": 9, "noise_map": True}, 200),
        ({"steps": 12, "filters": 64, "embedding": 32, "window": 15, "every": 3, "unshuffle": 2}, 500),
        ({"task": "sr", "steps": 6, "filters": 32, "embedding": 16, "window": 9, "post_upsampling": True}, 300),
        ({"steps": 7, "filters": 32, "embedding": 16, "window": 15, "noise_map": True}, 300),
        ({"steps": 2, "window": 5, "filters": 64, "similarity": "euclidean"}, 200),
    ],
    ids=["lite", "paper's widths", "unshuffled", "enlarging", "map of logits", "euclidean"],
)
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
def test_the_memory_is_as_predicted(fields, side: int, precision: torch.dtype) -> None:
    code = MEASURE.format(fields=fields, side=side, precision=precision)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    used, predicted = map(int, done.stdout.split())
    assert 0.4 * predicted < used < predicted
