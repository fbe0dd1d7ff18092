"""What an evaluation found: the figures, the table beside published ones, the JSON file."""

import json
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nlrn.published import OVERLAPS, published

_LEVEL = {"denoise": "sigma", "sr": "scale"}
_UNITS = {"denoise": "sigma = {}", "sr": "x{}"}


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
    results: tuple[Result, ...]


def print_report(report: Report, console: Console) -> None:
    """Print ours beside the published rows: PSNR in dB and SSIM, means over the set."""
    table = Table(
        title=escape(f"{report.data}: PSNR/SSIM, mean over {len(report.results[0].images)} images"), box=SIMPLE
    )
    table.add_column("", overflow="fold")
    table.add_column("params", justify="right")
    for result in report.results:
        table.add_column(_UNITS[report.task].format(_number(result.level)), justify="right", no_wrap=True)
    for row in published(report.task, report.data, report.channels):
        scores = [row.scores.get(int(r.level)) if r.level == int(r.level) else None for r in report.results]
        table.add_row(row.method, row.parameters, *(_cell(s.psnr, s.ssim) if s else "" for s in scores))
    table.add_section()
    ours = [_cell(r.psnr, r.ssim) for r in report.results]
    table.add_row(escape(report.model), f"{report.parameters:,}", *ours, style="bold")
    overlap = OVERLAPS.get(report.data, "")
    fewer = [Result(r.level, tuple(i for i in r.images if not _is_named(i, overlap))) for r in report.results]
    if 0 < len(fewer[0].images) < len(report.results[0].images):
        table.add_row(f"  without {overlap}*", "", *(_cell(r.psnr, r.ssim) for r in fewer))
        table.caption = f"* {overlap} overlaps an image of the usual training sets"
    table.add_row("  seconds/image", "", *(f"{r.seconds:.2f}" for r in report.results))
    console.print(table)


def write_json(report: Report, path: str | Path) -> None:
    """Write all figures as JSON; an existing file is replaced only by a complete one.

    The means are over the images. An infinite PSNR is written as null, which JSON lacks a number for.

    Raises:
        OSError: the file cannot be written.
    """
    path = Path(path)
    text = json.dumps(_as_json(report), indent=2, allow_nan=False) + "\n"
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _as_json(report: Report) -> dict[str, Any]:
    return {
        "task": report.task,
        "model": report.model,
        "parameters": report.parameters,
        "data": report.data,
        "results": [
            {
                _LEVEL[report.task]: _number(result.level),
                "psnr": _finite(result.psnr),
                "ssim": result.ssim,
                "seconds": result.seconds,
                "images": [asdict(image) | {"psnr": _finite(image.psnr)} for image in result.images],
            }
            for result in report.results
        ],
    }


def _is_named(image: ImageScore, stem: str) -> bool:
    return image.name.split(".")[0].split("_")[0] == stem


def _cell(psnr: float, ssim: float | None) -> str:
    """As papers print it: 33.16/.9070."""
    return f"{psnr:.2f}" + (f"/{ssim:.4f}".replace("/0.", "/.") if ssim is not None else "")


def _number(level: float) -> float | int:
    """25 rather than 25.0."""
    return int(level) if level == int(level) else level


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
