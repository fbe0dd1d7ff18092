"""Measure what the attention is worth in models that ship, and put the figures into docs/measured.md.

    python scripts/measure_attention.py SETS [MODEL ...]

SETS is a folder with Set12, CBSD68 and Set5 in it; of CBSD68 every tenth picture is taken. Rows of models that are
not named, by default all but the one for photographs, stay as they are. What is measured is what `nlrn ablate
--trained MODEL` measures, at sigma 25 and at all scales, in bf16 where the processor is fast in it.
"""

import argparse
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from nlrn import models
from nlrn.config import TASKS
from nlrn.evaluation.likeness import Worth, likeness
from nlrn.evaluation.report import Result
from nlrn.inference.choice import BY_PLANES

SETS = {("denoise", 1): "Set12", ("denoise", 3): "CBSD68", ("sr", 1): "Set5"}
EVERY = {"CBSD68": 10}
LEVELS = {"denoise": (25,), "sr": (2, 3, 4)}
SHIPPED = [name for name in models.list_models() if name not in BY_PLANES]
PAGE = Path(__file__).parents[1] / "docs" / "measured.md"
START, END = "<!-- attention -->\n", "<!-- end -->"
TAKEN = ("as trained", "uniform", "off", "without propagation")
HEAD = (
    "| model | set | | " + " | ".join(TAKEN) + " | noisy: averaged by the blocks in turn |",
    "|---" * (len(TAKEN) + 4) + "|",
)
REPEATS = "09"
"""The picture of Set12 that repeats itself most, striped cloth: it has rows of its own."""


def rows(name: str, sets: Path) -> Iterator[str]:
    """The rows of a model in the table."""
    network = models.load(name)
    task = TASKS[network.config.task]
    with TemporaryDirectory() as folder:
        data = SETS[task.name, network.config.channels]
        for path in sorted((sets / data).iterdir())[:: EVERY.get(data, 1)]:
            (Path(folder) / path.name).symlink_to(path.resolve())
        worth = likeness(network, Path(folder), LEVELS[task.name], name=name, console=Console(stderr=True))
    yield from _rows(name, data, task.unit, worth)


def _rows(name: str, data: str, unit: str, worth: Worth) -> Iterator[str]:
    whole = worth.reports[TAKEN[0]].results
    for picture in (None, REPEATS) if data == "Set12" else (None,):
        for at, level in enumerate(result.level for result in whole):
            reports = [worth.reports.get(taken) for taken in TAKEN]
            cells = [f"{_psnr(report.results[at], picture):.2f}" if report else "" for report in reports]
            noisy, *blocks = worth.means.get(level, (0.0,))
            means = "" if picture or not blocks else f"{noisy:.1f}: {' '.join(f'{mean:.1f}' for mean in blocks)}"
            where = data if picture is None else f"its {picture}"
            yield f"| {name} | {where} | {unit.format(f'{level:g}')} | {' | '.join(cells)} | {means} |"


def _psnr(result: Result, picture: str | None) -> float:
    if picture is None:
        return result.psnr
    return next(image.psnr for image in result.images if Path(image.name).stem == picture)


def put(found: Mapping[str, Iterable[str]]) -> None:
    """Put rows into the table of the page, in the place of those of the same models."""
    before, rest = PAGE.read_text().split(START)
    table, after = rest.split(END)
    known = {name: [line for line in table.splitlines() if line.startswith(f"| {name} |")] for name in SHIPPED}
    lines = [line for name in SHIPPED for line in found.get(name, known[name])]
    PAGE.write_text(before + START + "\n".join([*HEAD, *lines, ""]) + END + after)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", type=Path)
    parser.add_argument("models", nargs="*", metavar="MODEL", default=SHIPPED)
    options = parser.parse_args()
    for name in options.models:
        made = list(rows(name, options.sets))
        put({name: made})
        print(*made, sep="\n", flush=True)


if __name__ == "__main__":
    main()
