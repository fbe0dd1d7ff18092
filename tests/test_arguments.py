"""Arguments that look right and are not are one sentence, wherever they are given; others are right all the same."""

import importlib
from collections.abc import Callable

import numpy as np
import pytest
import torch

import nlrn
from nlrn.errors import ModelError
from nlrn.inference.size import Size

IMAGE = np.random.default_rng(0).integers(90, 160, (24, 24), np.uint8)
NETWORK = nlrn.NLRN(nlrn.Config(steps=1, filters=4, embedding=2, window=3)).eval()


def with_alpha(value: float) -> np.ndarray:
    """A picture with one pixel whose transparency is that."""
    pixels = np.stack([IMAGE / 255] * 4, -1).astype(np.float32)
    pixels[3, 4, 3] = value
    return pixels


@pytest.mark.parametrize(
    "wrong",
    [
        *(
            lambda one=one: nlrn.denoise(IMAGE, 20, strength=one)
            for one in ("1", None, np.array([1, 2]), float("nan"))
        ),
        *(lambda one=one: nlrn.upscale(IMAGE, width=one) for one in (64.5, "64", float("nan"), float("inf"), -3)),
        lambda: nlrn.upscale(IMAGE, height=30, width=40.5),
        *(lambda one=one: nlrn.NonLocalBlock(one) for one in (0, -8, 8.0, "8", None)),
        *(lambda one=one: nlrn.NonLocalBlock(8, window=one) for one in (0, -3, 4, 5.0, "5")),
        *(lambda one=one: nlrn.NonLocalBlock(8, embedding=one) for one in (0, -1, 2.0)),
        *(lambda one=one: nlrn.upscale(with_alpha(one), 2, channel_axis=-1) for one in (np.nan, np.inf, -np.inf)),
        lambda: NETWORK(IMAGE, 0.1),
        lambda: NETWORK(torch.zeros(1, 1, 8, 8, dtype=torch.uint8), 0.1),
        lambda: NETWORK([[0.5]], 0.1),
        lambda: NETWORK(torch.rand(1, 1, 0, 8), 0.1),
        lambda: nlrn.load("denoise-gray-lite")(torch.rand(1, 1, 8, 8), "0.1"),
        *(lambda one=one: nlrn.estimate_sigma(one) for one in ("a.png", IMAGE[0], [["a"]], IMAGE.astype(complex))),
        lambda: nlrn.denoise(torch.rand(1, 8, 8, device="meta"), 0.1),
    ],
)
def test_what_looks_right_and_is_not_is_one_sentence(wrong: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]{20,}$"):
        wrong()


@pytest.mark.parametrize("model", [None, 5, "", b"sr-lite", ["sr-lite"], NETWORK])
def test_what_names_no_model_is_one_sentence(model: object) -> None:
    with pytest.raises(ModelError, match=r"^a model is a name, a folder or a file, not [^\n]+$"):
        nlrn.load(model)  # type: ignore[arg-type]


def test_whole_numbers_of_any_kind_are_whole_numbers() -> None:
    assert Size(width=np.int64(64)).of(24, 24) == Size(width=64.0).of(24, 24) == (64, 64)  # type: ignore[arg-type]
    assert nlrn.NonLocalBlock(np.int64(8), window=np.int64(5)).window == 5  # type: ignore[arg-type]
    assert nlrn.estimate_sigma(IMAGE.tolist()) == nlrn.estimate_sigma(IMAGE)


@pytest.mark.parametrize("room", ["nlrn", "nlrn.batch", "nlrn.models"])
def test_a_room_that_loads_its_names_late_lists_them(room: str) -> None:
    module = importlib.import_module(room)
    assert set(module.__all__) <= set(dir(module))
    assert all(not name.startswith("import") for name in dir(module))
