"""The ablation asks each question once, asks again where it is close, and goes on where it was interrupted."""

from pathlib import Path

import pytest

from nlrn.config import Config
from nlrn.network import NLRN
from nlrn.training.ablation import BASE, ablate, draw, to_markdown, variants
from nlrn.training.loop import Outcome
from nlrn.training.settings import Settings


def scored(done: list[tuple[Config, int]]) -> "object":
    """A trainer that trains nothing: three steps are nearly as good as six, all else is 1 dB worse or better."""

    def run(config: Config, settings: Settings) -> Outcome:
        done.append((config, settings.seed))
        if config == BASE:
            return Outcome(28.0, True)
        return Outcome(27.98 if config.steps == 3 else 29.0 if config.steps == 12 else 27.0, True)

    return run


def test_what_is_close_is_asked_of_three_seeds(tmp_path: Path) -> None:
    done: list[tuple[Config, int]] = []
    scores = ablate([tmp_path], tmp_path / "out", run=scored(done))  # type: ignore[arg-type]
    different = {v.key for v in variants()}
    assert len(done) == len(different) + 4
    assert len(scores[next(v.key for v in variants() if v.answer == "T = 3")]) == 3
    assert len(scores[variants()[0].key]) == 3
    again: list[tuple[Config, int]] = []
    assert ablate([tmp_path], tmp_path / "out", run=scored(again)) == scores  # type: ignore[arg-type]
    assert not again


def test_an_interrupted_one_goes_on(tmp_path: Path) -> None:
    done: list[tuple[Config, int]] = []
    run = scored(done)

    def interrupted(config: Config, settings: Settings) -> Outcome:
        if len(done) == 5:
            return Outcome(20.0, False)  # SIGTERM: scored before its end
        return run(config, settings)  # type: ignore[operator,no-any-return]

    with pytest.raises(KeyboardInterrupt):
        ablate([tmp_path], tmp_path / "out", run=interrupted)
    ablate([tmp_path], tmp_path / "out", run=run)  # type: ignore[arg-type]
    assert len(done) == len(set(done))


def test_the_table_and_the_figure_show_every_answer(tmp_path: Path) -> None:
    scores = ablate([tmp_path], tmp_path, run=scored([]))  # type: ignore[arg-type]
    table = to_markdown(scores)
    assert len(table.splitlines()) == 2 + len(variants())
    assert "| T = 12 | " in table
    assert table.count("| +1.00 | 1 |") == 1
    assert table.count("| -0.02 | 3 |") == 1
    draw(scores, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_the_plain_network_has_as_many_weights() -> None:
    plain = next(v.config for v in variants() if v.config.every == 0)
    sizes = [sum(p.numel() for p in NLRN(c).parameters()) for c in (BASE, plain)]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.05)
