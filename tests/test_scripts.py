"""What the scripts of trainers and of the tables do beside calling the package."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
import measure_attention
from release import ROOT


def test_rows_of_one_model_leave_those_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    text = "before\n<!-- attention -->\n| sr-lite | old |\n| denoise-gray | kept |\n| gone | |\n<!-- end -->\nafter\n"
    page.write_text(text)
    monkeypatch.setattr(measure_attention, "PAGE", page)
    measure_attention.put({"sr-lite": ["| sr-lite | new |"]})
    lines = page.read_text().splitlines()
    assert lines[0] == "before"
    assert lines[-4:] == ["| denoise-gray | kept |", "| sr-lite | new |", "<!-- end -->", "after"]
    assert not any("old" in line or "gone" in line for line in lines)


def test_every_model_that_ships_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    assert all(f"| `{name}` |" in readme for name in measure_attention.models.list_models())


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="runs bash")
def test_the_papers_network_trains_and_goes_on(tmp_path: Path) -> None:
    for i in range(2):
        pixels = np.random.default_rng(i).integers(0, 255, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    environment = {**os.environ, "OUT": str(tmp_path / "out"), "MINUTES": "5", "PYTHON": sys.executable}
    small = [
        "--steps",
        "2",
        "--filters",
        "4",
        "--embedding",
        "4",
        "--batch",
        "2",
        "--held-out",
        "1",
        "--device",
        "cpu",
    ]
    for iterations in ("20", "40"):
        asked = [ROOT / "scripts" / "train_paper.sh", tmp_path, *small, "--iterations", iterations]
        subprocess.run(asked, env=environment, check=True, timeout=120)
    lines = map(json.loads, (tmp_path / "out" / "metrics.jsonl").read_text().splitlines())
    assert [line["iteration"] for line in lines if "loss" in line] == [20, 40]
