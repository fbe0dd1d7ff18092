"""``nlrn bench``: it runs on small sizes, and what it says fits together."""

import json
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from nlrn import models
from nlrn.bench import network as bench_network
from nlrn.bench.arithmetic import forward_flops
from nlrn.bench.propagation import propagation, table
from nlrn.bench.training import shipped, training
from nlrn.cli import main
from nlrn.config import Config
from nlrn.correlation import available
from nlrn.correlation.kernels import KERNELS
from nlrn.network import NLRN


def test_network(tmp_path: Path, network: Callable[..., NLRN]) -> None:
    models.save(network(), tmp_path)
    results = bench_network.network([str(tmp_path)], size=59, precisions=["fp32"], repeats=1, patches=4)
    assert json.loads(json.dumps(results)) == results
    (row,) = results["rows"]
    assert row["us_per_pixel"] == pytest.approx(row["seconds"] * 1e6 / 59**2)
    assert sum(row["shares"].values()) == pytest.approx(1)
    assert min(row["shares"].values()) > 0
    assert row["peak_bytes"] > 50e6
    released = row["released"]
    assert (released["patches"], released["patches_timed"], released["extrapolated"]) == (9, 4, True)
    assert "extrapolated from 4 of 9 patches" in bench_network.table(results)


def test_propagation() -> None:
    results = propagation(steps=4, size=12, window=5, depth=8, width=16, repeats=1)
    assert json.loads(json.dumps(results)) == results
    # in place only where a kernel multiplies the type as it is, and no map at all without kernels
    kept = [(r["form"], r["precision"]) for r in results["rows"] if r["form"] != "map in place"]
    forms = ("concatenation", "map") if set(available()) & set(KERNELS) else ("concatenation",)
    assert kept == [(form, precision) for precision in ("fp32", "bf16") for form in forms]
    for row in results["rows"]:
        assert len(row["us_per_pixel"]) == 4
        assert (row["training_us_per_pixel"] is None) == (row["form"] == "map in place")
        assert min(*row["us_per_pixel"], row["training_us_per_pixel"] or 1) > 0
    assert "concatenation  bf16" in table(results)


def test_training() -> None:
    results = training(["denoise-gray-lite"], batch=2, patch=8, repeats=1)
    assert json.loads(json.dumps(results)) == results
    assert len(results["rows"]) == 4
    for row in results["rows"]:
        assert row["pixels_per_second"] == pytest.approx(2 * 8 * 8 / row["seconds"])
        assert row["flops"] * row["seconds"] == pytest.approx(
            3 * 2 * forward_flops(models.load("denoise-gray-lite"), 8)
        )
        assert row["gemm_fraction"] > 0
    for native, torchs in zip(results["rows"][::2], results["rows"][1::2], strict=True):
        assert native["ratio"] == pytest.approx(torchs["seconds"] / native["seconds"])
        assert torchs["ratio"] == 1


def test_training_is_timed_for_every_configuration_that_ships() -> None:
    configs = [models.load(name).config for name in shipped()]
    assert len(set(configs)) == len(configs)
    assert set(configs) == {models.load(name).config for name in models.list_models()}


@pytest.mark.parametrize(("similarity", "every"), [("embedded-gaussian", 2), ("euclidean", 1), ("dot", 0)])
def test_operations_are_those_that_pytorch_counts(similarity: str, every: int) -> None:
    """PyTorch counts convolutions; of the correlation, which it does not know, every product is counted here."""
    config = Config(
        channels=3, steps=3, filters=8, embedding=4, window=3, similarity=similarity, every=every, unshuffle=2
    )
    network = NLRN(config).eval()
    blocks = {0: 0, 1: 3, 2: 2}[every]
    depth = 4 if similarity == "embedded-gaussian" else 8
    pairs = sum(abs(i - j) <= 1 for i in range(5) for j in range(5)) ** 2
    without = mock.patch("nlrn.network.propagated_attention", lambda q, k, v, *_, **__: (v, None))
    with without, FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(torch.rand(1, 3, 10, 10))
    assert forward_flops(network, 10) == counter.get_total_flops() + 2 * blocks * pairs * (depth + 8)


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "figures.json"
    arguments = ["training", "denoise-gray-lite", "--batch", "1", "--patch", "8", "--repeats", "1"]
    assert main(["bench", *arguments, "--json", str(file)]) == 0
    rows = json.loads(file.read_text())["rows"]
    assert {row["form"] for row in rows} == {"native", "torch"}
    assert capsys.readouterr().out.count("denoise-gray-lite") == len(rows)
    assert main(["bench", "network", "no-such-model"]) == 2
    assert "no such model" in capsys.readouterr().err


def test_the_papers_network_is_measured_with_every_part_at_work() -> None:
    made = bench_network._load(bench_network.PAPER)
    assert all(parameter.any() for name, parameter in made.named_parameters() if "weight" in name)
