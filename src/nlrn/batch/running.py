"""A run over many files: planned, carried out here or on a cluster, and told of."""

import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace as changed
from functools import partial
from pathlib import Path

from nlrn.batch.job import Done, Job, Restored
from nlrn.batch.jobs import is_done, outcome_of, plan
from nlrn.batch.naming import Naming
from nlrn.batch.pipeline import overlapped
from nlrn.batch.places import Folders
from nlrn.batch.recipe import Recipe, read, save
from nlrn.batch.streams import DASH, STDIN, STDOUT, is_stream
from nlrn.errors import UsageError
from nlrn.files import remove_parts
from nlrn.images import Picture
from nlrn.inference.tiles import Progress

ENGINES = ("local", "ray")
_log = logging.getLogger("nlrn")


@dataclass(frozen=True)
class Outcome:
    """The results of all files."""

    done: list[Done]
    failed: list[Done]
    """Also what was found in folders, may have been meant, and was passed over."""
    skipped: list[Job]
    """Their output was there."""
    seconds: float
    waited: float | None
    """Seconds in which the processor waited for files; None on a cluster."""

    @property
    def pixels(self) -> int:
        """Restored, counted in the results."""
        return sum(one.pixels for one in self.done)


class Watch:
    """Told of all that happens; does nothing with it. Methods may be called from any one thread at a time."""

    def planned(self, jobs: Sequence[Job], skipped: Sequence[Job]) -> None:
        """Before the first."""

    def started(self, job: Job, pages: Sequence[Picture]) -> Progress:
        """A file was read; returns where the progress of its restoration goes. Not called on a cluster."""
        return lambda done, total: None

    def finished(self, done: Done) -> None:
        """A file is written, or has failed."""

    def said(self, job: Job, message: str) -> None:
        """Something to know about a file, from another process."""


def run(
    recipe: Recipe,
    inputs: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str] | None,
    *,
    suffix: str = "",
    format: str | None = None,  # noqa: A002  # as the flag
    skip_existing: bool = False,
    replace: bool = False,
    backup: str = ".orig",
    follow_links: bool = False,
    engine: str = "local",
    workers: int | None = None,
    watch: Watch | None = None,
) -> Outcome:
    """Restore image files; one that fails never stops the others.

    Outputs appear whole or not at all. Interrupted, the same call with ``skip_existing`` goes on where it was.

    Args:
        recipe: what is done to each.
        inputs, out: see :func:`nlrn.batch.jobs.plan`. As text, "-" is standard input or output, and a name with a
            slash at its end is that of a folder.
        suffix, format, skip_existing, replace, backup, follow_links: see :class:`nlrn.batch.naming.Naming`.
        engine: "local": one process, which reads and writes while it restores. "ray": the cluster that the
            environment variable RAY_ADDRESS names, whose machines see the same files under the same names, or
            processes on this machine; needs ``nlrn[ray]``.
        workers: processes that restore, with one model and one thread each; default one to a GPU, or without
            GPUs one to a processor. For "ray" only.
        watch: told of the progress.

    Raises:
        UsageError: the outputs cannot be laid out like that, or Ray is not installed.
        ModelError: the model cannot be loaded, or is made for another task.
        ValueError: the device is not there.
    """
    if engine not in ENGINES:
        raise UsageError(f"engine {engine} is none of {', '.join(ENGINES)}")
    if workers is not None and (engine == "local" or workers < 1):
        raise UsageError("workers are at least 1, and for the engine ray only")
    watch = watch or Watch()
    naming = Naming(suffix=suffix, format=format, replace=replace, backup=backup, follow_links=follow_links)
    place = None if out is None else _path(out, STDOUT, "the output")
    planned = plan([_path(given, STDIN, "an input") for given in inputs], place, naming, folder=_is_folder(out))
    there = {job for job in planned.jobs if is_done(job)}
    skipped = [job for job in planned.jobs if job in there and skip_existing]
    jobs = [job for job in planned.jobs if not (job in there and skip_existing)]
    if engine == "ray" and any(is_stream(path) for job in jobs for path in (job.source, job.target)):
        raise UsageError("the engine ray takes files, and no pipes")
    watch.planned(jobs, skipped)
    if planned.earlier:
        _log.info("%s", _counted(planned.earlier, "passed over, as the result of an earlier run"))
    replaced = (
        [] if replace or (out is not None and not os.path.isdir(out)) else [j.target for j in jobs if j in there]
    )
    if replaced:  # names that nobody gave: other programs may have made what has them
        _log.warning("%s", _counted(replaced, "there already and will be overwritten"))
    remove_parts([job.target for job in planned.jobs])
    folders = Folders()
    started, waited = time.perf_counter(), None
    results: list[Done] = []
    if jobs and engine == "ray":
        from nlrn.batch.on_ray import restore_on_ray

        for done, messages in restore_on_ray(recipe, jobs, workers):
            for message in messages:
                watch.said(done.job, message)
            watch.finished(done)
            results.append(done)
    elif jobs:
        waited = _restore_here(recipe, jobs, watch, results, folders)
    results = [_unless_lost(done, folders) for done in results]
    return Outcome(
        done=[one for one in results if one.reason is None],
        failed=[one for one in (*results, *planned.passed_over) if one.reason is not None],
        skipped=skipped,
        seconds=time.perf_counter() - started,
        waited=waited,
    )


def _path(given: str | os.PathLike[str], dash: Path, role: str) -> Path:
    name = os.fspath(given)
    if not name:
        raise UsageError(f"{role} has an empty name, as of a variable that is not set: name a file or a folder")
    return dash if given == DASH else Path(name)


def _is_folder(out: str | os.PathLike[str] | None) -> bool:
    """Whether a name says by a slash at its end that it is that of a folder."""
    return isinstance(out, str) and out.endswith(("/", os.sep))


def _counted(paths: Sequence[Path], what: str) -> str:
    if len(paths) == 1:
        return f"{paths[0]} is {what}"
    return f"{len(paths)} files are {what}, {paths[0]} the first"


def _unless_lost(done: Done, folders: Folders) -> Done:
    if done.reason is not None or is_stream(done.job.target) or not folders.lost(done.job.target):
        return done
    reason = f"{done.job.target} was written and has vanished together with its folder: see what took it"
    return changed(done, reason=reason, pixels=0)


def _restore_here(recipe: Recipe, jobs: Sequence[Job], watch: Watch, results: list[Done], folders: Folders) -> float:
    """Restore files in this process; appends to the results, returns the seconds of waiting."""
    restorer = recipe.load()

    def finished(job: Job, made: Restored | Exception) -> None:
        done = outcome_of(job, made)
        results.append(done)
        watch.finished(done)

    return overlapped(
        jobs,
        read=partial(read, recipe),
        work=lambda job, pages: restorer(pages, watch.started(job, pages)),
        write=lambda job, made: save(recipe, job, made, folders),
        finished=finished,
        size=lambda held: sum(page.pixels.nbytes for page in (held.pages if isinstance(held, Restored) else held)),
    ).waited
