"""Training learns, resumes exactly, is the same on two processes, and stops cleanly."""

import json
import os
import platform
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from nlrn import models
from nlrn.config import Config
from nlrn.errors import UserError
from nlrn.images import write
from nlrn.models import cards
from nlrn.network import NLRN
from nlrn.pixels.degradations import DEGRADATIONS
from nlrn.pixels.degradations.bicubic import Enlarged, Reduced
from nlrn.pixels.degradations.record import Batch, Degradation
from nlrn.pixels.degradations.white import White
from nlrn.pixels.degrade import resize_bicubic, round_8bit
from nlrn.pixels.patches import Patches
from nlrn.training import loop
from nlrn.training.data import hold_out, read_images, smaller_copies
from nlrn.training.loop import train
from nlrn.training.loss import error_of
from nlrn.training.optimizer import orthogonal
from nlrn.training.record import StopSign
from nlrn.training.settings import LOSSES, Schedule, Settings
from nlrn.training.weights import take_weights

TINY = Config(steps=3, filters=8, embedding=4, window=5, every=2, noise_map=True)
SR = replace(TINY, task="sr", noise_map=False)
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of pictures with edges and texture at all angles."""
    folder = tmp_path / "photos"
    folder.mkdir()
    y, x = np.mgrid[:96, :120] / 96
    for i in range(6):
        turn = np.cos(i) * x + np.sin(i) * y
        picture = 0.5 + 0.25 * np.sign(np.sin(9 * turn)) + 0.2 * np.sin(40 * (x - y * i / 3))
        Image.fromarray((picture.clip(0, 1) * 255).astype(np.uint8)).convert("RGB").save(folder / f"{i}.png")
    return folder


def tiny(photos: Path, out: Path, **changes: object) -> Settings:
    settings = Settings(
        data=(photos,), out=out, iterations=20, batch=4, patch=16, validate=10, held_out=2, device="cpu",
        precision="fp32", warmup=5, steps_from=2, freeze=0.25,
    )  # fmt: skip
    return replace(settings, **changes)  # type: ignore[arg-type]


def final_weights(out: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(out / "checkpoint.pt", weights_only=True)["network"]
    return state


def losses(out: Path) -> list[float]:
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


def test_resumed_is_the_same_as_straight(photos: Path, tmp_path: Path) -> None:
    train(TINY, tiny(photos, tmp_path / "straight"))
    # a deadline in the past stops after one iteration; ten such starts and a last one without make twenty
    for minutes in [0.0] * 10 + [1e9]:
        train(TINY, tiny(photos, tmp_path / "resumed", minutes=minutes))
    straight, resumed = final_weights(tmp_path / "straight"), final_weights(tmp_path / "resumed")
    assert all(torch.equal(straight[n], resumed[n]) for n in straight)


def test_what_it_leaves_is_a_model(photos: Path, tmp_path: Path) -> None:
    best, finished, *_ = train(TINY, tiny(photos, tmp_path / "out"))
    assert finished
    network = models.load(tmp_path / "out")
    assert network.config == TINY
    card = json.loads((tmp_path / "out" / cards.CARD).read_text())
    scores = card["training"]["validation_psnr"].values()
    assert sum(scores) / len(scores) == pytest.approx(best)
    assert list((tmp_path / "out").glob("events*"))


def test_a_run_that_ends_by_the_clock_ends_with_a_rate_of_nearly_zero(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class MinuteAStep(StopSign):
        left = 100.0

        def minutes_left(self) -> float:
            self.left -= 1
            return self.left

    monkeypatch.setattr("nlrn.training.loop.StopSign", MinuteAStep)
    settings = tiny(photos, tmp_path / "out", iterations=1000, warmup=1, minutes=100.0, cool=50.0)
    assert not train(TINY, settings).finished
    lines = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    rates = {line["iteration"]: line["rate"] for line in lines if "rate" in line}
    assert rates.keys() == {20, 40, 60, 80, 100}
    assert rates[40] > 0.99
    assert rates[80] == pytest.approx(21 / 50, abs=0.02)
    assert rates[100] < 0.04


def test_another_network_cannot_resume(photos: Path, tmp_path: Path) -> None:
    assert not train(TINY, tiny(photos, tmp_path / "out", minutes=0.0)).finished
    with pytest.raises(ValueError, match="another network"):
        train(replace(TINY, window=7), tiny(photos, tmp_path / "out"))


def test_steps_that_join_at_a_resume_start_from_the_last_before_them(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    train(TINY, tiny(photos, out, minutes=0.0, iterations=10_000))
    before = final_weights(out)["norms.1.conv1.running_mean"]
    train(TINY, tiny(photos, out, minutes=0.0, iterations=2, rate=1e-12))
    after = final_weights(out)
    # one iteration later both have moved, from the same values, by a tenth of the way to their own statistics
    assert (after["norms.2.conv1.running_mean"] - before).abs().max() < 0.5
    assert after["norms.2.conv1.running_mean"].abs().sum() > 0.5 * before.abs().sum() > 0


def test_more_steps_start_from_fewer(photos: Path, tmp_path: Path) -> None:
    train(replace(TINY, steps=2), tiny(photos, tmp_path / "few"))
    train(TINY, tiny(photos, tmp_path / "more", init=str(tmp_path / "few"), minutes=0.0, rate=1e-12))
    few, more = models.load(tmp_path / "few").state_dict(), final_weights(tmp_path / "more")
    assert torch.allclose(more["bodies.0.conv1.weight"], few["bodies.0.conv1.weight"], atol=1e-6)
    assert torch.allclose(more["norms.2.conv1.weight"], few["norms.1.conv1.weight"], atol=1e-6)


def lively(config: Config) -> NLRN:
    """A network whose weights all do something."""
    torch.manual_seed(0)
    made = NLRN(config).eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return made


@pytest.mark.parametrize("groups", [2, 3])
def test_more_groups_start_from_fewer(groups: int) -> None:
    one = lively(TINY)
    several = NLRN(replace(TINY, groups=groups)).eval()
    take_weights(several, one)
    picture = torch.rand(1, 1, 12, 10)
    with torch.inference_mode():
        assert torch.equal(several(picture, 0.1), one(picture, 0.1))


def test_more_steps_of_a_group_start_with_its_last_norms() -> None:
    few = lively(replace(TINY, steps=4, groups=2))
    more = NLRN(replace(TINY, steps=6, groups=2))
    take_weights(more, few)
    for step, lender in enumerate([0, 1, 1, 2, 3, 3]):
        assert torch.equal(more.norms[step].conv1.weight, few.norms[lender].conv1.weight)


def test_steps_join_no_network_of_several_groups(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="steps_from is for a network of one group"):
        train(replace(TINY, groups=2), tiny(photos, tmp_path / "out"))


@pytest.mark.parametrize("times", [2, 3])
def test_a_wider_network_starts_from_a_narrow_one(times: int) -> None:
    narrow = lively(TINY)
    wide = NLRN(replace(TINY, filters=8 * times, embedding=4 * times)).eval()
    take_weights(wide, narrow)
    picture = torch.rand(1, 1, 12, 10)
    with torch.inference_mode():
        assert torch.allclose(wide(picture, 0.1), narrow(picture, 0.1), atol=1e-3)
    kernel = wide.bodies[0].conv1.weight
    assert not torch.allclose(kernel[:, :8], kernel[:, 8:16], atol=0.1)  # copies are told apart by what reads them


@pytest.mark.parametrize("unshuffle", [1, 2])
def test_colour_starts_from_gray(unshuffle: int) -> None:
    torch.manual_seed(0)
    gray = NLRN(replace(TINY, unshuffle=unshuffle)).eval()
    torch.nn.init.normal_(gray.tail.weight)
    colour = NLRN(replace(TINY, unshuffle=unshuffle, channels=3)).eval()
    take_weights(colour, gray)
    picture = torch.rand(1, 1, 12, 10)
    with torch.inference_mode():
        restored = colour(picture.expand(-1, 3, -1, -1), 0.1)
        assert torch.allclose(restored, gray(picture, 0.1).expand(-1, 3, -1, -1), atol=1e-4)


def test_a_rate_that_no_halving_cures_ends_it(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(FloatingPointError, match="lower --rate"):
        train(TINY, tiny(photos, tmp_path / "out", rate=1e30, warmup=0, iterations=150, clip=1e30))


def command(photos: Path, out: Path, *more: str) -> list[str]:
    start = f"-m nlrn train denoise --data {photos} --out {out} --device cpu --precision fp32"
    network = "--steps 3 --filters 8 --embedding 4 --window 5 --noise-map --patch 16 --held-out 2"
    return [sys.executable, *f"{start} {network}".split(), *more]


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_request_to_stop_leaves_a_checkpoint(photos: Path, tmp_path: Path, name: str, code: int) -> None:
    out = tmp_path / "out"
    endless = command(photos, out, "--iterations", "100000")
    # tests that a shell runs in the background inherit a Ctrl-C that is ignored
    heeding = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(endless, stderr=subprocess.PIPE, text=True, env=ONE_THREAD, preexec_fn=heeding)
    deadline = time.monotonic() + 120
    while not (out / "metrics.jsonl").exists() or not losses(out):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(getattr(signal, name))
    said = process.communicate(timeout=60)[1]
    assert process.returncode == code, said
    saved = torch.load(out / "checkpoint.pt", weights_only=True)["iteration"]
    assert saved >= 20
    assert f"iteration {saved} of 100000 is saved in {out}" in said.splitlines()[-1]
    assert (out / "model.safetensors").is_file()


@pytest.mark.slow
def test_two_processes_are_one_with_the_double_batch(photos: Path, tmp_path: Path) -> None:
    # with frozen norms, since running statistics are each process's own
    same = ["--iterations", "20", "--freeze", "1", "--batch", "4", "--clip", "1e9"]
    for name, more in (("one", []), ("two", ["--devices", "2"])):
        subprocess.run(command(photos, tmp_path / name, *same, *more), check=True, env=ONE_THREAD, timeout=300)
    one, two = final_weights(tmp_path / "one"), final_weights(tmp_path / "two")
    assert all(torch.allclose(one[n].double(), two[n].double(), atol=1e-4) for n in one)


@pytest.mark.slow
def test_it_learns_to_denoise(photos: Path, tmp_path: Path) -> None:
    settings = tiny(photos, tmp_path / "out", iterations=400, validate=400, batch=8, patch=24)
    before = np.mean([20 * np.log10(255 / s) for s in (15, 25, 50)])
    assert train(TINY, settings).psnr > before + 4


def test_patches_are_pieces_of_the_images_in_all_eight_positions() -> None:
    image = np.arange(48, dtype=np.uint8).reshape(6, 8, 1)
    cut = (Patches([image]).cut(400, 3, torch.Generator().manual_seed(0)) * 255).round().long()[:, 0]
    whole = torch.from_numpy(image).long().squeeze(2)
    possible = {
        tuple(view.flatten().tolist())
        for top in range(4)
        for left in range(6)
        for piece in [whole[top : top + 3, left : left + 3]]
        for turned in (piece.rot90(k) for k in range(4))
        for view in (turned, turned.flip(1))
    }
    seen = {tuple(patch.flatten().tolist()) for patch in cut}
    assert seen <= possible
    assert len(seen) > 0.8 * len(possible)


def test_noise_has_the_level_it_says() -> None:
    patches = Patches([np.full((64, 64, 1), 128, np.uint8)])
    batch = White(TINY, (10, 50)).batch(patches, 8, 64, 0, torch.Generator().manual_seed(0))
    measured = (batch.degraded - batch.clean).std((1, 2, 3))
    torch.testing.assert_close(measured, batch.sigma, rtol=0.05, atol=0)
    assert batch.sigma.min() >= 10 / 255
    assert batch.sigma.max() <= 50 / 255


def test_reduced_patches_are_cut_from_reduced_images() -> None:
    generator = torch.Generator().manual_seed(0)
    smooth = np.add.outer(np.arange(96), np.arange(96)).astype(np.uint8)[..., None]
    batch = Enlarged(SR, (2, 3, 4)).batch(Patches([smooth]), 6, 24, 0, generator)
    assert batch.degraded.shape == batch.clean.shape == (6, 1, 24, 24)
    # a ramp survives reduction: only the 8-bit rounding is left, and no border effect reaches the patch
    assert (batch.degraded - batch.clean).abs().max() < 1.1 / 255


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_patches_begin_where_a_pixel_of_the_reduced_image_does(scale: int) -> None:
    quarter = np.random.default_rng(0).integers(0, 256, (24, 24))
    half = np.concatenate([quarter + quarter.T, (quarter + quarter.T)[::-1]]) // 2
    same_from_all_sides = np.concatenate([half, half[:, ::-1]], 1).astype(np.uint8)[..., None]
    patches = Patches([same_from_all_sides])
    batch = Enlarged(SR, (scale,)).batch(patches, 3, 20, 0, torch.Generator().manual_seed(0))
    whole = torch.from_numpy(same_from_all_sides[..., 0]).float().view(1, 1, 48, 48) / 255
    small = round_8bit(resize_bicubic(whole, 48 // scale, 48 // scale))
    expected = resize_bicubic(small, 48, 48)[..., 12:32, 12:32]
    assert torch.allclose(batch.degraded, expected.expand(3, -1, -1, -1), atol=1e-6)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_patch_at_low_resolution_is_one_of_the_reduced_image(scale: int) -> None:
    whole = np.random.default_rng(0).integers(0, 256, (16 * scale, 16 * scale), np.uint8)[..., None]
    generator = torch.Generator().manual_seed(0)
    batch = Reduced(SR, (scale,)).batch(Patches([whole]), 8, 12, 0, generator)
    assert batch.degraded.shape == (8, 1, 12, 12)
    assert batch.clean.shape == (8, 1, 12 * scale, 12 * scale)
    assert batch.scale == scale
    # the patch with its margin is the whole image, in one of its eight positions
    image = torch.from_numpy(whole[..., 0]).float()[None, None] / 255
    seen = round_8bit(resize_bicubic(image, 16, 16))[..., 2:-2, 2:-2]
    cut = image[..., 2 * scale : -2 * scale, 2 * scale : -2 * scale]
    pairs = [
        (s.flip(2) if flipped else s, c.flip(2) if flipped else c)
        for s, c in ((seen.rot90(k, (2, 3)), cut.rot90(k, (2, 3))) for k in range(4))
        for flipped in (False, True)
    ]
    for degraded, clean in zip(batch.degraded, batch.clean, strict=True):
        at = [i for i, (_, c) in enumerate(pairs) if torch.equal(c[0], clean)]
        assert len(at) == 1
        torch.testing.assert_close(degraded, pairs[at[0]][0][0], atol=1.01 / 255, rtol=0)
        assert (degraded - pairs[at[0]][0][0]).abs().mean() < 0.05 / 255


def test_images_too_small_for_a_scale_are_passed_over_there() -> None:
    dark, light = np.full((32, 40, 1), 50, np.uint8), np.full((64, 64, 1), 200, np.uint8)
    cut = Patches([dark, light]).cut(64, 33, torch.Generator().manual_seed(0))
    assert (cut == 200 / 255).all()
    assert len(Patches([dark, light]).cut(64, 32, torch.Generator().manual_seed(0)).unique()) == 2


def test_smaller_copies_are_the_images_reduced() -> None:
    image = np.add.outer(np.arange(40), np.arange(60)).astype(np.uint8)[..., None]
    copies = smaller_copies([image, image[:20]], (0.5, 0.25), 15)
    assert [copy.shape for copy in copies] == [(40, 60, 1), (20, 60, 1), (20, 30, 1)]
    assert abs(int(copies[2][10, 10, 0]) - int(image[20, 20, 0])) <= 1


@pytest.mark.parametrize("name", LOSSES)
def test_the_loss_is_the_error_it_is_named_for(name: str) -> None:
    clean, weight = torch.zeros(2, 1, 4, 4), torch.tensor([1.0, 4.0])
    off = torch.tensor([0.1, 0.3]).view(2, 1, 1, 1).expand_as(clean)
    found = error_of(name, off, Batch(off, clean, torch.zeros(2), weight))
    expected = {"squared": (0.01 + 4 * 0.09) / 2, "charbonnier": (0.1 + 2 * 0.3) / 2}[name]
    assert float(found) == pytest.approx(100 * expected, rel=1e-3)
    with pytest.raises(ValueError, match="loss must be one of"):
        Settings(data=(), out=Path(), loss="x")


@pytest.mark.parametrize("post_upsampling", [False, True])
def test_super_resolution_is_trained_in_both_forms(photos: Path, tmp_path: Path, post_upsampling: bool) -> None:
    config = replace(SR, post_upsampling=post_upsampling)
    out = tmp_path / "out"
    assert train(config, tiny(photos, out, patch=12)).finished
    assert models.load(out).config == config
    assert set(json.loads((out / cards.CARD).read_text())["training"]["validation_psnr"]) == {"2", "3", "4"}


def test_validation_images_are_not_trained_on() -> None:
    images = [np.full((2, 2, 1), i, np.uint8) for i in range(20)]
    training, aside = hold_out(images, 5)
    assert len(training) == 15
    assert len(aside) == 5
    assert not {int(i[0, 0, 0]) for i in training} & {int(i[0, 0, 0]) for i in aside}


class Inverted(Degradation):
    """Negatives, which a network can learn to turn back."""

    def batch(self, patches: Patches, count: int, side: int, turn: int, generator: torch.Generator) -> Batch:
        clean = patches.cut(count, side, generator)
        return Batch(1 - clean, clean, torch.zeros(count), torch.ones(count))


def test_a_new_degradation_is_one_small_class_and_its_name(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DEGRADATIONS["denoise"], "inverted", f"{__name__}:Inverted")
    settings = tiny(photos, tmp_path / "out", noise="inverted", iterations=100, validate=50, rate=2e-2)
    assert train(TINY, settings).finished
    lines = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    assert len([line for line in lines if "psnr_2" in line]) == 2
    assert losses(tmp_path / "out")[-1] < 0.3 * losses(tmp_path / "out")[0]


def test_a_degradation_is_one_of_the_task_and_for_a_network_that_fits(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"noise must be one of .*'white', 'photo', 'jpeg', 'bicubic'"):
        tiny(photos, tmp_path, noise="pink")
    with pytest.raises(ValueError, match="'photo' is no degradation for 'sr'; there is bicubic"):
        train(SR, tiny(photos, tmp_path / "out", noise="photo"))
    with pytest.raises(ValueError, match="with a noise map"):
        train(replace(TINY, noise_map=False), tiny(photos, tmp_path / "out", noise="photo"))
    usual, named = (tiny(photos, tmp_path, noise=name).degradation(SR) for name in ("white", "bicubic"))
    assert usual == named


def test_images_are_read_as_the_network_needs_them(photos: Path) -> None:
    assert read_images([photos], "gray")[0].shape == (96, 120, 1)
    assert read_images([photos], "rgb")[0].shape == (96, 120, 3)
    luma = read_images([photos], "luma")[0]
    assert luma.min() >= 16
    assert luma.max() <= 235
    with pytest.raises(ValueError, match="no images"):
        read_images([photos / "none"], "gray")
    assert len(read_images([photos], "gray", smallest=96)) == len(read_images([photos], "gray"))
    with pytest.raises(ValueError, match=r"\.png: 120 x 96 pixels are too few"):
        read_images([photos], "gray", smallest=97)
    (photos / "broken.png").write_bytes(b"not a picture")
    with pytest.raises(UserError, match=r"broken\.png"):
        read_images([photos], "gray")


def test_training_reads_all_that_the_command_reads(tmp_path: Path) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (12, 14, 3), np.uint16)
    write(tmp_path / "a.tif", deep)
    write(tmp_path / "b.pgm", deep[..., 0])
    Image.fromarray((deep // 257).astype(np.uint8)).save(tmp_path / "c.png")
    colour, gray, plain = read_images([tmp_path], "rgb")
    assert (colour == np.rint(deep / 257)).all()
    assert (gray == colour[..., :1]).all()
    with Image.open(tmp_path / "c.png") as file:
        assert (plain == np.array(file)).all()
        assert (read_images([tmp_path], "gray")[2][..., 0] == np.array(file.convert("L"))).all()


def test_the_schedule_rises_grows_and_falls() -> None:
    settings = Settings(
        data=(), out=Path(), iterations=100, warmup=10, steps_from=2, patch=40, patch_from=20, freeze=0.25
    )
    schedule = Schedule(settings, replace(TINY, steps=6))
    rates = [schedule.rate(i) for i in range(100)]
    assert max(rates) == pytest.approx(1, rel=0.05)
    assert rates.index(max(rates)) in (9, 10)
    assert rates[-1] < 0.02
    steps = [schedule.steps(i) for i in range(100)]
    assert steps == sorted(steps)
    assert steps[0] == 2
    assert set(steps[60:]) == {6}
    assert [schedule.patch(0), schedule.patch(99)] == [20, 40]
    assert [schedule.frozen(74), schedule.frozen(75)] == [False, True]
    assert Schedule(replace(settings, freeze=1.0), TINY).frozen(0)


def test_a_rate_can_stay_at_its_peak_until_it_falls_at_the_end() -> None:
    settings = Settings(data=(), out=Path(), iterations=100, warmup=10, fall=0.2)
    rates = [Schedule(settings, TINY).rate(i) for i in range(100)]
    assert rates[9:81] == [1.0] * 72
    assert rates[80:] == sorted(rates[80:], reverse=True)
    assert rates[-1] < 0.03


def test_updates_are_nearly_orthogonal() -> None:
    torch.manual_seed(0)
    for shape in ((8, 72), (72, 8)):
        values = torch.linalg.svdvals(orthogonal(torch.randn(shape) @ torch.diag(torch.rand(shape[1]) + 0.05)))
        assert values.min() > 0.6
        assert values.max() < 1.3


def test_numbers_too_small_for_a_normal_float_are_zero_in_training(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What multiplies them takes tens of times as long on many processors."""
    small, seen = torch.full((), 1e-310, dtype=torch.float64), []

    def noted(*arguments: Any) -> torch.Tensor:
        seen.append(float(small / 2))
        return error_of(*arguments)

    monkeypatch.setattr(loop, "error_of", noted)
    train(TINY, tiny(photos, tmp_path / "run", iterations=2))
    assert seen == [0.0, 0.0]
    assert float(small / 2) > 0  # as before


@pytest.mark.skipif(sys.platform != "linux" or platform.libc_ver()[0] != "glibc", reason="glibc only")
def test_memory_that_is_freed_is_used_again() -> None:
    """In a process of its own, since there is no way back."""
    program = (
        "import resource, torch\n"
        "from nlrn.training.memory import keep_what_is_freed\n"
        "assert keep_what_is_freed()\n"
        "def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "def step(): return [torch.ones(2**20) for _ in range(8)]\n"
        "step(), step()\n"
        "before = faults()\n"
        "step()\n"
        "assert faults() - before < 200, faults() - before\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
