"""What the attention of a trained network is worth, asked of networks whose answer is known."""

import numpy as np
import pytest
import torch

from nlrn import images, load
from nlrn.cli import main
from nlrn.config import Config
from nlrn.evaluation.likeness import WHOLE, likeness, variants
from nlrn.network import NLRN


@pytest.fixture
def folder(tmp_path):
    """Two pictures of stripes, which repeat themselves."""
    y, x = np.mgrid[:48, :56]
    for number, period in enumerate((5, 7)):
        picture = np.where((x + y // 3) % period < period // 2, 200, 60).astype(np.uint8)
        images.write(tmp_path / f"{number}.png", picture)
    return tmp_path


def test_a_network_that_never_used_its_block_loses_nothing_without_it(folder) -> None:
    network = NLRN(Config(steps=2, filters=8, embedding=4, window=5, noise_map=True)).eval()  # g starts at zero
    worth = likeness(network, folder, [25], name="new")
    scores = {taken: report.results[0].psnr for taken, report in worth.reports.items()}
    assert scores.keys() == {WHOLE, "uniform", "off", "without propagation"}
    assert len(set(scores.values())) == 1


def test_a_network_that_uses_its_block_loses_by_every_piece(folder) -> None:
    worth = likeness(load("denoise-color-lite"), folder, [25], name="pixel by pixel")
    scores = {taken: report.results[0].psnr for taken, report in worth.reports.items()}
    assert all(scores[WHOLE] > score + 0.2 for taken, score in scores.items() if taken != WHOLE)


def test_the_means_are_those_of_the_weights(folder) -> None:
    network = NLRN(Config(steps=2, filters=8, embedding=4, window=3, every=2, noise_map=True)).eval()
    torch.nn.init.zeros_(network.bodies[0].non_local.theta.weight)
    torch.nn.init.zeros_(network.bodies[0].non_local.theta.bias)
    worth = likeness(network, folder, [25], name="plain mean")
    noisy, mean = worth.means[25]
    assert 20 < noisy < 20.5
    flat = np.full((48, 56), 128, np.uint8)
    images.write(folder / "0.png", flat)
    images.write(folder / "1.png", flat)
    noisy, mean = likeness(network, folder, [25], name="plain mean").means[25]
    assert mean - noisy == pytest.approx(10 * np.log10(9), abs=0.3)  # nine pixels of independent noise


def test_a_network_without_a_block_is_refused() -> None:
    with pytest.raises(ValueError, match="no non-local block"):
        variants(NLRN(Config(steps=2, filters=8, every=0)))


def test_the_command_prints_a_table(folder, capsys) -> None:
    assert main(["ablate", "--trained", "denoise-gray-lite", "--data", str(folder)]) == 0
    told = capsys.readouterr().out
    assert "| uniform |" in told
    assert "| without propagation |" in told
    assert main(["ablate", "--data", str(folder)]) == 2
