"""The report of an evaluation: its figures, and the table beside published ones."""

import math
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nlrn.config import TASKS
from nlrn.evaluation.published import OVERLAPS, published


@dataclass(frozen=True)
class ImageScore:
    """One image at one noise level or scale."""

    name: str
    """File name."""
    psnr: float
    """In dB; infinite where the result equals the original."""
    ssim: float
    seconds: float
    """Time to restore the image, without reading and scoring."""


@dataclass(frozen=True)
class Result:
    """A set at one noise level or scale."""

    level: float
    """Sigma in grey levels, or the scale."""
    images: tuple[ImageScore, ...]

    @property
    def psnr(self) -> float:
        """Mean over the images of their PSNR."""
        return fmean(image.psnr for image in self.images)

    @property
    def ssim(self) -> float:
        """Mean over the images."""
        return fmean(image.ssim for image in self.images)

    @property
    def seconds(self) -> float:
        """Mean over the images."""
        return fmean(image.seconds for image in self.images)


@dataclass(frozen=True)
class Report:
    """A model on a set."""

    task: str
    """ "denoise" or "sr"."""
    model: str
    parameters: int
    data: str
    """Name of the set, or of the folder where it is not a known set."""
    channels: int
    """1 for gray and luma, 3 for RGB."""
    weights: str
    """Their hash."""
    precision: str
    """ "float32" or "bfloat16"."""
    results: tuple[Result, ...]


def print_report(report: Report, console: Console) -> None:
    """Print ours beside the published rows: PSNR in dB and SSIM, means over the set."""
    table = Table(
        title=escape(f"{report.data}: PSNR/SSIM, mean over {len(report.results[0].images)} images"), box=SIMPLE
    )
    table.add_column("", overflow="fold")
    table.add_column("params", justify="right")
    for result in report.results:
        table.add_column(TASKS[report.task].unit.format(_number(result.level)), justify="right", no_wrap=True)
    for row in published(report.task, report.data, report.channels):
        scores = [row.scores.get(int(r.level)) if r.level == int(r.level) else None for r in report.results]
        table.add_row(row.method, row.parameters, *(cell(s.psnr, s.ssim) if s else "" for s in scores))
    table.add_section()
    ours = [cell(r.psnr, r.ssim) for r in report.results]
    table.add_row(escape(report.model), f"{report.parameters:,}", *ours, style="bold")
    overlap = OVERLAPS.get(report.data)
    fewer = without(report, overlap)
    if fewer:
        table.add_row(f"  without {overlap}*", "", *(cell(r.psnr, r.ssim) for r in fewer))
        table.caption = f"* {overlap} overlaps an image of the usual training sets"
    table.add_row("  seconds/image", "", *(f"{r.seconds:.2f}" for r in report.results))
    console.print(table)


def as_json(report: Report) -> dict[str, Any]:
    """All figures, ready for JSON; an infinite PSNR becomes None, which JSON lacks a number for."""
    return {
        "task": report.task,
        "model": report.model,
        "parameters": report.parameters,
        "data": report.data,
        "results": [
            {
                TASKS[report.task].level: _number(result.level),
                "psnr": _finite(result.psnr),
                "ssim": result.ssim,
                "seconds": result.seconds,
                "images": [asdict(image) | {"psnr": _finite(image.psnr)} for image in result.images],
            }
            for result in report.results
        ],
    }


def from_json(figures: dict[str, Any]) -> Report:
    """The report that :func:`as_json` made this of, with the fields beside that it leaves out."""
    results = [
        Result(
            result[TASKS[figures["task"]].level],
            tuple(
                ImageScore(i["name"], math.inf if i["psnr"] is None else i["psnr"], i["ssim"], i["seconds"])
                for i in result["images"]
            ),
        )
        for result in figures["results"]
    ]
    return Report(**{**figures, "results": tuple(results)})


def without(report: Report, stem: str | None) -> list[Result]:
    """The results without the image of that stem; none where there is no such image, or no other."""
    fewer = [Result(r.level, tuple(i for i in r.images if not _is_named(i, stem))) for r in report.results]
    return fewer if 0 < len(fewer[0].images) < len(report.results[0].images) else []


def _is_named(image: ImageScore, stem: str | None) -> bool:
    return image.name.split(".")[0].split("_")[0] == stem


def cell(psnr: float, ssim: float | None) -> str:
    """As papers print it: 33.16/.9070."""
    return f"{psnr:.2f}" + (f"/{ssim:.4f}".replace("/0.", "/.") if ssim is not None else "")


def _number(level: float) -> float | int:
    """25 rather than 25.0."""
    return int(level) if level == int(level) else level


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
