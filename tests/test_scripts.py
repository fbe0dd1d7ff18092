"""What the scripts of trainers and of the tables do beside calling the package."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
import draw_patterns
import fit_noise_levels
import make_noise_samples
import measure_attention
import torch
from release import ROOT


def test_rows_of_one_model_leave_those_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    text = "before\n<!-- attention -->\n| sr-lite | old |\n| denoise-gray | kept |\n| gone | |\n<!-- end -->\nafter\n"
    page.write_text(text)
    monkeypatch.setattr(measure_attention, "PAGE", page)
    measure_attention.put({"sr-lite": ["| sr-lite | new |"]})
    lines = page.read_text().splitlines()
    assert lines[0] == "before"
    assert lines[-4:] == ["| denoise-gray | kept |", "| sr-lite | new |", "<!-- end -->", "after"]
    assert not any("old" in line or "gone" in line for line in lines)


def test_every_model_that_ships_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    assert all(f"| `{name}` |" in readme for name in measure_attention.models.list_models())


def test_what_is_missing_to_the_best_level_is_read_between_those_that_were_tried() -> None:
    errors = torch.tensor([[100.0, 40.0, 10.0, 20.0]])
    curves = fit_noise_levels.Curves(torch.tensor([[2.0, 4.0, 8.0]]), errors)
    logs = [np.log(level + fit_noise_levels.FLOOR) for level in (0, 2, 4, 8)]
    one = torch.tensor([0])

    def missing(said: float) -> float:
        return float(curves(one, torch.tensor([said])))

    best = fit_noise_levels.decibels(errors)[0]
    for log, psnr in zip(logs, best, strict=True):
        assert missing(log) == pytest.approx(float(best.max() - psnr), abs=1e-3)
    assert missing((logs[0] + logs[1]) / 2) == pytest.approx((missing(logs[0]) + missing(logs[1])) / 2, abs=1e-3)
    assert missing(logs[0] - 3) == pytest.approx(missing(logs[0]))  # less than nothing is nothing
    assert missing(logs[3] + 1) > missing(logs[3]) + 0.9  # more than was tried gets no better


@pytest.mark.parametrize("kind", dict.fromkeys(draw_patterns.KINDS), ids=lambda kind: kind.__name__)
def test_patterns_repeat_themselves(kind: Callable[[np.random.Generator, int], np.ndarray]) -> None:
    fine, side, part = draw_patterns.FINE, draw_patterns.CELL, 12
    for seed in range(4):
        drawn = kind(np.random.default_rng(seed), fine).reshape(side, fine, side, fine).mean((1, 3))
        assert drawn.min() >= 0
        assert 0.1 < np.ptp(drawn) <= 1
        if kind is draw_patterns.words:
            continue
        parts = np.lib.stride_tricks.sliding_window_view(drawn, (part, part))
        off = np.square(parts - drawn[50 : 50 + part, 50 : 50 + part]).mean((2, 3))
        off[46:55, 46:55] = np.inf  # itself
        assert off.min() < 0.2 * drawn.var()


def test_pictures_of_patterns_are_the_same_for_the_same_number(tmp_path: Path) -> None:
    draw_patterns.main([str(tmp_path), "--count", "2"])
    first, second = (np.array(Image.open(tmp_path / f"00{i}.png")) for i in range(2))
    assert np.array_equal(first, np.array(draw_patterns.picture(0)))
    assert not np.array_equal(first, second)


def test_samples_of_noise_are_made_and_fitted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(0)
    for i in range(2):
        small = Image.fromarray(random.integers(0, 255, (20, 20, 3), np.uint8))
        small.resize((280, 280), Image.Resampling.BICUBIC).save(tmp_path / f"{i}.png")
    made = [str(tmp_path / name) for name in ("levels.npz", "told.npz", "networks.npz")]
    make_noise_samples.main([str(tmp_path), "--out", made[0], "--levels-only", "--count", "110"])
    make_noise_samples.main([str(tmp_path), "--out", made[1], "--count", "3", "--seed", "3"])
    with np.load(made[1]) as told:
        assert told["told"].shape == (3, 3, 6)
        assert np.isfinite(told["errors"][:, :2]).all()
        # to be told a level that fits is better than to be left alone, and than to be told five times as much
        noisy = told["levels"][:, 0] > 3
        assert (told["errors"][noisy, 0].argmin(1) > 0).all()
    few = ["--out", made[2], "--levels-only", "--count", "200", "--only"]
    make_noise_samples.main([str(tmp_path), *few, "coarse"])
    with np.load(made[2]) as coarse:
        assert 30 < len(coarse["levels"]) < 80
        assert not coarse["levels"][:, 2].any()
        assert (coarse["levels"][:, 0] > 0.3).all()
    make_noise_samples.main([str(tmp_path), *few, "gray-white"])
    with np.load(made[2]) as gray:
        assert 0 < len(gray["levels"]) < 20
        assert gray["levels"][:, 2].all()
        assert (gray["levels"][:, 1] < 0.3).all()
    fit_noise_levels.main([*made[:2], "--out", made[2]])
    assert "without noise" in capsys.readouterr().out
    with np.load(made[2]) as networks:
        assert networks["third"].shape[1] == 7


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="runs bash")
def test_the_papers_network_trains_and_goes_on(tmp_path: Path) -> None:
    for i in range(2):
        pixels = np.random.default_rng(i).integers(0, 255, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    environment = {**os.environ, "OUT": str(tmp_path / "out"), "MINUTES": "5", "PYTHON": sys.executable}
    small = [
        "--steps",
        "2",
        "--filters",
        "4",
        "--embedding",
        "4",
        "--batch",
        "2",
        "--held-out",
        "1",
        "--device",
        "cpu",
    ]
    for iterations in ("20", "40"):
        asked = [ROOT / "scripts" / "train_paper.sh", tmp_path, *small, "--iterations", iterations]
        subprocess.run(asked, env=environment, check=True, timeout=120)
    lines = map(json.loads, (tmp_path / "out" / "metrics.jsonl").read_text().splitlines())
    assert [line["iteration"] for line in lines if "loss" in line] == [20, 40]
