"""Many image files on Ray: one model to a worker, workers that may die, and a list of what failed."""

import logging
import os
import pickle
import socket
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nlrn.batch.job import Done, Job, Restored
from nlrn.batch.jobs import outcome_of
from nlrn.batch.places import Folders
from nlrn.batch.recipe import Recipe, read, save
from nlrn.errors import needs
from nlrn.files import remove_parts
from nlrn.inference.ready import anywhere

_ATTEMPTS = 4
"""How often an image may cost a worker its life. Ray alone would let one that takes all memory go on for ever."""


def restore_on_ray(recipe: Recipe, jobs: Sequence[Job], workers: int | None) -> Iterator[tuple[Done, list[str]]]:
    """Restore files by Ray Data; yields what became of each, and what was said about it, as they are finished.

    Every image is a block of its own: a worker that dies costs the image in its hands, which is tried again by
    another. Where Ray is running in this program already, it is used as it is; else it is started, on the
    cluster of RAY_ADDRESS or on this machine, and stopped at the end.

    Raises:
        UsageError: Ray is not installed.
        ModelError: the model cannot be loaded, or is made for another task.
        ValueError: the device is not there.
    """
    with needs("ray"):
        import ray
        import ray.data
    recipe = replace(recipe, model=anywhere(recipe.model))
    absolute = [_absolute_job(job) for job in jobs]
    mine = not ray.is_initialized()
    if mine:
        _start(ray, workers)
    try:
        gpus = recipe.device in ("auto", "cuda") and ray.cluster_resources().get("GPU", 0) > 0
        # what is wrong with the model is told here, not by every worker
        replace(recipe, device="cpu" if gpus else recipe.device).load()
        count = workers or max(1, int(ray.cluster_resources().get("GPU" if gpus else "CPU", 1)))
        attempts = ray.remote(_attempts()).options(num_cpus=0, max_restarts=-1, max_task_retries=-1).remote()
        rows = _dataset(ray, absolute).map(
            _Worker,
            fn_constructor_args=(recipe, attempts),
            compute=ray.data.ActorPoolStrategy(size=min(count, len(jobs)), max_tasks_in_flight_per_actor=2),
            num_cpus=1,
            num_gpus=1 if gpus else 0,
        )
        for row in rows.iter_rows():
            yield replace(pickle.loads(row["done"]), job=jobs[row["number"]]), list(row["said"])
    finally:
        if mine:
            ray.shutdown()
        remove_parts([job.target for job in jobs])


def _attempts() -> type:
    """The class that counts how often each image was begun, by any worker.

    It outlives the processes whose attempts it counts. Made here, it is sent by value: its process imports nothing.
    """
    from collections import Counter

    class Attempts:
        def __init__(self) -> None:
            self.begun: Counter[int] = Counter()

        def begin(self, number: int) -> int:
            """Count one more attempt; returns the number of them."""
            self.begun[number] += 1
            return self.begun[number]

    return Attempts


class _Worker:
    """The worker in each of Ray's processes: the model, and one thread."""

    def __init__(self, recipe: Recipe, attempts: Any) -> None:
        os.environ["OMP_NUM_THREADS"] = "1"
        import cv2
        import torch

        torch.set_num_threads(1)
        cv2.setNumThreads(1)
        self.recipe, self.restorer, self.attempts = recipe, recipe.load(), attempts
        self.folders = Folders()
        self.said = _Notes()
        log = logging.getLogger("nlrn")
        log.setLevel(logging.INFO)
        log.addHandler(self.said)
        log.propagate = False

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        import ray

        job: Job = pickle.loads(row["job"])
        made: Restored | Exception
        try:
            if ray.get(self.attempts.begin.remote(row["number"])) > _ATTEMPTS:
                raise MemoryError
            made = self.restorer(read(self.recipe, job), lambda done, total: None)
            save(self.recipe, job, made, self.folders)
        except Exception as error:  # one that fails never stops the others
            made = error
        done = replace(outcome_of(job, made), worker=f"{socket.gethostname()}:{os.getpid()}")
        return {"number": row["number"], "done": pickle.dumps(done), "said": self.said.taken()}


class _Notes(logging.Handler):
    """Keeps log messages until they are taken."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())

    def taken(self) -> list[str]:
        messages, self.messages = self.messages, []
        return messages


def _start(ray: Any, workers: int | None) -> None:
    """Connect to the cluster of RAY_ADDRESS, or start Ray here; its files go to the system's temporary folder."""
    # Ray Data tells of its plans at the level INFO, of progress bars that are off at WARNING; ours are there
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    # an "error" for every worker that could not start again if its model were gone, which the driver holds
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    here = {} if os.environ.get("RAY_ADDRESS") else {"num_cpus": workers, "include_dashboard": False}
    ray.init(log_to_driver=False, logging_level=logging.ERROR, **here)


def _dataset(ray: Any, jobs: Sequence[Job]) -> Any:
    """The jobs, each a block of its own."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    rows = [{"number": n, "job": pickle.dumps(job)} for n, job in enumerate(jobs)]
    return ray.data.from_items(rows, override_num_blocks=len(rows))


def _absolute_job(job: Job) -> Job:
    backup = None if job.backup is None else Path(os.path.abspath(job.backup))
    return replace(
        job, source=Path(os.path.abspath(job.source)), target=Path(os.path.abspath(job.target)), backup=backup
    )
