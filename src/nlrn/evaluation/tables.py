"""Every model on every standard test set: the tables of the documentation, ours beside the published rows."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from rich.console import Console

from nlrn import models
from nlrn.config import TASKS
from nlrn.evaluation.evaluate import EvaluationError, evaluate
from nlrn.evaluation.published import OVERLAPS, Score, published, set_name
from nlrn.evaluation.report import Report, Result, as_json, cell, from_json, without
from nlrn.inference.choice import BY_PLANES
from nlrn.inference.device import choose_precision, name_of
from nlrn.inference.fused import FusedNLRN
from nlrn.inference.ready import ready
from nlrn.inference.whole import restore
from nlrn.models import cards
from nlrn.network import NLRN

_SIDE = 512  # of the image whose seconds are told


class Speed(NamedTuple):
    """The time that a model takes for a picture of 512 x 512."""

    method: str
    seconds: float
    what: str


class Tables(NamedTuple):
    """All that :func:`evaluate_all` found."""

    reports: list[Report]
    speeds: list[Speed]


def evaluate_all(
    data: Path,
    *,
    only: Sequence[str] | None = None,
    ensemble: bool = False,
    stride: int | None = None,
    device: str = "auto",
    precision: str = "auto",
    earlier: Tables | None = None,
    keep: Callable[[list[Report]], None] = lambda reports: None,
    console: Console | None = None,
) -> Tables:
    """Score the models that ship on the standard sets found in a folder, and time them.

    Args:
        data: a folder with test sets in folders of their usual names (Set12, CBSD68, Set5 ...).
        only: names of models that are measured and timed; None for all that ship.
        ensemble: score the x8 self-ensemble too.
        stride: score the released patch protocol too, patches that far apart; not of networks that enlarge.
        device, precision: as for :func:`nlrn.denoise`.
        earlier: scores that need not be measured again while weights and precision are the same, and the seconds of
            models that are not measured.
        keep: called after each report with all that there are, earlier ones included.
        console: where to show progress; None for nowhere.

    Raises:
        EvaluationError: there is no standard set, or an image in one cannot be used.
        ModelError: no such model.
    """
    earlier = earlier or Tables([], [])
    known = {(r.model, r.data, r.weights, r.precision): r for r in earlier.reports}
    reports: list[Report] = []
    speeds: list[Speed] = []
    for name in only or ():
        cards.task_of(name)  # no such model is said before the work
    for name in cards.list_models():
        wanted = not only or name in only
        network = ready(name, cards.task_of(name), device)
        half = choose_precision(precision, network.tail.weight.device)
        ways: list[tuple[str, dict[str, Any]]] = [(name, {})]
        if ensemble:
            ways.append((f"{name}, x8 ensemble", {"ensemble": True}))
        if stride and not network.config.post_upsampling:
            ways.append((f"{name}, patches {stride} apart", {"stride": stride}))
        weights, levels = models.fingerprint(network), TASKS[network.config.task].levels
        # photographs and files of JPEG have noise of another kind than the standard sets
        for folder in _sets(data, network) if name not in BY_PLANES else ():
            for called, how in ways:
                key = (called, set_name(folder.name), weights, name_of(half))
                if key not in known and wanted:
                    known[key] = evaluate(
                        network, folder, levels, name=called, precision=half, console=console, **how
                    )
                    keep(list(known.values()))
                if key in known:
                    reports.append(known[key])
        speeds += [_speed(name, network, half)] if wanted else [s for s in earlier.speeds if s.method == name]
    if not reports:
        raise EvaluationError(f"{data}: none of the standard test sets (Set12, CBSD68, Set5 ...) is in this folder")
    return Tables(reports, speeds + _rivals())


def _sets(data: Path, network: NLRN) -> Iterator[Path]:
    """The folders of the sets on which others have published scores for what the network does."""
    if not data.is_dir():
        raise EvaluationError(f"{data}: there is no such folder of test sets")
    for folder in sorted(data.iterdir()):
        if folder.is_dir() and published(network.config.task, set_name(folder.name), network.config.channels):
            yield folder


def _speed(name: str, network: NLRN, precision: torch.dtype) -> Speed:
    side = _SIDE // network.config.factor(2)
    image = torch.rand(1, network.config.channels, side, side, generator=torch.Generator().manual_seed(0))
    seconds = min(_timed(network, image, precision) for _ in range(3))
    where = f"{torch.get_num_threads()} threads" if network.tail.weight.device.type == "cpu" else "GPU"
    return Speed(name, seconds, f"{name_of(precision)}, {where}")


def _timed(network: NLRN, image: torch.Tensor, precision: torch.dtype) -> float:
    start = time.perf_counter()
    restore(FusedNLRN(network, precision), image, 25 / 255, scale=2)
    return time.perf_counter() - start


def _rivals() -> list[Speed]:
    """BM3D in the same run, where the package bm3d is installed for the comparison."""
    try:
        from bm3d import bm3d
    except ImportError:
        return []
    picture = np.random.default_rng(0).random((_SIDE, _SIDE))
    start = time.perf_counter()
    bm3d(picture, 25 / 255)
    return [Speed("BM3D (package bm3d)", time.perf_counter() - start, "gray, all threads")]


def to_markdown(tables: Tables) -> str:
    """The tables as Markdown: one for each set, published rows first, then one of speeds."""
    groups: dict[tuple[str, str, int], list[Report]] = {}
    for report in tables.reports:
        groups.setdefault((report.task, report.data, report.channels), []).append(report)
    lines = ["PSNR in dB / SSIM, means over a set; the whole image in one pass where nothing else is said.", ""]
    for (task, data, channels), reports in groups.items():
        lines += [*_set_lines(task, data, channels, reports), ""]
    lines += ["| 512 x 512 pixels | seconds | |", "|---|---|---|"]
    lines += [f"| {speed.method} | {speed.seconds:.2f} | {speed.what} |" for speed in tables.speeds]
    return "\n".join(lines) + "\n"


def _set_lines(task: str, data: str, channels: int, reports: Sequence[Report]) -> Iterator[str]:
    levels = TASKS[task].levels
    shown = [TASKS[task].unit.format(level) for level in levels]
    yield f"| {data}{', colour' if channels == 3 else ''} | parameters | {' | '.join(shown)} |"
    yield "|---|---|" + "---|" * len(levels)
    for row in published(task, data, channels):
        yield _line(row.method, row.parameters, [row.scores.get(level) for level in levels])
    for report in reports:
        yield _line(f"**{report.model}**", f"{report.parameters:,}", _at(levels, report.results))
        fewer = without(report, OVERLAPS.get(data))
        if fewer:
            yield _line(f"without {OVERLAPS[data]}, which overlaps the training set", "", _at(levels, fewer))


def _at(levels: Sequence[int], results: Sequence[Result]) -> list[Score | None]:
    """The scores at each of the levels, None where nothing was measured."""
    found = {result.level: Score(result.psnr, result.ssim) for result in results}
    return [found.get(level) for level in levels]


def _line(method: str, parameters: str, scores: Sequence[Score | None]) -> str:
    cells = [cell(score.psnr, score.ssim) if score else "" for score in scores]
    return f"| {method} | {parameters} | {' | '.join(cells)} |"


def earlier_tables(path: Path) -> Tables:
    """The tables in a file of what :func:`to_json` returned.

    Raises:
        EvaluationError: there are none in it.
    """
    try:
        found = json.loads(path.read_text())
        speeds = [Speed(method, **said) for method, said in found.get("seconds_512x512", {}).items()]
        return Tables([from_json(report) for report in found["reports"]], speeds)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EvaluationError(f"{path}: not the --json file of an evaluation that can be gone on with") from error


def to_json(tables: Tables) -> dict[str, Any]:
    """All figures, ready for JSON."""
    return {
        "reports": [
            {"weights": r.weights, "precision": r.precision, "channels": r.channels} | as_json(r)
            for r in tables.reports
        ],
        "seconds_512x512": {s.method: {"seconds": s.seconds, "what": s.what} for s in tables.speeds},
    }
