"""The page as a user starts it, for the tests of its requests and of its looks."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def running_page(*arguments: str) -> Iterator[str]:
    """Its address; it is stopped at the end, and must stop when it is told to."""
    command = [sys.executable, "-m", "nlrn", "web", "--port", "0", "--no-browser", "--device", "cpu", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as page:
        assert page.stdout is not None
        try:
            said = page.stdout.readline()
            found = re.fullmatch(r"nlrn is at (http://127\.0\.0\.1:\d+)/ until Ctrl-C\n", said)
            assert found, said
            yield found[1]
        finally:
            page.send_signal(signal.SIGINT)
            code = page.wait(20)
        assert code == 0
