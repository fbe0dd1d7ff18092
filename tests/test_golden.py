"""Every released model computes what it computed when its scores were taken."""

import json
import sys
from pathlib import Path

import pytest
from conftest import paced

from nlrn import models
from nlrn.evaluation.evaluate import evaluate_denoise, evaluate_sr
from nlrn.models import cards

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
from publish_scores import in_readme, summary
from release import GOLDEN, ROOT, pinned

PINNED = json.loads(GOLDEN.read_text())


def test_every_released_model_is_pinned() -> None:
    assert PINNED.keys() == cards.list_models().keys()


@pytest.mark.parametrize("name", list(PINNED))
def test_it_computes_the_same_numbers(name: str) -> None:
    assert pinned(models.load(name)) == pytest.approx(PINNED[name]["sample"], abs=2e-5)


@pytest.mark.parametrize("name", paced(name for name in PINNED if "psnr" in PINNED[name]))
def test_it_reaches_its_scores_on_standard_images(name: str, shared: Path, tmp_path: Path) -> None:
    network, golden = models.load(name), PINNED[name]
    for image in golden["psnr"]:
        (tmp_path / image).symlink_to(shared / "test" / golden["set"] / image)
    evaluate = evaluate_denoise if network.config.task == "denoise" else evaluate_sr
    levels = [int(level) for level in next(iter(golden["psnr"].values()))]
    for result in evaluate(network, tmp_path, levels).results:
        for image in result.images:
            assert image.psnr == pytest.approx(golden["psnr"][image.name][f"{result.level:g}"], abs=0.002)


def test_the_readme_shows_the_results() -> None:
    assert in_readme() == summary(json.loads((ROOT / "docs" / "results.json").read_text())["reports"])
