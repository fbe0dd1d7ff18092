"""Many files on Ray: the same results and the same list of failures, and a worker that dies loses nothing.

Run with ``-m slow -s`` where ``nlrn[ray]`` is installed; the throughput of two workers against one is printed.
"""

import gc
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from nlrn import images
from nlrn.batch import Done, Recipe, UsageError, Watch, run
from nlrn.batch.recipe import PreparedRecipe, Restored

RECIPE = Recipe("denoise", sigma=25, device="cpu")


def make_folder(folder: Path, count: int, side: int) -> Path:
    rng = np.random.default_rng(5)
    folder.mkdir()
    for number in range(count):
        images.write(folder / f"{number:02}.png", rng.integers(0, 255, (side, side), dtype=np.uint8))
    return folder


def test_without_ray_one_sentence_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    source = make_folder(tmp_path / "in", 1, 8)
    with pytest.raises(UsageError, match=r"install nlrn\[ray\]"):
        run(RECIPE, [source], tmp_path / "out", engine="ray")


@pytest.fixture
def two_processors(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ray on this machine, its files in a temporary folder."""
    ray = pytest.importorskip("ray", exc_type=ImportError)
    pytest.importorskip("ray.data", exc_type=ImportError)
    monkeypatch.setenv("RAY_worker_niceness", "0")  # it is 15, and on a busy machine they then hardly start
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=100_000_000,
        _temp_dir=str(tmp_path_factory.mktemp("r")),
    )
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # Ray does not wait for the processes that it ends
        ray.shutdown()
        gc.collect()


class Deadly(Recipe):
    """Its worker dies at an image that begins with 7, as by one that takes all the memory."""

    def load(self) -> PreparedRecipe:
        restorer = super().load()

        def restored(pages: list[images.Picture], progress: Callable[[int, int], None]) -> Restored:
            if pages[0].pixels[0, 0] == 7:
                os.kill(os.getpid(), signal.SIGKILL)
            return restorer(pages, progress)

        return restored  # type: ignore[return-value]


class KillsTheFirst(Watch):
    """Kills the worker that finishes the first image, as a machine that fails would."""

    def __init__(self) -> None:
        self.killed: int | None = None
        self.workers: set[str] = set()

    def finished(self, done: Done) -> None:
        self.workers.add(done.worker)
        if self.killed is None:
            self.killed = int(done.worker.rsplit(":")[-1])
            os.kill(self.killed, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="kills by the signal of POSIX")
@pytest.mark.filterwarnings("ignore::FutureWarning:ray", "ignore::DeprecationWarning:ray")  # Ray's own
def test_a_killed_worker_loses_nothing(two_processors: None, tmp_path: Path) -> None:
    source = make_folder(tmp_path / "in", 12, 128)
    (source / "bad.png").write_bytes(b"")
    here = run(RECIPE, [source], tmp_path / "here")
    watch = KillsTheFirst()
    there = run(RECIPE, [source], tmp_path / "there", engine="ray", workers=2, watch=watch)
    assert len(watch.workers) == 3  # two, and one that took the place of the killed
    assert [one.reason for one in there.failed] == [one.reason for one in here.failed]
    assert len(there.done) == 12
    for number in range(12):
        name = f"{number:02}.png"
        assert (tmp_path / "there" / name).read_bytes() == (tmp_path / "here" / name).read_bytes()
    assert len(list((tmp_path / "there").iterdir())) == 12  # nothing half-written either

    (tmp_path / "there" / "03.png").unlink()
    again = run(RECIPE, [source], tmp_path / "there", engine="ray", workers=1, skip_existing=True)
    assert [one.job.source.name for one in again.done] == ["03.png"]
    assert len(again.skipped) == 11


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="kills by the signal of POSIX")
@pytest.mark.filterwarnings("ignore::FutureWarning:ray", "ignore::DeprecationWarning:ray")  # Ray's own
def test_an_image_that_kills_every_worker_is_listed(two_processors: None, tmp_path: Path) -> None:
    from ray import cloudpickle

    source = make_folder(tmp_path / "in", 4, 16)
    images.write(source / "02.png", np.full((16, 16), 7, np.uint8))
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the workers cannot import the tests
    outcome = run(Deadly("denoise", sigma=25, device="cpu"), [source], tmp_path / "out", engine="ray", workers=2)
    assert [one.reason for one in outcome.failed] == [
        f"{source / '02.png'}: not enough memory; use --device cpu or a smaller image"
    ]
    assert len(outcome.done) == 3


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning:ray", "ignore::DeprecationWarning:ray")  # Ray's own
def test_two_workers_against_one(two_processors: None, tmp_path: Path) -> None:
    """What it gains depends on what else the machine does; that both did all is what is asserted."""
    source = make_folder(tmp_path / "in", 24, 192)
    speeds = {}
    for workers in (1, 2):
        outcome = run(RECIPE, [source], tmp_path / f"out{workers}", engine="ray", workers=workers)
        assert len(outcome.done) == 24
        assert len({one.worker for one in outcome.done}) == workers
        speeds[workers] = outcome.pixels / outcome.seconds / 1e6
        print(f"{workers} worker(s): {speeds[workers]:.3f} megapixels/s in {outcome.seconds:.1f} s")
    print(f"two against one: {speeds[2] / speeds[1]:.2f} times")
