"""What the command line says and to whom: guesses, lines for programs, quiet runs, pipes, odd names."""

import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from nlrn import images
from nlrn.cli import main, make_parser
from nlrn.cli.saying import printable
from nlrn.errors import ModelError
from nlrn.models import load
from nlrn.models.cards import list_models

PIXELS = np.random.default_rng(0).integers(80, 120, (12, 15), dtype=np.uint8)
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="pipes and names of POSIX")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a.png and b.png in the folder in."""
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.png"):
        images.write(tmp_path / "in" / name, PIXELS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one sentence with which the parser refuses; exit code 2."""
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["denoize"], "denoise"),
        (["upscal", "x.png"], "upscale"),
        (["train", "denois"], "denoise"),
        (["denoise", "x.png", "--sgima", "3"], "--sigma"),
        (["denoise", "x.png", "--skip-exist1ng"], "--skip-existing"),
        (["upscale", "x.png", "--scael=2", "--scale", "2"], "--scale"),
        (["models", "--jsn"], "--json"),
        (["denoise", "x.png", "--device", "cudda"], "cuda"),
        (["completion", "bahs"], "bash"),
    ],
)
def test_what_was_probably_meant_is_asked(capsys, arguments: list[str], meant: str) -> None:
    assert f"did you mean {meant}?" in refused(arguments, capsys)


def test_a_model_that_was_probably_meant(folder: Path, capsys) -> None:
    assert main(["denoise", "in", "-o", "out", "--model", "denoise-grey-lite"]) == 2
    assert "did you mean denoise-gray-lite?" in capsys.readouterr().err
    with pytest.raises(ModelError, match=r"did you mean sr-lite\?"):
        load("sr-light")
    assert main(["denoise", "in", "-o", "out", "--model", "xyz"]) == 2
    said = capsys.readouterr().err
    assert all(name in said for name in list_models())


@pytest.mark.parametrize(
    "arguments",
    [
        ["denoise", ""],
        ["denoise", "in", ""],
        ["denoise", "in", "-o", ""],
        ["explain", "", "1", "1", "-o", "x.png"],
        ["evaluate", "denoise", "--data", ""],
        ["export", "denoise-gray-lite", "-o", ""],
        ["train", "denoise", "--data", "", "--out", "x"],
        ["ablate", "--data", "x", "--out", ""],
        ["demo", "-o", ""],
    ],
)
def test_an_empty_name_is_refused(folder: Path, capsys, arguments: list[str]) -> None:
    assert "the name is empty" in refused(arguments, capsys)


def test_a_line_of_json_for_each_picture(folder: Path, capsys) -> None:
    (folder / "in" / "bad.png").write_bytes(b"")
    assert main(["denoise", "in", "--sigma", "9", "-o", "out", "--json"]) == 1
    lines = {row["file"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    assert lines.keys() == {"in/a.png", "in/b.png", "in/bad.png"}
    good = lines["in/a.png"]
    assert (good["level"], good["model"], good["output"], good["error"]) == (
        9,
        "denoise-gray",
        "out/a.png",
        None,
    )
    assert good["seconds"] > 0
    bad = lines["in/bad.png"]
    assert bad["output"] is None
    assert "empty" in bad["error"]
    assert main(["upscale", "in/a.png", "--scale", "2", "-o", "big.png", "--json", "-q"]) == 0
    assert json.loads(capsys.readouterr().out)["level"] == 2


def test_the_level_that_was_found_is_told(folder: Path, capsys) -> None:
    noisy = np.random.default_rng(1).normal(120, 20, (64, 64)).clip(0, 255).astype(np.uint8)
    images.write("noisy.png", noisy)
    images.write("flat.png", np.full((64, 64), 90, np.uint8))
    assert main(["denoise", "noisy.png", "flat.png", "-o", "out", "--json", "--quiet"]) == 0
    noisy_level, flat_level = (json.loads(line)["level"] for line in capsys.readouterr().out.splitlines())
    assert 15 < noisy_level < 25
    assert flat_level == 0


def test_models_and_info_as_json(capsys) -> None:
    assert main(["models", "--json"]) == 0
    assert json.loads(capsys.readouterr().out).keys() == list_models().keys()
    assert main(["info", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["devices"]["cpu"] in ("fp32", "bf16")


def test_quiet_says_only_what_went_wrong_and_warns(folder: Path, capsys) -> None:
    assert main(["denoise", "in", "-o", "out", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    (folder / "in" / "bad.png").write_bytes(b"")
    assert main(["denoise", "in", "-o", "out", "--quiet"]) == 1
    warned, said = capsys.readouterr().err.splitlines()
    assert "out/a.png" in warned
    assert "will be overwritten" in warned
    assert "bad.png is empty" in said


def test_verbose_shows_where_an_error_comes_from(folder: Path, capsys) -> None:
    (folder / "in" / "bad.png").write_bytes(b"")
    assert main(["denoise", "in", "-o", "out", "--sigma", "9", "--verbose"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_patterns_are_looked_up_where_no_shell_has(folder: Path, capsys) -> None:
    assert main(["denoise", "in/?.png", "in/a*", "-o", "out", "--sigma", "9"]) == 0
    assert {path.name for path in Path("out").iterdir()} == {"a.png", "b.png"}
    images.write("in/a[1].png", PIXELS)
    assert main(["denoise", "in/a[1].png", "-o", "one.png", "--sigma", "9"]) == 0
    assert main(["denoise", "in/*.jpg", "-o", "out"]) == 2
    assert "in/*.jpg matches no file" in capsys.readouterr().err


@pytest.mark.parametrize("command", [[], ["denoise"], ["upscale"]])
def test_the_help_says_what_exit_codes_mean(capsys, command: list[str]) -> None:
    with pytest.raises(SystemExit):
        main([*command, "--help"])
    said = " ".join(capsys.readouterr().out.split())
    for code in ("0 all done", "1 something", "2 wrong use", "130 ended by Ctrl-C"):
        assert code in said


@POSIX
@pytest.mark.parametrize("name", ["a\nb.png", "a\x1b[2Jb.png", "a\rb.png", "a\x07\u202eb.png", "a\udcffb.png"])
def test_a_name_cannot_give_the_terminal_commands(folder: Path, capsys, name: str) -> None:
    for contents in (images.encode_pages("x.png", [images.Picture(PIXELS)]), b""):
        Path("in", name).write_bytes(contents)
        main(["denoise", "in", "-o", "out", "--sigma", "9"])
        main(["denoise", f"in/{name}", "-o", f"other {name}", "--sigma", "9"])
        said = capsys.readouterr().err
        assert all(c.isprintable() for line in said.split("\n") for c in line)
        assert printable(name) in said
        assert len(said.splitlines()) == sum(line.startswith(("nlrn: ", "in", *"123")) for line in said.splitlines())


def piped(arguments: list[str], data: bytes) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-m", "nlrn", *arguments], input=data, capture_output=True, timeout=300)


@POSIX
def test_a_picture_through_pipes(folder: Path) -> None:
    data = Path("in/a.png").read_bytes()
    assert main(["denoise", "in/a.png", "-o", "named.png", "--sigma", "9"]) == 0
    done = piped(["denoise", "-", "--sigma", "9"], data)
    assert done.returncode == 0, done.stderr
    assert done.stdout == Path("named.png").read_bytes()
    done = piped(["upscale", "-", "--scale", "2", "-o", "-", "--format", "tif", "--quiet"], data)
    assert (done.returncode, done.stderr) == (0, b"")
    assert images.decode_pages(done.stdout)[0].pixels.shape == (24, 30)
    done = piped(["denoise", "-", "--sigma", "9"], b"no picture")
    assert done.returncode == 2
    assert done.stdout == b""
    assert done.stderr.startswith(b"nlrn: standard input is not an image")


@POSIX
def test_named_pipes_and_devices(folder: Path) -> None:
    """As process substitution gives them: their names say nothing of a format."""
    for name in ("source", "sink"):
        os.mkfifo(name)
    taken: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: Path("source").write_bytes(Path("in/a.png").read_bytes()), daemon=True),
        threading.Thread(target=lambda: taken.append(Path("sink").read_bytes()), daemon=True),
    ]
    for thread in threads:
        thread.start()
    assert main(["denoise", "source", "-o", "sink", "--sigma", "9"]) == 0
    for thread in threads:
        thread.join(60)
    assert images.decode_pages(taken[0])[0].pixels.shape == PIXELS.shape
    assert main(["denoise", "in/a.png", "-o", os.devnull, "--sigma", "9"]) == 0


@POSIX
def test_pipes_that_make_no_sense_are_one_sentence(folder: Path, capsys) -> None:
    os.mkfifo("source")
    for arguments in (
        ["-", "in/a.png", "-o", "out"],
        ["source", "in/a.png", "-o", "out"],
        ["in", "-o", "-"],
        ["source"],
        ["-", "--json"],
        ["in/a.png", "-o", "-", "--json"],
        ["in/a.png", "-o", "-", "--engine", "ray"],
    ):
        assert main(["denoise", *arguments]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_knows_commands_options_and_models(capsys, shell: str) -> None:
    pytest.importorskip("shtab")
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    for word in ("denoise", "--skip-existing", "--follow-links", "denoise-gray-lite", "evaluate", "--json"):
        assert word in script


@pytest.mark.skipif(sys.platform == "win32", reason="runs bash")
def test_bash_completes_with_it(capsys) -> None:
    pytest.importorskip("shtab")
    main(["completion", "bash"])
    script = capsys.readouterr().out
    for words, wanted in ((["nlrn", "den"], "denoise"), (["nlrn", "denoise", "--model", "sr"], "sr-lite")):
        function = "$(complete -p nlrn | sed 's/.*-F //; s/ .*//')"
        ask = f"COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; {function}"
        done = subprocess.run(
            ["bash", "-c", f'{script}\n{ask}; echo "${{COMPREPLY[@]}}"'], capture_output=True, text=True, timeout=60
        )
        assert wanted in done.stdout.split(), done.stderr


def test_every_help_is_a_sentence_or_a_phrase() -> None:
    text = make_parser().format_help()
    assert not re.search(r"\bNone\b", text)
