"""What the tests share: where the benchmark images are, small networks with weights that do something."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch

# without a GPU its programs are interpreted; Triton reads this when it is imported, which torch may do at any time
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"

from nlrn.config import Config
from nlrn.network import NLRN

# the tests run side by side, one to a core
torch.set_num_threads(1)


def paced(names: Iterable[str]) -> list[Any]:
    """Models to ask one by one; the paper's own network takes minutes for what others do in seconds."""
    return [pytest.param(name, marks=pytest.mark.slow) if name.endswith("-paper") else name for name in names]


SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of training and test images; tests that need it are skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("no benchmark images beside the repository")
    return SHARED


@pytest.fixture
def network() -> Callable[..., NLRN]:
    """Makes a small network of random weights, in evaluation mode, whose every part has an effect."""

    def make(**fields: object) -> NLRN:
        small = {"steps": 3, "filters": 8, "embedding": 4, "window": 5, "noise_map": True}
        torch.manual_seed(0)
        made = NLRN(Config(**{**small, **fields}))  # type: ignore[arg-type]
        for parameter in made.parameters():
            if not parameter.any():  # the tail and g start at zero
                torch.nn.init.normal_(parameter, std=0.05)
        return made.eval()

    return make
