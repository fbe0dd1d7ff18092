"""The command line as a user meets it: results, one clear sentence for what goes wrong, exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nlrn import images
from nlrn.cli import main, make_parser
from nlrn.config import TASKS
from nlrn.evaluation.metrics import psnr
from nlrn.models.cards import SHIPPED


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A noisy photograph in a file."""
    data = pytest.importorskip("skimage.data")
    clean = data.astronaut()[:64, 180:260]
    noisy = clean + np.random.default_rng(0).normal(0, 20, clean.shape)
    images.write(tmp_path / "photo.png", np.rint(noisy.clip(0, 255)).astype(np.uint8))
    images.write(tmp_path / "clean.png", clean)
    return tmp_path / "photo.png"


def test_denoise_a_photo(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["denoise", str(photo), "-o", str(tmp_path / "out.png")]) == 0
    clean = images.read(tmp_path / "clean.png").pixels
    before, after = (psnr(images.read(p).pixels, clean, 255) for p in (photo, tmp_path / "out.png"))
    assert after > before + 4
    assert "noise estimated" in capsys.readouterr().err


def test_upscale_a_folder(photo: Path, tmp_path: Path) -> None:
    assert (
        main(["upscale", str(photo), str(tmp_path / "clean.png"), "-o", str(tmp_path / "out"), "--scale", "2"]) == 0
    )
    for name in ("photo.png", "clean.png"):
        assert images.read(tmp_path / "out" / name).pixels.shape == (128, 160, 3)


def test_sixteen_bits_stay_sixteen(photo: Path, tmp_path: Path) -> None:
    deep = images.read(photo).pixels.astype(np.uint16) * 200
    images.write(tmp_path / "deep.png", deep)
    assert main(["denoise", str(tmp_path / "deep.png"), "-o", str(tmp_path / "out.png"), "--sigma", "15"]) == 0
    restored = images.read(tmp_path / "out.png").pixels
    assert restored.dtype == np.uint16
    assert len(np.unique(restored)) > 2000


@pytest.mark.parametrize(
    ("name", "contents", "said"),
    [
        ("missing.png", None, "missing.png"),
        ("empty.png", b"", "empty.png"),
        ("text.jpg", b"hello there", "text.jpg"),
        ("cut.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 20, "cut.png"),
    ],
)
def test_a_bad_file_is_one_sentence(tmp_path: Path, capsys, name: str, contents: bytes | None, said: str) -> None:
    if contents is not None:
        (tmp_path / name).write_bytes(contents)
    out = tmp_path / "out.png"
    out.write_bytes(b"precious")
    assert main(["denoise", str(tmp_path / name), "-o", str(out)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert len(error.strip().splitlines()) == 1
    assert out.read_bytes() == b"precious"


def test_some_failures_among_many_are_exit_code_one(photo: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "bad.png").write_bytes(b"")
    inputs = [str(tmp_path / "bad.png"), str(photo)]
    assert main(["denoise", *inputs, "-o", str(tmp_path / "out"), "--sigma", "20"]) == 1
    assert "1 of 2 images failed" in capsys.readouterr().err
    assert (tmp_path / "out" / "photo.png").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--sigma", "300"], "cannot be meant"),
        (["--model", "no-such"], "no such model"),
        (["--model", "sr-lite"], "made for sr"),
        (["--device", "cuda"], "not available"),
    ],
)
def test_wrong_use_is_one_sentence(photo: Path, tmp_path: Path, capsys, arguments: list[str], said: str) -> None:
    if arguments[-1] == "cuda" and __import__("torch").cuda.is_available():
        pytest.skip("there is a GPU")
    assert main(["denoise", str(photo), "-o", str(tmp_path / "out.png"), *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.strip().splitlines()) == 1


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_named(photo: Path, tmp_path: Path, capsys) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    assert main(["denoise", str(photo), "-o", str(locked / "out.png")]) == 2
    assert "locked" in capsys.readouterr().err


def test_an_output_below_a_file_is_named(photo: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "file").touch()
    assert main(["denoise", str(photo), "-o", str(tmp_path / "file" / "out.png"), "--sigma", "20"]) == 2
    assert "file" in capsys.readouterr().err


def test_a_one_pixel_image_is_restored(tmp_path: Path) -> None:
    images.write(tmp_path / "dot.png", np.full((1, 1), 77, np.uint8))
    assert main(["denoise", str(tmp_path / "dot.png"), "-o", str(tmp_path / "out.png")]) == 0
    assert main(["upscale", str(tmp_path / "dot.png"), "-o", str(tmp_path / "big.png"), "--scale", "3"]) == 0
    assert abs(int(images.read(tmp_path / "big.png").pixels.mean()) - 77) <= 3


def test_models_and_info_say_what_there_is(capsys) -> None:
    assert main(["models"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for task in TASKS.values() for name in task.defaults.values())
    assert main(["info"]) == 0
    said = capsys.readouterr().out
    assert "correlation:" in said
    assert "cpu:" in said


def test_a_bare_weights_file_is_a_model(photo: Path, tmp_path: Path) -> None:
    weights = tmp_path / "mine.safetensors"
    weights.write_bytes((SHIPPED / "denoise-gray-lite" / "model.safetensors").read_bytes())
    for model, out in (("denoise-gray-lite", "a.png"), (str(weights), "b.png")):
        assert main(["denoise", str(photo), "-o", str(tmp_path / out), "--model", model]) == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_evaluate_writes_the_figures(photo: Path, tmp_path: Path, capsys) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    (tmp_path / "clean.png").rename(folder / "clean.png")
    arguments = ["--data", str(folder), "--sigma", "25", "--json", str(tmp_path / "scores.json")]
    assert main(["evaluate", "denoise", *arguments]) == 0
    written = json.loads((tmp_path / "scores.json").read_text())
    assert written["results"][0]["sigma"] == 25
    assert written["results"][0]["psnr"] > 26


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (["evaluate", "--json", "x", "--precision", "fp32", "--ensemble", "--data", "d"], ["sr"]),
        (["bench", "--json", "x"], ["network"]),
    ],
)
def test_what_is_said_before_the_name_of_a_part_holds(before: list[str], after: list[str]) -> None:
    (command, *said), parser = before, make_parser()
    assert vars(parser.parse_args(before + after)) == vars(parser.parse_args([command, *after, *said]))
    again = parser.parse_args([*before, *after, "--json", "y"])
    assert str(again.json) == "y"


@pytest.mark.parametrize(
    ("arguments", "said"), [(["--all", "denoise", "--data", "d"], "without a task"), (["denoise"], "--data")]
)
def test_evaluate_says_what_does_not_go_together(arguments: list[str], said: str, capsys) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", *arguments])
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err


def test_the_demo_leaves_pictures(tmp_path: Path, capsys) -> None:
    pytest.importorskip("skimage")
    assert main(["demo", "-o", str(tmp_path / "demo")]) == 0
    assert {p.name for p in (tmp_path / "demo").iterdir()} >= {"denoise-sheet.png", "upscale-sheet.png"}
    said = capsys.readouterr().out
    assert said.count("PSNR") == 4
    assert "seconds" in said


def test_bench_compares_the_forms(tmp_path: Path, capsys) -> None:
    arguments = ["--size", "24", "--window", "5", "--depth", "8", "--width", "8", "--repeats", "1"]
    arguments += ["--precision", "fp32", "bf16"]
    assert main(["bench", "correlation", *arguments, "--json", str(tmp_path / "bench.json")]) == 0
    assert "us/pixel" in capsys.readouterr().out
    results = json.loads((tmp_path / "bench.json").read_text())
    forms = {found["precision"]: {row["form"] for row in found["rows"]} for found in results["configurations"]}
    assert {"torch", "sdpa"} <= forms["fp32"]
    assert {"torch", "eager", "sdpa"} <= forms["bf16"]


def test_help_lists_every_setting_of_training(capsys) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["train", "denoise", "--help"])
    assert stopped.value.code == 0
    said = capsys.readouterr().out
    assert all(flag in said for flag in ("--steps", "--window", "--data", "--iterations", "--no-propagate"))


def modules_of(arguments: list[str]) -> set[str]:
    """What a command has loaded when it is done."""
    code = f"import sys; from nlrn.cli import main\ntry: main({arguments!r})\nfinally: print('\\n', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.stdout, done.stderr
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("arguments", [["models"], ["models", "--json"], ["--help"], ["denoise", "--help"]])
def test_looking_around_does_not_wait_for_torch(arguments: list[str]) -> None:
    assert not modules_of(arguments) & {"torch", "numpy", "PIL", "cv2", "tifffile"}


def test_completion_does_not_wait_for_torch() -> None:
    pytest.importorskip("shtab")
    assert not modules_of(["completion", "bash"]) & {"torch", "numpy", "rich"}


def test_restoring_loads_no_compiler_and_nothing_of_training(photo: Path, tmp_path: Path) -> None:
    loaded = modules_of(["denoise", str(photo), "-o", str(tmp_path / "out.png")])
    assert "torch" in loaded
    assert not loaded & {
        "torch._dynamo",
        "torch._inductor",
        "lightning_fabric",
        "matplotlib",
        "rich",
        "ray",
        "skimage",
    }
