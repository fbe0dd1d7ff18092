"""One command scores every model on every standard set that it finds."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nlrn import list_models
from nlrn.cli import main
from nlrn.evaluation import tables

ROOT = Path(__file__).parents[1]


@pytest.fixture
def sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two standard sets, in miniature, and a folder that is none."""
    monkeypatch.setattr(tables, "_SIDE", 32)
    y, x = np.mgrid[:48, :60] / 60
    for name, colours in (("Set12/01", 1), ("Set12/04", 1), ("CBSD68/1", 3), ("Set5/woman", 3), ("holiday/1", 3)):
        planes = [0.5 + 0.3 * np.sign(np.sin(12 * (x + y * i))) for i in range(1, colours + 1)]
        pixels = (np.stack(planes, 2) * 255).astype(np.uint8).squeeze()
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    return tmp_path


def test_everything_is_scored_beside_the_published_rows(sets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = ["--markdown", str(sets / "all.md"), "--json", str(sets / "all.json")]
    assert main(["evaluate", "--all", "--data", str(sets), *files]) == 0
    text = (sets / "all.md").read_text()
    assert capsys.readouterr().out == text
    assert text.count("| Set12 |") == text.count("| Set5 |") == 1
    assert "holiday" not in text
    assert "| NLRN | 331k | 33.16/.9070 | 30.80/.8689 | 27.64/.7980 |" in text
    assert "without 04" in text
    assert "without woman" not in text  # nothing would be left
    figures = json.loads((sets / "all.json").read_text())
    assert set(figures["seconds_512x512"]) >= set(list_models())
    gray = [r for r in figures["reports"] if r["data"] == "Set12"]
    assert [r["model"] for r in gray] == sorted(name for name in list_models() if "gray" in name)
    assert [s["sigma"] for s in gray[0]["results"]] == [15, 25, 50]
    # a denoiser that works is far above the noise at 15, which alone is 24.6 dB
    assert gray[0]["results"][0]["psnr"] > 28


def test_other_ways_are_rows_of_their_own(sets: Path) -> None:
    reports = tables.evaluate_all(sets, only=["denoise-gray-lite", "sr-lite"], ensemble=True, stride=40).reports
    ways = ["denoise-gray-lite", "denoise-gray-lite, x8 ensemble", "denoise-gray-lite, patches 40 apart"]
    # the released protocol has no place for a network that enlarges
    assert [r.model for r in reports] == [*ways, "sr-lite", "sr-lite, x8 ensemble"]
    assert len({r.results[0].psnr for r in reports}) == 5


def test_what_is_known_of_the_same_weights_is_not_measured_again(
    sets: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = sets / "all.json"
    command = ["evaluate", "--all", "--data", str(sets), "--precision", "fp32", "--json", str(file)]
    evaluate = tables.evaluate

    def stop_at(task: str) -> None:
        def stopped(network, *args, **kwargs):
            if network.config.task == task:
                raise KeyboardInterrupt
            return evaluate(network, *args, **kwargs)

        monkeypatch.setattr(tables, "evaluate", stopped)

    stop_at("sr")
    assert main([*command, "--resume"]) == 130  # there is nothing yet to go on with
    half = json.loads(file.read_text())["reports"]
    assert {r["data"] for r in half} == {"Set12", "CBSD68"}
    monkeypatch.undo()
    monkeypatch.setattr(tables, "_SIDE", 32)
    stop_at("denoise")
    assert main([*command, "--resume"]) == 0
    whole = json.loads(file.read_text())["reports"]
    assert [r for r in whole if r["task"] == "denoise"] == half
    assert {r["data"] for r in whole} == {"Set12", "CBSD68", "Set5"}

    # some are measured, the others stay as they were
    others = [r for r in whole if r["model"] not in ("sr", "sr-lite")]
    seconds = {"denoise-gray": {"seconds": 7.0, "what": "by hand"}, "sr-lite": {"seconds": 7.0, "what": "by hand"}}
    file.write_text(json.dumps({"reports": others, "seconds_512x512": seconds}))
    assert main([*command, "--resume", "--only", "sr-lite"]) == 0
    some = json.loads(file.read_text())
    assert some["reports"][:-1] == others
    assert some["reports"][-1]["model"] == "sr-lite"
    assert some["seconds_512x512"]["denoise-gray"] == seconds["denoise-gray"]
    assert some["seconds_512x512"]["sr-lite"]["seconds"] < 7
    assert some["seconds_512x512"].keys() == seconds.keys()
    assert main([*command, "--only", "sr-light"]) == 2
    assert "sr-light: no such model: did you mean sr-lite" in capsys.readouterr().err

    # other weights of the same name, or another precision, are something else
    for change in ({"weights": "0"}, {"precision": "bfloat16"}):
        old = [tables.from_json(r | change) for r in half if r["data"] == "Set12"]
        monkeypatch.setattr(tables, "evaluate", evaluate)
        again = tables.evaluate_all(
            sets, only=[old[0].model], precision="fp32", earlier=tables.Tables(old, [])
        ).reports
        assert [r.results[0].psnr for r in again] == [old[0].results[0].psnr]
        assert again[0] not in old

    file.write_text("[]")
    assert main([*command, "--resume"]) == 2
    assert "all.json: not the --json file" in capsys.readouterr().err


def test_what_cannot_be_evaluated_is_said(sets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--all", "--data", str(sets / "holiday")]) == 2
    assert "holiday: none of the standard test sets" in capsys.readouterr().err
    assert main(["evaluate", "--all", "--data", str(sets / "nowhere")]) == 2
    assert "nowhere: there is no such folder" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["evaluate"])
    assert "--all" in capsys.readouterr().err
