"""Damage image files at random and open them: nothing may hang, crash, raise anything but ImageFileError, or grow.

    python scripts/fuzz_images.py --count 20000 --seed 0

The same numbers give the same files. They are opened by a process of their own, 250 by each; one that does not end,
dies or grows is reported with the numbers of its files, and so is every other error. Exit code 1 if there is any.
"""

import argparse
import select
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

OPENER = Path(__file__).parents[1] / "tests" / "damaged_images.py"
CHUNK = 250
SECONDS_EACH = 20
"""After which one file counts as hanging. The slowest whole one takes a tenth of a second."""
GROWTH = 400 * 2**20
"""Bytes of memory that a process may have taken at its largest after it has opened every kind of file once."""


def main() -> int:
    """Open many files in processes that are watched; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=600.0, help="stop after that many")
    given = parser.parse_args()
    started, tally, wrong, largest = time.monotonic(), Counter[str](), [], 0
    for first in range(0, given.count, CHUNK):
        if time.monotonic() - started > 60 * given.minutes:
            break
        count = min(CHUNK, given.count - first)
        command = [sys.executable, str(OPENER), str(given.seed), str(first), str(count)]
        lines, code = _watched(command)
        for line in lines:
            number, _, what = line.partition(" ")
            if number == "grown":
                largest = max(largest, int(what))
                if int(what) > GROWTH:
                    wrong.append(f"{first} to {first + count}: grew by {int(what) >> 20} MiB")
            elif what in ("read", "refused", "read, not written again"):
                tally[what] += 1
            else:
                wrong.append(line)
        done = sum(not line.startswith("grown") for line in lines)
        if code or done < count:
            wrong.append(f"{first + done}: {'hangs' if code is None else f'the process ended with {code}'}")
        told = ", ".join(f"{number} {what}" for what, number in tally.items())
        print(f"{first + count}: {told}; {len(wrong)} wrong", flush=True)
    print(*wrong, f"{sum(tally.values())} files, {len(wrong)} wrong, grown by {largest >> 20} MiB at most", sep="\n")
    return 1 if wrong else 0


def _watched(command: list[str]) -> tuple[list[str], int | None]:
    """The lines that a process prints, and its exit code; None where one line was too long in coming."""
    lines: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        rest = b""
        while True:
            if not select.select([process.stdout], [], [], SECONDS_EACH + (60 if not lines else 0))[0]:
                process.kill()
                return lines, None
            part = process.stdout.read1(65536)  # type: ignore[attr-defined]
            if not part:
                return lines, process.wait()
            *whole, rest = (rest + part).split(b"\n")
            lines += [line.decode() for line in whole]


if __name__ == "__main__":
    sys.exit(main())
