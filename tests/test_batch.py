"""Many files: outputs are laid out as expected, one bad file never stops the others."""

from pathlib import Path

import numpy as np
import pytest

from nlrn import images
from nlrn.batch import Job, UsageError, plan_jobs, run_jobs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "in"
    (root / "sub").mkdir(parents=True)
    (root / ".hidden").mkdir()
    for name in ("a.png", "sub/b.png", ".hidden/c.png", ".d.png"):
        images.write(root / name, np.full((4, 5), 100, np.uint8))
    for name in ("Thumbs.db", "notes.txt"):
        (root / name).write_text("no image")
    return root


def test_a_file_goes_to_a_file_or_into_a_folder(folder: Path, tmp_path: Path) -> None:
    source = folder / "a.png"
    assert plan_jobs([source], tmp_path / "out.png") == [Job(source, tmp_path / "out.png")]
    assert plan_jobs([source], folder / "sub") == [Job(source, folder / "sub" / "a.png")]
    assert plan_jobs([source], tmp_path / "new") == [Job(source, tmp_path / "new" / "a.png")]


def test_a_folder_keeps_its_tree_and_loses_its_junk(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert plan_jobs([folder], out) == [
        Job(folder / "a.png", out / "a.png"),
        Job(folder / "sub" / "b.png", out / "sub" / "b.png"),
    ]


def test_layouts_that_would_lose_something_are_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "none").mkdir()
    with pytest.raises(UsageError, match="need a folder"):
        plan_jobs([folder], tmp_path / "file")
    with pytest.raises(UsageError, match="overwritten"):
        plan_jobs([folder / "a.png"], folder / "a.png")
    with pytest.raises(UsageError, match="both become"):
        plan_jobs([folder / "a.png", folder / "." / "a.png"], tmp_path / "out")
    with pytest.raises(UsageError, match="no image files"):
        plan_jobs([tmp_path / "none"], tmp_path / "out")


def test_a_bad_file_is_named_and_the_others_are_done(folder: Path, tmp_path: Path) -> None:
    (folder / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    jobs = plan_jobs([folder, tmp_path / "missing.png"], tmp_path / "out")
    done: list[tuple[str, bool]] = []
    failures = run_jobs(
        jobs,
        lambda pixels, axis, progress: 255 - pixels,
        started=lambda job, shape: lambda done, total: None,
        finished=lambda job, reason: done.append((job.source.name, reason is None)),
    )
    assert done == [("a.png", True), ("bad.png", False), ("b.png", True), ("missing.png", False)]
    assert all(job.source.name in reason for job, reason in failures)
    assert (images.read(tmp_path / "out" / "sub" / "b.png").pixels == 155).all()
    assert not (tmp_path / "out" / "bad.png").exists()
