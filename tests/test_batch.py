"""Many files: outputs are laid out as expected, one bad file never stops the others, a run can be gone on with."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image

from nlrn import images
from nlrn.batch import Done, Job, Recipe, UsageError, Watch, plan_jobs, run
from nlrn.cli import main
from nlrn.images import Metadata, Picture

RNG = np.random.default_rng(3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "in"
    for sub in ("sub", ".hidden", "__MACOSX", "@eaDir"):
        (root / sub).mkdir(parents=True)
    for name in ("a.png", "sub/b.png", ".hidden/c.png", ".d.png", "__MACOSX/e.png", "@eaDir/f.png"):
        images.write(root / name, RNG.integers(80, 120, (12, 15), dtype=np.uint8))
    for name in ("Thumbs.db", "desktop.ini", "notes.txt"):
        (root / name).write_text("no image")
    return root


class Record(Watch):
    """Remembers what was reported."""

    def __init__(self) -> None:
        self.names: list[tuple[str, bool]] = []
        self.skipped: list[str] = []

    def planned(self, jobs: Sequence[Job], skipped: Sequence[Job]) -> None:
        self.skipped = [job.source.name for job in skipped]

    def finished(self, done: Done) -> None:
        self.names.append((done.job.source.name, done.reason is None))


def test_a_file_goes_to_a_file_or_into_a_folder(folder: Path, tmp_path: Path) -> None:
    source = folder / "a.png"
    assert plan_jobs([source], tmp_path / "out.png") == [Job(source, tmp_path / "out.png")]
    assert plan_jobs([source], folder / "sub") == [Job(source, folder / "sub" / "a.png")]
    assert plan_jobs([source], tmp_path / "new") == [Job(source, tmp_path / "new" / "a.png")]
    assert plan_jobs([source], None, "-x") == [Job(source, folder / "a-x.png")]


def test_a_folder_keeps_its_tree_and_loses_its_junk(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert plan_jobs([folder], out) == [
        Job(folder / "a.png", out / "a.png"),
        Job(folder / "sub" / "b.png", out / "sub" / "b.png"),
    ]
    assert [job.target for job in plan_jobs([folder], out, "-x")] == [out / "a-x.png", out / "sub" / "b-x.png"]


def test_what_was_restored_before_is_no_input(folder: Path) -> None:
    """Neither in an output folder within the input folder nor beside the originals."""
    sources = [folder / "a.png", folder / "sub" / "b.png"]
    for out, suffix in ((folder / "restored", ""), (folder, "-x"), (None, "-x")):
        jobs = plan_jobs([folder], out, suffix)
        for job in jobs:
            job.target.parent.mkdir(parents=True, exist_ok=True)
            job.target.write_bytes(job.source.read_bytes())
        again = plan_jobs([folder], out, suffix)
        assert again == jobs
        assert [job.source for job in jobs] == sources
        for job in jobs:
            job.target.unlink()


def test_a_bitmap_becomes_gray(tmp_path: Path) -> None:
    (tmp_path / "x.pbm").write_bytes(b"P1 3 2 1 0 1 0 1 0")
    outcome = run(Recipe("denoise", sigma=10), [tmp_path], tmp_path / "out")
    assert [done.job.target.name for done in outcome.done] == ["x.pgm"]


def test_layouts_that_would_lose_something_are_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "none").mkdir()
    with pytest.raises(UsageError, match="need a folder"):
        plan_jobs([folder], tmp_path / "file")
    with pytest.raises(UsageError, match="overwritten"):
        plan_jobs([folder / "a.png"], folder / "a.png")
    with pytest.raises(UsageError, match="overwritten"):
        plan_jobs([folder], None)
    with pytest.raises(UsageError, match="both become"):
        plan_jobs(
            [folder / "a.png", folder / "sub" / ".." / "sub" / "b.png", folder / "twin" / "a.png"], tmp_path / "out"
        )
    with pytest.raises(UsageError, match="no image files"):
        plan_jobs([tmp_path / "none"], tmp_path / "out")
    with pytest.raises(UsageError, match="slash"):
        plan_jobs([folder], tmp_path / "out", "/x")
    with pytest.raises(UsageError, match="whole name"):
        plan_jobs([folder / "a.png"], tmp_path / "out.png", "-x")
    with pytest.raises(UsageError, match="workers"):
        run(Recipe("denoise"), [folder], tmp_path / "out", workers=2)


def test_a_bad_file_is_named_and_the_others_are_done(folder: Path, tmp_path: Path) -> None:
    (folder / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    watch = Record()
    outcome = run(Recipe("sr", scale=2), [folder, tmp_path / "missing.png"], tmp_path / "out", watch=watch)
    assert watch.names == [("a.png", True), ("bad.png", False), ("b.png", True), ("missing.png", False)]
    assert len(outcome.failed) == 2
    assert all(str(one.job.source) in str(one.reason) for one in outcome.failed)
    assert outcome.pixels == 2 * 24 * 30
    assert images.read(tmp_path / "out" / "sub" / "b.png").pixels.shape == (24, 30)
    assert not (tmp_path / "out" / "bad.png").exists()


def test_what_is_there_is_skipped_and_the_rest_is_done(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.png").write_bytes(b"done before")
    watch = Record()
    outcome = run(Recipe("denoise", sigma=9), [folder], out, skip_existing=True, watch=watch)
    assert watch.skipped == ["a.png"]
    assert [one.job.source.name for one in outcome.done] == ["b.png"]
    assert (out / "a.png").read_bytes() == b"done before"
    assert not run(Recipe("denoise", sigma=9), [folder], out, skip_existing=True).done


def test_every_page_of_a_tiff_is_restored(tmp_path: Path) -> None:
    noisy = (30000 + RNG.normal(0, 3000, (3, 40, 50))).astype(np.uint16)
    tifffile.imwrite(tmp_path / "x.tif", noisy, photometric="minisblack", metadata=None)
    outcome = run(Recipe("denoise"), [tmp_path / "x.tif"], tmp_path / "y.tif")
    assert outcome.pixels == 3 * 40 * 50
    restored = tifffile.imread(tmp_path / "y.tif")
    assert restored.dtype == np.uint16
    assert restored.shape == noisy.shape
    assert (restored.std((1, 2)) < 1000).all()


def test_stripped_metadata(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 255, (12, 15), dtype=np.uint8)
    images.write(tmp_path / "x.png", pixels, images.Picture(pixels, images.Metadata(text=(("Author", "someone"),))))
    arguments = ["denoise", str(tmp_path / "x.png"), "--sigma", "9", "-o"]
    assert main([*arguments, str(tmp_path / "kept.png")]) == 0
    assert main([*arguments, str(tmp_path / "bare.png"), "--strip-metadata"]) == 0
    assert b"someone" in (tmp_path / "kept.png").read_bytes()
    assert b"someone" not in (tmp_path / "bare.png").read_bytes()


@pytest.mark.parametrize("ending", [".jpg", ".webp", ".avif"])
def test_a_lossy_file_in_which_nothing_is_changed_stays_byte_for_byte(tmp_path: Path, ending: str) -> None:
    """Every other way out writes it anew: another format, a quality, no metadata, a change."""
    source, out = tmp_path / f"fine{ending}", tmp_path / "out"
    ramp = np.add.outer(np.arange(48), np.arange(64))[..., None] + np.array([20, 60, 100])
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = "a ramp"
    like = Picture(ramp, Metadata(exif=exif.tobytes()[6:]))
    images.write(source, ramp.astype(np.uint8), like, quality=90)
    before = source.read_bytes()

    def made(recipe: Recipe, name: str = source.name) -> bytes:
        outcome = run(recipe, [source], out / name)
        assert not outcome.failed
        return (out / name).read_bytes()

    assert made(Recipe("denoise", strength=0)) == before
    assert made(Recipe("denoise")) == before
    assert made(Recipe("denoise", strength=0, strip_metadata=True)) != before
    assert made(Recipe("denoise", strength=0), "fine.tif") != before
    assert made(Recipe("denoise", sigma=20)) != before
    assert made(Recipe("denoise", strength=0, quality=40)) != before
    run(Recipe("denoise", strength=0), [source], None, replace=True)
    assert source.read_bytes() == before
    assert Path(f"{source}.orig").read_bytes() == before


def test_the_command_line_counts_and_lists(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "bad.png").write_bytes(b"")
    assert main(["denoise", str(folder), "--sigma", "9"]) == 1
    said = capsys.readouterr().err
    lines = said.splitlines()
    for number, name in enumerate(("a-denoised.png", "bad.png failed", "b-denoised.png"), 1):
        assert any(line.startswith(f"{number}/3 ") and name in line for line in lines)
    assert "megapixels/s" in said
    assert " left)" in said
    assert lines[-3].endswith("bad.png is empty: get a whole copy of it.")
    assert "1 of 3 images failed" in lines[-2]
    assert "waiting for files" in lines[-1]
    (folder / "bad.png").unlink()
    assert main(["denoise", str(folder), "--sigma", "9", "--skip-existing"]) == 0
    assert "2 of 2 are there already" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="sends the interrupt of POSIX")
def test_ctrl_c_leaves_whole_files_and_the_next_run_goes_on(tmp_path: Path) -> None:
    count, out = 20, tmp_path / "out"
    (tmp_path / "in").mkdir()
    for number in range(count):
        images.write(tmp_path / "in" / f"{number:02}.png", RNG.integers(0, 255, (64, 64), dtype=np.uint8))
    command = [sys.executable, "-m", "nlrn", "denoise", str(tmp_path / "in"), "-o", str(out), "--sigma", "25"]
    command += ["--skip-existing", "--device", "cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    # tests that a shell runs in the background inherit a Ctrl-C that is ignored
    heeding = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, preexec_fn=heeding)
    while len(list(out.glob("*.png"))) < 3:
        time.sleep(0.02)
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 130, said
    assert "interrupted" in said
    assert "Traceback" not in said
    left = sorted(out.iterdir())
    assert 3 <= len(left) < count
    assert not [path for path in left if path.suffix != ".png"]
    before = {path: path.read_bytes() for path in left}
    assert all(images.read(path).pixels.shape == (64, 64) for path in left)
    finished = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)
    assert finished.returncode == 0
    assert f"{len(left)} of {count} are there already" in finished.stderr
    assert len(list(out.iterdir())) == count
    assert all(path.read_bytes() == data for path, data in before.items())
