"""Models on disk: what is saved is loaded, anything else is refused, and what ships is what its card says."""

import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from nlrn import models
from nlrn.config import TASKS
from nlrn.errors import ModelError
from nlrn.inference.ready import anywhere
from nlrn.models import cards
from nlrn.models.cards import CARD, SHIPPED, TENSORS


def test_saved_is_loaded(network, tmp_path: Path) -> None:
    made = network(every=2)
    models.save(made, tmp_path / "m", {"training": "none"})
    x = torch.rand(1, 1, 9, 9)
    for path in (tmp_path / "m", tmp_path / "m" / TENSORS):
        loaded = models.load(path)
        assert loaded.config == made.config
        assert torch.equal(loaded(x, 0.1), made(x, 0.1))
    card = json.loads((tmp_path / "m" / CARD).read_text())
    assert card["training"] == "none"
    assert card["config"]["every"] == 2


def test_a_folder_that_is_called_as_a_model_that_ships_is_reached_by_its_path(
    network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    models.save(network(every=2), Path("sr-lite"))
    for path in ("./sr-lite", str(tmp_path / "sr-lite"), f"sr-lite/{TENSORS}"):
        assert models.load(path).config.task == "denoise"
    assert not caplog.text
    assert anywhere("./sr-lite") == str(tmp_path / "sr-lite")
    assert anywhere("sr-lite") == "sr-lite"
    with caplog.at_level("INFO", "nlrn"):
        assert models.load("sr-lite").config.task == "sr"
    assert "sr-lite is the model that ships; what has this name here is ./sr-lite" in caplog.text


def test_a_bare_file_describes_itself(network, tmp_path: Path) -> None:
    save_file(network().state_dict(), tmp_path / "weights.safetensors")
    assert models.load(tmp_path / "weights.safetensors").config == network().config


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no-such-model", "no such model"),
        ("weights.pt", "not a .safetensors file"),
        ("empty.safetensors", "cannot be read"),
        ("foreign.safetensors", "not the weights of an NLRN"),
        ("other.safetensors", "do not fit"),
    ],
)
def test_what_is_no_model_is_refused_by_name(network, tmp_path: Path, name: str, said: str) -> None:
    torch.save({}, tmp_path / "weights.pt")
    (tmp_path / "empty.safetensors").touch()
    save_file({"a": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    state = network().state_dict()
    del state["tail.weight"]
    save_file(state, tmp_path / "other.safetensors")
    with pytest.raises(ModelError, match=said) as error:
        models.load(tmp_path / name)
    assert name in str(error.value)


def test_changed_weights_are_noticed(network, tmp_path: Path) -> None:
    models.save(network(), tmp_path)
    tensors = load_file(tmp_path / TENSORS)
    tensors["tail.bias"] += 1
    save_file(tensors, tmp_path / TENSORS)
    with pytest.raises(ModelError, match="hash"):
        models.load(tmp_path)


@pytest.mark.parametrize("name", list(cards.list_models()))
def test_what_ships_is_what_its_card_says(name: str) -> None:
    card = cards.list_models()[name]
    assert card["sha256"] == hashlib.sha256((SHIPPED / name / TENSORS).read_bytes()).hexdigest()
    network = models.load(name)
    assert card["parameters"] == sum(p.numel() for p in network.parameters())
    assert "lite" not in name or card["parameters"] <= 110_000
    assert {"training", "scores", "protocol"} <= set(card)


def test_every_default_ships() -> None:
    shipped = cards.list_models()
    assert all(shipped[n]["config"]["task"] == task.name for task in TASKS.values() for n in task.defaults.values())
