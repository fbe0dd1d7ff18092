"""The peers are the networks of their papers, and the frontier tells of all that ship."""

import json

import pytest
import torch

from nlrn.bench.peers import PEERS
from nlrn.cli import main
from nlrn.models.cards import list_models

PARAMETERS = {
    ("gray", "FFDNet"): 485_000,
    ("gray", "DnCNN"): 555_000,
    ("gray", "DRUNet"): 32_600_000,
    ("colour", "FFDNet"): 852_000,
    ("colour", "DnCNN"): 668_000,
    ("colour", "DRUNet"): 32_600_000,
    ("x2", "VDSR"): 665_000,
    ("x2", "IMDN"): 694_000,
}


@pytest.mark.parametrize(("panel", "peer"), [(panel, peer) for panel, peers in PEERS.items() for peer in peers])
def test_a_peer_has_the_size_that_its_authors_published(panel: str, peer) -> None:
    parameters = sum(p.numel() for p in peer.build().parameters())
    assert parameters == pytest.approx(PARAMETERS[panel, peer.name], rel=0.02)


@pytest.mark.parametrize(("panel", "peer"), [(panel, peer) for panel, peers in PEERS.items() for peer in peers])
def test_a_peer_makes_an_image_of_the_right_size(panel: str, peer) -> None:
    with torch.inference_mode():
        made = peer.build()(torch.rand(1, peer.channels, 16, 24))
    assert made.shape == (1, peer.channels, 16 * peer.shrunk, 24 * peer.shrunk)


def test_the_frontier_times_every_scored_model_and_draws_it(tmp_path, capsys) -> None:
    figure, figures = tmp_path / "frontier.png", tmp_path / "frontier.json"
    asked = ["--size", "32", "--repeats", "1", "--precision", "fp32", "--figure", str(figure), "--json", str(figures)]
    assert main(["bench", "frontier", *asked]) == 0
    rows = {row["name"]: row for row in json.loads(figures.read_text())["rows"] if row["ours"]}
    scored = {n for n, card in list_models().items() if {"Set12", "CBSD68", "Set5"} & card["scores"].keys()}
    assert rows.keys() == scored
    assert all(row["seconds"]["fp32"] > 0 for row in rows.values())
    assert figure.read_bytes().startswith(b"\x89PNG")
    told = capsys.readouterr().out
    assert all(name in told for name in scored)


def test_a_size_that_the_networks_cannot_take_is_refused(capsys) -> None:
    assert main(["bench", "frontier", "--size", "30"]) == 2
    assert "multiple of 8" in capsys.readouterr().err
