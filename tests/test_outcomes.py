"""What becomes of files whose results cannot be written, are in the way or vanish; the network is left out."""

import itertools
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from nlrn import images
from nlrn.batch import Done, Outcome, Recipe, UsageError, Watch, recipe, run
from nlrn.files import remove_parts, replacing
from nlrn.pixels.scene import Scene

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="POSIX")
RECIPE = Recipe("denoise", sigma=20)
KINDS = {
    "gray": np.full((12, 15), 100, np.uint8),
    "colour": np.full((12, 15, 3), 100, np.uint8),
    "alpha": np.full((12, 15, 4), 100, np.uint8),
    "16 bit": np.full((12, 15), 30000, np.uint16),
    "float": np.full((12, 15), 0.5, np.float32),
}


@pytest.fixture(autouse=True)
def worked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts what comes to be computed; the result is the picture itself, one level darker."""
    calls: list[int] = []

    def denoise(restorer: object, how: Recipe, scene: Scene, progress: object) -> np.ndarray:
        pixels = scene.pixels
        calls.append(1)
        return pixels - pixels.dtype.type(1) if pixels.dtype.kind == "u" else pixels

    monkeypatch.setattr(recipe, "denoise", denoise)
    return calls


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """in/a.png and in/sub/b.png."""
    for name in ("a.png", "sub/b.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        images.write(tmp_path / "in" / name, KINDS["gray"])
    return tmp_path / "in"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ending", [".png", ".tif", ".jpg", ".webp", ".bmp", ".pgm", ".ppm", ".gif", ".txt", ".v2"])
def test_what_cannot_be_written_is_known_before_the_work(
    kind: str, ending: str, tmp_path: Path, worked: list[int]
) -> None:
    """Every format against every kind of pixels: either it is written, or nothing was computed."""
    source = tmp_path / "a.tif"
    images.write(source, KINDS[kind])
    try:
        images.write(tmp_path / f"direct{ending}", KINDS[kind])
        possible = True
    except images.ImageFileError:
        possible = False
    outcome = run(RECIPE, [source], tmp_path / f"out{ending}")
    assert bool(outcome.done) == bool(worked) == possible
    assert possible or f"out{ending} cannot be written" in str(outcome.failed[0].reason)


@POSIX
@pytest.mark.parametrize("place", ["file/x.png", "file/deep/x.png", "there", "x" * 252 + ".png"])
def test_places_are_refused_before_the_work(folder: Path, tmp_path: Path, place: str, worked: list[int]) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "there" / "a.png").mkdir(parents=True)
    outcome = run(RECIPE, [folder / "a.png"], tmp_path / place)
    assert len(outcome.failed) == 1
    assert not worked


@POSIX
def test_a_folder_that_may_not_be_written_is_refused_before_the_work(
    folder: Path, tmp_path: Path, worked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "locked").mkdir()
    access = os.access  # root may write anywhere, so the refusal is played
    monkeypatch.setattr(os, "access", lambda path, mode: "locked" not in str(path) and access(path, mode))
    for inputs in ([folder], [folder / "a.png"]):
        outcome = run(RECIPE, inputs, tmp_path / "locked")
        assert all("locked" in str(done.reason) for done in outcome.failed)
        assert not outcome.done
    assert not worked


def test_a_subfolder_that_cannot_be_searched_fails(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir = os.scandir

    def refusing(path: str = ".") -> object:  # root may read anywhere
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    outcome = run(RECIPE, [folder], tmp_path / "out")
    assert [done.job.source.name for done in outcome.done] == ["a.png"]
    assert [done.job.source.name for done in outcome.failed] == ["sub"]


def test_empty_names_are_refused(folder: Path, tmp_path: Path) -> None:
    for inputs, out in (([""], tmp_path), ([str(folder), ""], tmp_path), ([str(folder)], "")):
        with pytest.raises(UsageError, match="empty name"):
            run(RECIPE, inputs, out)


def test_what_has_the_name_of_a_result_is_not_overwritten_without_a_word(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the name was chosen here, and not by who called."""
    (folder / "a-denoised.png").write_bytes(b"of another program")
    for inputs, out in itertools.product(([folder / "a.png"], [folder]), (None, tmp_path / "in")):
        caplog.clear()
        (folder / "a-denoised.png").write_bytes(b"of another program")
        run(RECIPE, inputs, out, suffix="-denoised", skip_existing=True)
        assert (folder / "a-denoised.png").read_bytes() == b"of another program"
        assert "overwritten" not in caplog.text
        run(RECIPE, inputs, out, suffix="-denoised")
        assert "overwritten" in caplog.text
        assert "a-denoised.png" in caplog.text
    caplog.clear()
    run(RECIPE, [folder / "a.png"], folder / "a-denoised.png")
    assert "overwritten" not in caplog.text


class Removes(Watch):
    """Removes the output folder when the first file is in it."""

    def __init__(self, out: Path) -> None:
        self.out = out

    def finished(self, done: Done) -> None:
        shutil.rmtree(self.out, ignore_errors=True)


def test_an_output_folder_that_vanishes_is_an_error_for_all_that_was_in_it(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / "in").mkdir(exist_ok=True)
        images.write(tmp_path / "in" / f"{number}.png", KINDS["gray"])
    outcome = run(RECIPE, [tmp_path / "in"], tmp_path / "out", watch=Removes(tmp_path / "out"))
    assert not outcome.done
    assert len(outcome.failed) == 4
    assert all("vanished" in str(done.reason) for done in outcome.failed)
    assert not (tmp_path / "out").exists()


def test_replacing_leaves_the_original_beside_the_result(folder: Path) -> None:
    before = (folder / "a.png").read_bytes()
    outcome = run(RECIPE, [folder], None, replace=True)
    assert len(outcome.done) == 2
    assert (folder / "a.png.orig").read_bytes() == before
    assert (images.read(folder / "a.png").pixels == KINDS["gray"] - 1).all()
    assert len(run(RECIPE, [folder], None, replace=True, skip_existing=True).skipped) == 2
    again = run(RECIPE, [folder], None, replace=True)
    assert all("earlier --replace" in str(done.reason) for done in again.failed)
    assert (folder / "a.png.orig").read_bytes() == before
    assert run(RECIPE, [folder], None, replace=True, backup=".second").done
    assert (images.read(folder / "a.png").pixels == KINDS["gray"] - 2).all()


@POSIX
def test_replacing_through_a_link_replaces_what_it_leads_to(folder: Path) -> None:
    (folder / "link.png").symlink_to("a.png")
    run(RECIPE, [folder / "link.png"], None, replace=True)
    assert (folder / "link.png").is_symlink()
    assert (images.read(folder / "a.png").pixels == KINDS["gray"] - 1).all()
    assert len(run(RECIPE, [folder], None, replace=True, backup=".b").done) == 2


@pytest.mark.parametrize("links", [True, False])
def test_a_run_that_was_killed_between_backup_and_result_goes_on(
    folder: Path, links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(folder / "a.png", folder / "a.png.orig")
    if not links:
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError(95, "Operation not supported")))
        (folder / "a.png.orig").unlink()
    outcome = run(RECIPE, [folder], None, replace=True, skip_existing=True)
    assert len(outcome.done) == 2
    assert (images.read(folder / "a.png").pixels == KINDS["gray"] - 1).all()
    assert (folder / "a.png.orig").exists()


def test_a_backup_goes_where_its_result_could_not_be_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise images.ImageFileError("a.png cannot be written (No space left on device)")

    monkeypatch.setattr(images, "put", full)
    before = sorted(folder.rglob("*"))
    assert len(run(RECIPE, [folder], None, replace=True).failed) == 2
    assert sorted(folder.rglob("*")) == before


@POSIX
def test_strays_of_killed_runs_go_and_what_is_being_written_stays(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    strays = [out / ".a.png.0123abcd.part", out / ".a.png.89abcdef.part"]
    for stray in strays:
        stray.write_bytes(b"half of a pict")
    (out / ".other.png.0123abcd.part").write_bytes(b"of another run")
    with replacing(out / "a.png") as file:
        file.write(b"whole")
        alive = set(out.iterdir()) - set(strays)
        remove_parts([out / "a.png"])
        assert set(out.iterdir()) == alive
    for stray in strays:
        stray.write_bytes(b"half of a pict")
    assert len(run(RECIPE, [folder], out).done) == 2
    assert sorted(path.name for path in out.iterdir()) == [".other.png.0123abcd.part", "a.png", "sub"]


def test_what_was_found_out_is_told_for_each_picture(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    outcome: Outcome = run(RECIPE, [folder / "a.png"], folder / "out.png")
    assert [(done.level, done.model) for done in outcome.done] == [(20.0, "denoise-gray")]
    assert outcome.done[0].seconds > 0


def test_an_enlarged_picture_keeps_its_dpi_where_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        recipe, "upscale", lambda restorer, how, scene, progress: scene.pixels.repeat(2, 0).repeat(2, 1)
    )
    images.write(tmp_path / "a.tif", KINDS["gray"], images.Picture(KINDS["gray"], images.Metadata(dpi=(300, 300))))
    for keep, dpi in ((False, 600), (True, 300)):
        run(Recipe("sr", scale=2, keep_dpi=keep), [tmp_path / "a.tif"], tmp_path / "b.tif")
        assert images.read(tmp_path / "b.tif").metadata.dpi == (dpi, dpi)
