"""A run over many files: planned, carried out here or on a cluster, and told of."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nlrn import images
from nlrn.batch.jobs import Done, Job, plan_jobs, reason_of
from nlrn.batch.pipeline import overlapped
from nlrn.batch.recipe import Recipe, count_pixels, save
from nlrn.errors import UsageError
from nlrn.images import Picture
from nlrn.inference.tiles import Progress

ENGINES = ("local", "ray")


@dataclass(frozen=True)
class Outcome:
    """What became of all files."""

    done: list[Done]
    failed: list[Done]
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
    skip_existing: bool = False,
    engine: str = "local",
    workers: int | None = None,
    watch: Watch | None = None,
) -> Outcome:
    """Restore image files; one that fails never stops the others.

    Outputs appear whole or not at all. Interrupted, the same call with ``skip_existing`` goes on where it was.

    Args:
        recipe: what is done to each.
        inputs, out, suffix: see :func:`nlrn.batch.jobs.plan_jobs`.
        skip_existing: pass over files whose output is there.
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
    jobs = plan_jobs([Path(given) for given in inputs], None if out is None else Path(out), suffix)
    there = {job for job in jobs if skip_existing and job.target.exists()}
    skipped, jobs = [job for job in jobs if job in there], [job for job in jobs if job not in there]
    watch.planned(jobs, skipped)
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
        waited = _restore_here(recipe, jobs, watch, results)
    return Outcome(
        done=[one for one in results if one.reason is None],
        failed=[one for one in results if one.reason is not None],
        skipped=skipped,
        seconds=time.perf_counter() - started,
        waited=waited,
    )


def _restore_here(recipe: Recipe, jobs: Sequence[Job], watch: Watch, results: list[Done]) -> float:
    """Restore files in this process; appends to the results, returns the seconds of waiting."""
    restorer = recipe.load()

    def finished(job: Job, made: list[Picture] | Exception) -> None:
        if isinstance(made, Exception):
            done = Done(job, reason_of(job, made), 0)
        else:
            done = Done(job, None, count_pixels(made))
        results.append(done)
        watch.finished(done)

    return overlapped(
        jobs,
        read=lambda job: images.read_pages(job.source),
        work=lambda job, pages: restorer(pages, watch.started(job, pages)),
        write=lambda job, pages: save(recipe, job.target, pages),
        finished=finished,
        size=lambda pages: sum(page.pixels.nbytes for page in pages),
    ).waited
