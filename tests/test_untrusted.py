"""Models and checkpoints from strangers: damaged in any way they are one sentence, in bounded time and memory."""

import json
import os
import pickle
import random
import resource
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from nlrn import models
from nlrn.cli import main
from nlrn.config import Config
from nlrn.errors import ModelError, UsageError
from nlrn.models.cards import CARD, TENSORS
from nlrn.network import NLRN
from nlrn.training import checkpoint
from nlrn.training.optimizer import make_optimizers
from nlrn.training.record import Log
from nlrn.training.run import Run
from nlrn.training.settings import Settings
from nlrn.training.weights import Average

TINY = Config(steps=2, filters=8, embedding=4, window=5, noise_map=True)
SECONDS = 20


def one_sentence(error: BaseException, *, names: Path) -> None:
    assert "\n" not in str(error)
    assert str(names) in str(error)
    assert len(str(error)) < 1000


@pytest.fixture
def model(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    models.save(NLRN(TINY), tmp_path / "model", {"training": "none"})
    return tmp_path / "model"


@pytest.mark.parametrize(
    "card",
    ["[]", "3", '"a"', "null", "{", "", "[" * 100_000, '{"sha256": 3}', '{"sha256": ["a"]}', "\xff\xfe", "NaN"],
)
def test_a_card_that_is_none_is_said(model: Path, card: str) -> None:
    (model / CARD).write_bytes(card.encode("latin-1"))
    with pytest.raises(ModelError) as said:
        models.load(model)
    one_sentence(said.value, names=model / CARD)


def with_code(**changes: int) -> Callable[[dict[str, torch.Tensor]], None]:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        names = list(Config.__dataclass_fields__)
        code = torch.cat([tensors["config_code"], torch.ones(12 - len(tensors["config_code"]), dtype=torch.int64)])
        for name, value in changes.items():
            code[names.index(name)] = value
        tensors["config_code"] = code

    return change


def with_tensor(name: str, make: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[dict[str, torch.Tensor]], None]:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        tensors[name] = make(tensors[name]).contiguous()

    return change


CHANGES = {
    "endless steps": with_code(steps=10**9),
    "wide": with_code(filters=10**4),
    "wider than int": with_code(filters=2**62),
    "widest allowed": with_code(filters=4096, embedding=4096, steps=256, groups=0),
    "large squares": with_code(unshuffle=1000),
    "large window": with_code(window=10**9 + 1),
    "negative task": with_code(task=-1),
    "negative similarity": with_code(similarity=-2),
    "negative steps": with_code(steps=-3),
    "negative groups": with_code(groups=-1),
    "more groups than steps": with_code(groups=99),
    "no truth": with_code(propagate=7),
    "short code": with_tensor("config_code", lambda t: t[:3]),
    "long code": with_tensor("config_code", lambda t: t.repeat(9)),
    "float code": with_tensor("config_code", lambda t: t.float()),
    "square code": with_tensor("config_code", lambda t: t[None]),
    "bool": with_tensor("tail.weight", lambda t: t > 0),
    "complex": with_tensor("tail.weight", lambda t: t + 1j),
    "integers": with_tensor("tail.weight", lambda t: t.to(torch.int32)),
    "float counter": with_tensor("tail_norm.num_batches_tracked", lambda t: t.float()),
    "nan": with_tensor("tail.weight", lambda t: t * float("nan")),
    "infinite": with_tensor("head.bias", lambda t: t + float("inf")),
    "too small": with_tensor("head.bias", lambda t: t[:1]),
    "no dimension": with_tensor("head.bias", lambda t: t.sum()),
    "missing": lambda tensors: tensors.__delitem__("head.bias"),
    "one more": lambda tensors: tensors.update(more=torch.zeros(1)),
}


@pytest.mark.parametrize("change", list(CHANGES))
def test_weights_that_do_not_fit_are_said_before_they_cost_anything(model: Path, change: str) -> None:
    tensors = load_file(model / TENSORS)
    CHANGES[change](tensors)
    path = model / "other.safetensors"
    save_file(tensors, path)
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(ModelError) as said:
        models.load(path)
    one_sentence(said.value, names=path)
    assert time.process_time() - started < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


def test_weights_in_half_are_weights(model: Path) -> None:
    tensors = load_file(model / TENSORS)
    path = model / "half.safetensors"
    save_file({n: t.half() if t.is_floating_point() else t for n, t in tensors.items()}, path)
    assert models.load(path).tail.weight.dtype == torch.float32


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 5000, "./", "no/such/thing", "\n"])
def test_a_name_that_no_file_has_is_no_model(name: str) -> None:
    with pytest.raises(ModelError, match=r"no such model|an empty name"):
        models.load(name)


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Cut, with bytes flipped, doubled, zeroed or put in."""
    kind = chance.randrange(5)
    place = chance.randrange(len(data))
    if chance.random() < 0.5:  # where the structure is
        place = chance.choice(
            (chance.randrange(min(2000, len(data))), len(data) - 1 - chance.randrange(min(2000, len(data))))
        )
    length = chance.choice((1, 4, 8, 64, 1000))
    junk = bytes(chance.randrange(256) for _ in range(length))
    return (
        data[:place],
        data[:place] + junk + data[place + length :],
        data[:place] + junk + data[place:],
        data[:place] + data[place + length :],
        data[:place] + bytes(length) + data[place + length :],
    )[kind]


def test_damaged_models_are_refused_or_whole(model: Path) -> None:
    chance, data, started = random.Random(0), (model / TENSORS).read_bytes(), time.monotonic()
    original, bare = models.load(model), model / "bare.safetensors"
    tried = 0
    while tried < 300 and time.monotonic() - started < SECONDS:
        tried += 1
        bare.write_bytes(damaged(data, chance))
        try:
            network = models.load(bare)
        except ModelError as error:
            one_sentence(error, names=bare)
        else:  # a changed number in a tensor: without a card nobody knows
            assert network.config == original.config
            assert all(t.isfinite().all() for t in network.state_dict().values())
        shutil.copy(bare, model / TENSORS)
        if bare.read_bytes() != data:
            with pytest.raises(ModelError, match=r"hash|cannot be read"):
                models.load(model)
    assert tried > 20


def test_no_kill_leaves_a_model_that_does_not_load(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, count = os.replace, 0

    class Killed(BaseException):
        pass

    def dying(*paths: Any) -> None:
        nonlocal count
        count -= 1
        if count < 0:
            raise Killed
        replace(*paths)

    monkeypatch.setattr(os, "replace", dying)
    other = NLRN(Config(steps=3, filters=4, embedding=4, window=3)).eval()
    for at in range(4):
        shutil.copytree(model, tmp_path / f"{at}")
        count = at
        try:
            models.save(other, tmp_path / f"{at}")
        except Killed:
            assert at < 3
        assert models.load(tmp_path / f"{at}").config in (TINY, other.config)
    assert models.load(tmp_path / "3").config == other.config
    assert "sha256_before" not in json.loads((tmp_path / "3" / CARD).read_text())


class State:
    """A run of two iterations, and one that it can be resumed in."""

    def __init__(self, out: Path) -> None:
        torch.manual_seed(0)
        self.settings = Settings(data=(out,), out=out, iterations=20)
        self.network = NLRN(TINY)
        self.average = Average(self.network, 0.9)
        self.optimizers = make_optimizers(self.network, 1e-3)
        self.run = Run(self.network, self.average, self.optimizers, 2, self.settings)

    def learn(self) -> "State":
        for _ in range(2):
            self.network(torch.rand(2, 1, 8, 8), 0.1).square().mean().backward()
            for optimizer in self.optimizers:
                optimizer.step()
            self.average.update(self.network)
        return self

    def save(self, path: Path) -> None:
        self.run.iteration, self.run.best = 2, 30.0
        self.run.save(path)

    def resume(self, path: Path) -> tuple[int, float, int]:
        self.run.resume(path)
        return self.run.iteration, self.run.best, self.run.steps


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    State(tmp_path).learn().save(tmp_path / "checkpoint.pt")
    return tmp_path / "checkpoint.pt"


def test_a_checkpoint_is_resumed_whole(saved: Path) -> None:
    state = State(saved.parent)
    assert state.resume(saved) == (2, 30.0, 2)
    again = saved.with_name("again.pt")
    state.save(again)
    first, second = (checkpoint.read(path, state.network, state.optimizers) for path in (saved, again))
    assert checkpoint._digest(first) == checkpoint._digest(second)


def test_damaged_checkpoints_are_one_sentence(saved: Path) -> None:
    chance, data, started = random.Random(0), saved.read_bytes(), time.monotonic()
    tried, passed = 0, 0
    while tried < 300 and time.monotonic() - started < SECONDS:
        tried += 1
        state = State(saved.parent)
        saved.write_bytes(damaged(data, chance))
        try:
            assert state.resume(saved) == (2, 30.0, 2)  # what was changed is nothing that is read
            passed += 1
        except checkpoint.CheckpointError as error:
            one_sentence(error, names=saved)
    assert tried > 20
    assert passed < tried / 2


def deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


WRONG: dict[str, Callable[[dict[str, Any]], object]] = {
    "best is no number": lambda s: s.update(best=float("nan")),
    "best is endless": lambda s: s.update(best=float("inf")),
    "best is text": lambda s: s.update(best="30"),
    "iteration of tomorrow": lambda s: s.update(iteration=10**9),
    "iteration before the first": lambda s: s.update(iteration=-1),
    "iteration is truth": lambda s: s.update(iteration=True),
    "iteration is a tensor": lambda s: s.update(iteration=torch.tensor(2)),
    "no steps": lambda s: s.update(steps=0),
    "too many steps": lambda s: s.update(steps=3),
    "no network": lambda s: s.pop("network"),
    "network is a list": lambda s: s.update(network=[]),
    "a weight is missing": lambda s: s["network"].pop("head.weight"),
    "a weight is not finite": lambda s: s["network"]["head.weight"].fill_(float("nan")),
    "a weight is a number": lambda s: s["average"].update({"head.weight": 3}),
    "a weight is huge and empty": lambda s: s["average"].update({"head.weight": torch.zeros(1).expand(10**8)}),
    "one optimizer": lambda s: s["optimizers"].pop(),
    "no optimizers": lambda s: s.update(optimizers=None),
    "an optimizer of less": lambda s: s["optimizers"][0]["param_groups"][0]["params"].pop(),
    "a rate that is text": lambda s: s["optimizers"][0]["param_groups"][0].update(lr="fast"),
    "a rate that is none": lambda s: s["optimizers"][0]["param_groups"][0].update(lr=float("nan")),
    "moments of another shape": lambda s: s["optimizers"][1]["state"].update({0: {"exp_avg": torch.zeros(2, 2, 2)}}),
    "moments that are not finite": lambda s: next(
        t for t in s["optimizers"][1]["state"][0].values() if isinstance(t, torch.Tensor)
    ).fill_(float("inf")),
    "moments of nobody": lambda s: s["optimizers"][0]["state"].update({999: {}}),
    "course is none": lambda s: s.update(course=[]),
    "course at no rate": lambda s: s["course"].update(rate=float("nan")),
    "course at twice the rate": lambda s: s["course"].update(rate=2.0),
    "course of text": lambda s: s["course"].update(norms=["a"]),
    "course of more": lambda s: s["course"].update(more=1),
    "settings are none": lambda s: s.update(settings=3),
    "another network": lambda s: s.update(config={**s["config"], "window": 7}),
    "config is text": lambda s: s.update(config="paper"),
    "deep": lambda s: s.update(more=deep(2000)),
}


@pytest.mark.parametrize("wrong", list(WRONG))
@pytest.mark.parametrize("hashed", [True, False])
def test_a_checkpoint_that_says_nonsense_is_one_sentence(saved: Path, wrong: str, hashed: bool) -> None:
    state = torch.load(saved, weights_only=True)
    before = state.pop("sha256")
    WRONG[wrong](state)
    try:
        if hashed:
            checkpoint.write(saved, state)
        else:
            torch.save({**state, "sha256": before}, saved)
    except RecursionError:
        pytest.skip("cannot even be written")
    with pytest.raises(checkpoint.CheckpointError) as said:
        State(saved.parent).resume(saved)
    one_sentence(said.value, names=saved)


@pytest.mark.parametrize(
    "content", [b"", b"PK", b"not a checkpoint", pickle.dumps({"a": 1}), pickle.dumps([1] * 1000)]
)
def test_another_file_in_the_place_of_a_checkpoint_ends_with_2(
    saved: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    saved.write_bytes(content)
    photos = saved.parent / "photos"
    photos.mkdir()
    for name in "abc":
        Image.new("L", (48, 48), 99).save(photos / f"{name}.png")
    network = "--steps 2 --filters 8 --embedding 4 --window 5 --noise-map --patch 16 --held-out 1 --device cpu"
    code = main(["train", "denoise", "--data", str(photos), "--out", str(saved.parent), *network.split()])
    lines = capsys.readouterr().err.strip().splitlines()
    assert code == 2
    assert str(saved) in lines[-1]
    assert "Traceback" not in "".join(lines)
    assert saved.read_bytes() == content


def test_a_full_disc_keeps_the_checkpoint_before(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = saved.read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(checkpoint.CheckpointError, match="No space left"):
        State(saved.parent).learn().save(saved)
    assert saved.read_bytes() == before
    assert not list(saved.parent.glob(".*"))


def test_changed_settings_are_said(saved: Path, caplog: pytest.LogCaptureFixture) -> None:
    state = State(saved.parent)
    state.resume(saved)
    assert not caplog.records
    state.run.settings = Settings(data=(), out=saved.parent, iterations=20, seed=3, batch=8, minutes=5)
    state.resume(saved)
    assert "batch 16 -> 8" in caplog.text
    assert "seed 0 -> 3" in caplog.text
    assert "minutes" not in caplog.text


def test_one_run_at_a_time_in_a_folder(tmp_path: Path) -> None:
    with Log(tmp_path), pytest.raises(UsageError, match="another run"):
        Log(tmp_path)
    with Log(tmp_path):
        pass


def test_metrics_after_a_kill_repeat_nothing(tmp_path: Path) -> None:
    with Log(tmp_path) as log:
        for iteration in (20, 40, 60):
            log.write(iteration, loss=1.0)
    path = tmp_path / "metrics.jsonl"
    path.write_text(path.read_text() + '{"iteration": 80, "lo')
    with Log(tmp_path, 40) as log:
        log.write(60, loss=0.5)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["iteration"], line["loss"]) for line in lines] == [(20, 1.0), (40, 1.0), (60, 0.5)]


def test_what_a_killed_run_was_writing_goes(tmp_path: Path) -> None:
    strays = [tmp_path / f".{name}.0123abcd.part" for name in ("checkpoint.pt", TENSORS, CARD)]
    for stray in strays:
        stray.touch()
    with Log(tmp_path):
        assert not any(stray.exists() for stray in strays)
