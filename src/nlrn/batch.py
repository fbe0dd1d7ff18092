"""Many image files: which go where, one after another, and what became of each."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nlrn import images
from nlrn.images import ImageFileError
from nlrn.models import ModelError
from nlrn.tiles import Progress

_JUNK = {"thumbs.db", "desktop.ini"}


class UsageError(Exception):
    """What was asked for makes no sense; the message says why and what to do."""


@dataclass(frozen=True)
class Job:
    """One image file and where its restored form goes."""

    source: Path
    target: Path


def plan_jobs(inputs: Sequence[Path], out: Path) -> list[Job]:
    """Pair every input with its output.

    Args:
        inputs: image files, and folders that are searched recursively (hidden and junk files are passed over).
        out: a file for one input file; a folder for several or for a folder, whose tree is kept.

    Raises:
        UsageError: the outputs cannot be laid out like that.
    """
    if len(inputs) == 1 and not inputs[0].is_dir() and not out.is_dir() and out.suffix:
        jobs = [Job(inputs[0], out)]
    elif out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; several images, or a folder of them, need a folder as --output")
    else:
        jobs = [
            Job(source, out / source.relative_to(given if given.is_dir() else given.parent))
            for given in inputs
            for source in (_images_below(given) if given.is_dir() else [given])
        ]
    seen: dict[Path, Path] = {}
    for job in jobs:
        if job.target.resolve() == job.source.resolve():
            raise UsageError(f"{job.source} would be overwritten by its restored form; name another --output")
        if job.target in seen:
            raise UsageError(f"{seen[job.target]} and {job.source} would both become {job.target}; rename one")
        seen[job.target] = job.source
    if not jobs:
        raise UsageError(f"{', '.join(map(str, inputs))}: no image files in there")
    return jobs


def run_jobs(
    jobs: Sequence[Job],
    restored: Callable[[np.ndarray, int | None, Progress], np.ndarray],
    *,
    started: Callable[[Job, tuple[int, ...]], Progress],
    finished: Callable[[Job, str | None], None],
) -> list[tuple[Job, str]]:
    """Restore one file after another; one that fails never stops the others.

    Args:
        jobs: from :func:`plan_jobs`.
        restored: takes pixels, the axis of their channels and where to report progress; returns pixels.
        started: told of a job and the shape of its pixels, says where its progress goes.
        finished: told of a job and why it failed, or None.

    Returns:
        The jobs that failed, each with the reason.
    """
    failures = []
    for job in jobs:
        try:
            picture = images.read(job.source)
            progress = started(job, picture.pixels.shape)
            pixels = restored(picture.pixels, None if picture.pixels.ndim == 2 else -1, progress)
            job.target.parent.mkdir(parents=True, exist_ok=True)
            images.write(job.target, pixels, like=picture)
            reason = None
        except (ImageFileError, ModelError, ValueError) as error:
            reason = str(error)
        except OSError as error:
            reason = f"{error.filename or job.target}: {error.strerror}"
        except MemoryError:
            reason = f"{job.source}: not enough memory; use --device cpu or a smaller image"
        if reason is not None:
            failures.append((job, reason))
        finished(job, reason)
    return failures


def _images_below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if (
            path.is_file()
            and not hidden
            and path.name.lower() not in _JUNK
            and path.suffix.lower() in images.SUFFIXES
        ):
            yield path
