#!/usr/bin/env python
"""Kill runs of ``nlrn denoise`` at random moments; say what they leave behind that they must not.

    scripts/kill_runs.py --kills 200 --seed 0

A run goes over a folder of small pictures, with a network that changes nothing, so that most of the time is spent
where files are written. After every kill each output must be whole, and at the end, after a run that comes through,
there must be nothing but outputs. Every third kill is SIGTERM, after which the run must say what is done.
"""

import argparse
import os
import random
import runpy
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import NoReturn

import numpy as np
import torch  # noqa: F401  # once, here, and not in every process that is killed

import nlrn
from nlrn import images

COUNT = 40


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--kills", type=int, default=200)
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    moments = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_pictures(folder / "in", given.seed)
        halves, kills = 0, 0
        while kills < given.kills:
            kind = signal.SIGTERM if kills % 3 == 2 else signal.SIGKILL
            code = run(folder, kind, moments.uniform(0, 0.5))
            assert code in (0, -signal.SIGKILL, 128 + signal.SIGTERM), (folder / "said").read_text()
            check(folder, only_outputs=kind == signal.SIGTERM)
            if code == 0:  # it was through before
                clear(folder / "out")
                continue
            kills += 1
            assert kind == signal.SIGKILL or "images are done" in (folder / "said").read_text()
            halves += sum(path.suffix == ".part" for path in (folder / "out").iterdir())
        assert run(folder) == 0
        check(folder, only_outputs=True)
        left = len(list((folder / "out").iterdir()))
    print(
        f"{kills} kills left {halves} half-written files, all cleared by later runs; {left} of {COUNT} outputs whole"
    )
    return 0


def make_pictures(folder: Path, seed: int) -> None:
    folder.mkdir()
    rng = np.random.default_rng(seed)
    for number in range(COUNT):
        images.write(folder / f"{number:03}.png", rng.integers(0, 255, (600, 800, 3), dtype=np.uint8))


def run(folder: Path, kind: signal.Signals | None = None, seconds: float = 0) -> int:
    """The exit code of a run that gets a signal so many seconds after its first output."""
    process = os.fork()
    if process == 0:
        restore(folder)
    before = count(folder / "out")
    while kind is not None:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if count(folder / "out") > before:
            time.sleep(seconds)
            os.kill(process, kind)
            break
        time.sleep(0.005)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def restore(folder: Path) -> NoReturn:
    """What the process that is killed does."""
    os.dup2(os.open(folder / "said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    nlrn.recipe.denoise = lambda restorer, how, scene, progress: scene.pixels  # what is tested is around the network
    sys.argv[1:] = ["denoise", str(folder / "in"), "-o", str(folder / "out"), "--sigma", "9", "--skip-existing"]
    try:
        runpy.run_module("nlrn", run_name="__main__")
    except SystemExit as end:
        os._exit(int(end.code or 0))
    except BaseException:  # it must not go on as if it were the process that counts
        traceback.print_exc()
    os._exit(1)


def count(out: Path) -> int:
    return len(list(out.glob("*.png"))) if out.is_dir() else 0


def check(folder: Path, *, only_outputs: bool) -> None:
    for path in sorted((folder / "out").iterdir()):
        if path.suffix == ".part":
            assert not only_outputs, f"{path.name} is left"
        else:
            assert (images.read(path).pixels == images.read(folder / "in" / path.name).pixels).all(), path.name


def clear(out: Path) -> None:
    for path in out.iterdir():
        path.unlink()


if __name__ == "__main__":
    sys.exit(main())
