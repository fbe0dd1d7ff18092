"""The page as a user starts it, for the tests of its requests and of its looks."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ORDER = {"task": "denoise", "sigma": 10.0}


@contextmanager
def running_page(*arguments: str, folder: Path | None = None) -> Iterator[str]:
    """Its address; it is stopped at the end, and must stop when it is told to, in silence.

    Args:
        folder: where it shall keep its files.
    """
    with page_process(*arguments, folder=folder) as (page, address):
        yield address
        page.send_signal(signal.SIGINT)
        said = page.communicate(timeout=20)[1]
        assert page.returncode == 0
        assert "Traceback" not in said, said
        assert "ERROR" not in said, said


@contextmanager
def page_process(
    *arguments: str, folder: Path | None = None, setup: str = ""
) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """The process of the page and its address; it is killed where it still runs at the end.

    Args:
        setup: Python that it runs before it begins.
    """
    code = f"import sys; from nlrn.cli import main; {setup or 'pass'}; sys.exit(main(sys.argv[1:]))"
    flags = ["web", "--port", "0", "--no-browser", "--device", "cpu"]
    command = [sys.executable, "-c", code, *flags, *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **({"TMPDIR": str(folder)} if folder else {})}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment) as page:
        assert page.stdout is not None
        try:
            said = page.stdout.readline()
            found = re.fullmatch(r"nlrn is at (http://127\.0\.0\.1:\d+)/ until Ctrl-C\n", said)
            assert found, said + page.communicate(timeout=20)[1]
            yield page, found[1]
        finally:
            page.kill()


def until(holds: Callable[[], Any], seconds: float = 120) -> Any:
    """Something that becomes true, waited for."""
    last = time.monotonic() + seconds
    while time.monotonic() < last:
        if found := holds():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come about in time")
