"""Runs whose terminal is lost, that are told to end, or killed: what is done is whole; the next run goes on."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from nlrn import images

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and pipes of POSIX")

COUNT = 12
# the command line with a network that takes a while and changes nothing: what is tested is around it
SLOW = """
import sys, time
from nlrn.batch import recipe
recipe.denoise = lambda restorer, how, scene, progress: (time.sleep(0.05), scene.pixels)[1]
from nlrn.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    (tmp_path / "in").mkdir()
    for number in range(COUNT):
        pixels = np.random.default_rng(number).integers(0, 255, (64, 64), dtype=np.uint8)
        images.write(tmp_path / "in" / f"{number:02}.png", pixels)
    inputs = ["denoise", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--sigma", "25"]
    return [sys.executable, "-c", SLOW, *inputs]


@pytest.fixture
def started(command: list[str]) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    running: list[subprocess.Popen[str]] = []

    def start(*more: str, **how: object) -> subprocess.Popen[str]:
        how.setdefault("preexec_fn", heed_signals)
        process = subprocess.Popen([*command, *more], text=True, **how)  # type: ignore[call-overload]
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def heed_signals() -> None:
    """Tests that a shell runs in the background, or below nohup, inherit signals that are ignored."""
    for one in (signal.SIGINT, signal.SIGHUP):
        signal.signal(one, signal.SIG_DFL)


def wait_for(out: Path, count: int, process: subprocess.Popen[str]) -> None:
    while len(list(out.glob("*.png"))) < count:
        time.sleep(0.01)
        assert process.poll() is None


def whole(out: Path) -> int:
    """The number of results, each of which is what it should be; nothing else is in the folder."""
    left = sorted(out.iterdir())
    for path in left:
        source = out.parent / "in" / path.name
        assert (images.read(path).pixels == images.read(source).pixels).all()
    return len(left)


def test_a_lost_terminal_does_not_end_the_work(started, tmp_path: Path) -> None:
    """As by 2>&1 | head -1."""
    process = started(stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert "00.png" in process.stderr.readline()
    process.stderr.close()
    assert process.wait(300) == 0
    assert whole(tmp_path / "out") == COUNT


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disc_behind_the_terminal_does_not_end_the_work(started, tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        assert started(stderr=full, stdout=subprocess.DEVNULL).wait(300) == 0
    assert whole(tmp_path / "out") == COUNT


def test_closed_streams_are_no_place_for_pictures(started, tmp_path: Path) -> None:
    def close() -> None:
        for number in (0, 1, 2):
            os.close(number)

    assert started(preexec_fn=close).wait(300) == 0
    assert whole(tmp_path / "out") == COUNT


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_who_ends_a_run_is_told_what_is_done(started, tmp_path: Path, name: str, code: int) -> None:
    process = started(stderr=subprocess.PIPE)
    wait_for(tmp_path / "out", 2, process)
    process.send_signal(getattr(signal, name))
    _, said = process.communicate(timeout=300)
    assert process.returncode == code, said
    done = whole(tmp_path / "out")
    assert 2 <= done < COUNT
    last = said.splitlines()[-1]
    assert f"{done} of {COUNT} images are done" in last
    assert "--skip-existing" in last
    assert ("interrupted" if name == "SIGINT" else name) in last
    assert "Traceback" not in said


def test_kills_leave_whole_files_and_the_next_run_clears_the_rest(started, tmp_path: Path) -> None:
    moments, out = random.Random(1), tmp_path / "out"
    out.mkdir()
    (out / ".00.png.0123abcd.part").write_bytes(b"of a run that was killed while it wrote")
    for wanted in (1, 5):
        process = started("--skip-existing", stderr=subprocess.DEVNULL)
        wait_for(out, wanted, process)
        time.sleep(moments.uniform(0, 0.1))
        process.kill()
        process.wait()
        assert all(path.suffix in (".png", ".part") for path in out.iterdir())
    assert started("--skip-existing", stderr=subprocess.DEVNULL).wait(300) == 0
    assert whole(out) == COUNT
