"""Which image files there are, and where their restored forms go."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nlrn.errors import ModelError, UsageError
from nlrn.images import SUFFIXES, ImageFileError, writable_ending

_JUNK = {"__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found"}
"""Folders that operating systems and storage devices leave among photographs, in small letters."""


@dataclass(frozen=True)
class Job:
    """One image file and where its restored form goes."""

    source: Path
    target: Path


@dataclass(frozen=True)
class Done:
    """What became of a job."""

    job: Job
    reason: str | None
    """Why it failed: a sentence that names the file; None if it did not."""
    pixels: int
    """Restored, counted in the result; 0 if it failed."""
    worker: str = ""
    """Host and process that did it, as host:1234, where there are several."""


def plan_jobs(inputs: Sequence[Path], out: Path | None, suffix: str = "") -> list[Job]:
    """Pair every input with its output.

    Args:
        inputs: image files, and folders that are searched recursively. Hidden and junk files and folders are
            passed over; so is ``out`` where it lies in one of them, and what an earlier run with the same suffix
            left there.
        out: a file for one input file; a folder for several or for a folder, whose tree is kept; None for the
            place of each input.
        suffix: put behind the name of each output, before its ending.

    Raises:
        UsageError: the outputs cannot be laid out like that.
    """
    if os.sep in suffix or "/" in suffix:
        raise UsageError(f"--suffix {suffix} is a part of a name and cannot hold a slash")
    if len(inputs) == 1 and not inputs[0].is_dir() and out is not None and not out.is_dir() and out.suffix:
        if suffix:
            raise UsageError(f"{out} is the whole name of the output; give a folder as --output, or no --suffix")
        jobs = [Job(inputs[0], out)]
    elif out is not None and out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; several images, or a folder of them, need a folder as --output")
    else:
        jobs = []
        for given in inputs:
            root = given if given.is_dir() else given.parent
            sources = _images_below(given, out) if given.is_dir() else [given]
            place = root if out is None else out
            jobs += [Job(source, _target(place / source.relative_to(root), suffix)) for source in sources]
    jobs = _without_clashes(jobs)
    if not jobs:
        raise UsageError(f"{', '.join(map(str, inputs))}: no image files in there")
    return jobs


def reason_of(job: Job, error: Exception) -> str:
    """What to tell the user about a job that failed: a sentence that names the file."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return f"{job.source}: not enough memory; use --device cpu or a smaller image"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or job.target}: {error.strerror}"
    if isinstance(error, (ImageFileError, ModelError, ValueError)):
        said = str(error)
        return said if str(job.source) in said or str(job.target) in said else f"{job.source}: {said}"
    return (
        f"{job.source}: {type(error).__name__}: {' '.join(str(error).split())} (an error of nlrn: please report it)"
    )


def _target(path: Path, suffix: str) -> Path:
    return path.with_name(path.stem + suffix + writable_ending(path.suffix))


def _without_clashes(jobs: list[Job]) -> list[Job]:
    """The jobs less those that take an output for an input; UsageError where two would write one file."""
    seen: dict[Path, Path] = {}
    for job in jobs:
        if job.target.resolve() == job.source.resolve():
            raise UsageError(f"{job.source} would be overwritten by its restored form; name another --output")
        if job.target in seen:
            raise UsageError(f"{seen[job.target]} and {job.source} would both become {job.target}; rename one")
        seen[job.target] = job.source
    outputs = {target.resolve() for target in seen}
    return [job for job in jobs if job.source.resolve() not in outputs]


def _images_below(folder: Path, out: Path | None) -> Iterator[Path]:
    avoided = None if out is None or out.resolve() == folder.resolve() else out.resolve()
    for place, folders, files in os.walk(folder):
        here = Path(place)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and name.lower() not in _JUNK and (here / name).resolve() != avoided
        )
        for name in sorted(files):
            path = here / name
            if not name.startswith(".") and path.suffix.lower() in SUFFIXES and path.is_file():
                yield path
