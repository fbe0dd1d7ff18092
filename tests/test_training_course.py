"""A long run survives itself: wild steps are not taken, and a run that leaves its course goes back, slower."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nlrn.config import Config
from nlrn.pixels.degradations.record import Batch
from nlrn.training import loop
from nlrn.training.course import Course
from nlrn.training.settings import Settings

TINY = Config(steps=2, filters=8, embedding=4, window=3, noise_map=True)
Fault = Callable[[int, Batch], Batch]


def usual(course: Course, iterations: int = 50) -> None:
    for i in range(iterations):
        assert course.takes(1.0 + 0.1 * (i % 3), 2.0 + 0.5 * (i % 5))


def test_a_step_far_above_the_usual_is_not_taken() -> None:
    course = Course()
    usual(course)
    assert not course.takes(1.0, 100.0)
    assert not course.takes(1.0, float("nan"))
    assert not course.takes(float("inf"), 2.0)
    assert course.skipped == 3
    assert course.takes(1.0, 15.0)
    assert course.steady


def test_a_wild_beginning_is_no_reason_to_skip() -> None:
    course = Course()
    assert all(course.takes(100.0 / (i + 1), 100.0 / (i + 1)) for i in range(200))
    assert not course.lost


def test_a_bad_batch_is_not_a_lost_course_but_a_loss_that_stays_high_is() -> None:
    course = Course()
    usual(course)
    for _ in range(19):
        assert course.takes(10.0, 5.0)
    assert not course.lost
    assert course.takes(1.0, 2.0)
    for _ in range(20):
        course.takes(10.0, 5.0)
    assert course.lost


def test_each_return_halves_the_rate_until_it_is_given_up() -> None:
    course = Course()
    for times in range(1, 5):
        course.goes_back()
        assert course.rate == 0.5**times
    with pytest.raises(FloatingPointError, match=r"lower --rate"):
        course.goes_back()
    course.gets_on()
    course.goes_back()


def test_what_is_usual_is_remembered_by_a_checkpoint() -> None:
    course, again = Course(), Course()
    usual(course)
    course.goes_back()
    usual(course)
    again.load(json.loads(json.dumps(course.state())))
    assert again.rate == 0.5
    assert not again.takes(1.0, 100.0)
    assert vars(again) != vars(course)
    assert not course.takes(1.0, 100.0)
    assert vars(again) == vars(course)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[dict[str, float]]]:
    """Trains with batches that a fault has changed; returns the lines of the log."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for i in range(4):
        picture = np.random.default_rng(i).integers(0, 256, (12, 12), np.uint8).repeat(4, 0).repeat(4, 1)
        Image.fromarray(picture).save(photos / f"{i}.png")
    whole = loop.share

    def trained(fault: Fault, **changes: object) -> list[dict[str, float]]:
        monkeypatch.setattr(loop, "share", lambda *given: fault(given[4], whole(*given)))
        settings = Settings(
            data=(photos,), out=tmp_path / "out", iterations=400, batch=2, patch=8, validate=1000, held_out=1,
            device="cpu", precision="fp32", rate=1e-3, warmup=1,
        )  # fmt: skip
        settings = replace(settings, **changes)  # type: ignore[arg-type]
        loop.train(TINY, settings)
        return [json.loads(line) for line in (settings.out / "metrics.jsonl").read_text().splitlines()]

    return trained


def weights(out: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(out / "checkpoint.pt", weights_only=True)["network"]
    return state


def test_one_broken_batch_makes_no_step(run, tmp_path: Path) -> None:
    def broken(i: int, batch: Batch) -> Batch:
        return batch._replace(clean=batch.clean * torch.nan) if i == 30 else batch

    run(broken, iterations=31)
    checkpoint = tmp_path / "out" / "checkpoint.pt"
    assert not checkpoint.exists()  # what follows a bad iteration is not yet worth keeping
    lines = run(broken, iterations=40)
    assert lines[-2]["skipped"] == 1
    assert all(tensor.isfinite().all() for tensor in weights(tmp_path / "out").values())


def test_a_run_that_leaves_its_course_goes_back_and_says_so(run, tmp_path: Path, capsys) -> None:
    """From iteration 110 on the task is another one for a while, as after a step that ruined the weights."""

    def inverted(i: int, batch: Batch) -> Batch:
        return batch._replace(clean=1 - batch.clean) if 110 <= i < 130 else batch

    lines = run(inverted, iterations=140)
    assert [(line["iteration"], line["went_back"]) for line in lines if "went_back" in line] == [(130, 0.5)]
    assert "iteration 130: the run left its course; back to the last good state" in capsys.readouterr().err
    rates = {line["iteration"]: line["rate"] for line in lines if "rate" in line}
    assert rates[140] < 0.6 * rates[120]
    untouched = run(lambda i, batch: batch, iterations=140, out=tmp_path / "straight")
    losses = [{line["iteration"]: line["loss"] for line in some if "loss" in line} for some in (lines, untouched)]
    assert losses[0][120] > 3 * losses[1][120]
    assert losses[0][140] < 2 * losses[1][140]
