"""What the README shows is there and runs."""

import re
import shlex
import warnings
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from nlrn import images
from nlrn.cli import main, make_parser

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PROGRAMS = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
LINES = [shlex.split(line, comments=True) for line in re.findall(r"^    (\S.*)$", README, re.MULTILINE)]
# these take minutes, wait for somebody, or have tests of their own
LONG = {"web", "bench", "train", "evaluate", "export"}


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_runs_by_itself(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("camera", "chelsea"):  # a part of the photograph is enough to see that it runs
        part = getattr(data, name)()[:40, :50]
        monkeypatch.setattr(data, name, lambda part=part: part)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        exec(compile(program, "README.md", "exec"), {})


def test_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noisy = 128 + np.random.default_rng(0).normal(0, 20, (90, 130))
    monkeypatch.chdir(tmp_path)
    Path("scans").mkdir()
    for name in ("photo.jpg", "blocky.jpg", "small.png", "scans/a.png"):
        images.write(name, noisy.clip(0, 255).astype(np.uint8)[:: 1 if name == "photo.jpg" else 4])
    commands = [words[1:] for words in LINES if words[0] == "nlrn"]
    assert len(commands) > 15
    for words in commands:
        if words[0] in LONG or "ray" in words or "<" in words:
            make_parser().parse_args(words[: words.index("<")] if "<" in words else words)
        else:
            assert main(words) == 0, words


def test_scripts_and_examples_are_there() -> None:
    named = {word for words in LINES for word in words if word.startswith(("scripts/", "examples/"))}
    named.update(re.findall(r"`(?:python )?((?:scripts|examples)/[\w./]+)", README))
    assert len(named) > 3
    for name in named:
        assert (ROOT / name).is_file(), name
