"""Scores that others have published, to print beside ours.

From the tables of the papers and of later projects that quote them; a figure that could not be traced to a
table is left out (NLRN and bicubic at x3). PSNR in dB and SSIM, means over a set.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from nlrn.config import DENOISE, SUPER_RESOLUTION


@dataclass(frozen=True)
class Score:
    """One cell of a published table."""

    psnr: float
    ssim: float | None = None
    """None where the source gives PSNR only."""


@dataclass(frozen=True)
class Published:
    """One row: a method on a set."""

    method: str
    parameters: str
    """As published, such as "331k"; empty where the method has none or the source does not say."""
    scores: Mapping[int, Score]
    """By sigma in grey levels, or by scale."""


def _row(method: str, parameters: str, levels: tuple[int, ...], *cells: tuple[float, ...]) -> Published:
    scores = {level: Score(*cell) for level, cell in zip(levels, cells, strict=True)}
    return Published(method, parameters, MappingProxyType(scores))


_SIGMAS = (15, 25, 50)

_GRAY = {
    "Set12": (
        _row("BM3D", "", _SIGMAS, (32.37,), (29.97,), (26.72,)),
        _row("FFDNet", "486k", _SIGMAS, (32.75,), (30.43,), (27.32,)),
        _row("DnCNN", "556k", _SIGMAS, (32.86,), (30.44,), (27.18,)),
        _row("N3Net", "706k", (25, 50), (30.55,), (27.43,)),
        _row("NLRN", "331k", _SIGMAS, (33.16, 0.9070), (30.80, 0.8689), (27.64, 0.7980)),
        _row("DRUNet", "32.6M", _SIGMAS, (33.25,), (30.94,), (27.90,)),
    ),
    "BSD68": (
        _row("BM3D", "", _SIGMAS, (31.08,), (28.57,), (25.60,)),
        _row("GroupSC", "68k", _SIGMAS, (31.70,), (29.19,), (26.18,)),
        _row("FFDNet", "486k", _SIGMAS, (31.63,), (29.19,), (26.29,)),
        _row("DnCNN", "556k", _SIGMAS, (31.73,), (29.23,), (26.23,)),
        _row("N3Net", "706k", (25, 50), (29.30,), (26.39,)),
        _row("NLRN", "331k", _SIGMAS, (31.88, 0.8932), (29.41, 0.8331), (26.47, 0.7298)),
        _row("DRUNet", "32.6M", _SIGMAS, (31.91,), (29.48,), (26.59,)),
    ),
    "Urban100": (
        _row("BM3D", "", _SIGMAS, (32.35,), (29.70,), (25.95,)),
        _row("FFDNet", "486k", _SIGMAS, (32.40,), (29.90,), (26.50,)),
        _row("DnCNN", "556k", _SIGMAS, (32.64,), (29.95,), (26.26,)),
        _row("N3Net", "706k", (25, 50), (30.19,), (26.82,)),
        _row("NLRN", "331k", _SIGMAS, (33.45, 0.9354), (30.94, 0.9018), (27.49, 0.8279)),
        _row("DRUNet", "32.6M", _SIGMAS, (33.44,), (31.11,), (27.96,)),
    ),
}

# NLRN has published no colour denoiser
_COLOUR = {
    "CBSD68": (
        _row("CBM3D", "", _SIGMAS, (33.52,), (30.71,), (27.38,)),
        _row("LIDIA", "94k", _SIGMAS, (34.03,), (31.31,), (27.99,)),
        _row("GroupSC", "119k", _SIGMAS, (34.12,), (31.41,), (28.08,)),
        _row("DnCNN", "668k", _SIGMAS, (33.90,), (31.24,), (27.95,)),
        _row("FFDNet", "850k", _SIGMAS, (33.87,), (31.21,), (27.96,)),
        _row("DRUNet", "32.6M", _SIGMAS, (34.30,), (31.69,), (28.51,)),
    ),
    "Kodak24": (
        _row("CBM3D", "", _SIGMAS, (34.28,), (32.15,), (28.46,)),
        _row("DnCNN", "668k", _SIGMAS, (34.60,), (32.14,), (28.95,)),
        _row("FFDNet", "850k", _SIGMAS, (34.63,), (32.13,), (28.98,)),
        _row("DRUNet", "32.6M", _SIGMAS, (35.31,), (32.89,), (29.86,)),
    ),
    "McMaster": (
        _row("CBM3D", "", _SIGMAS, (34.06,), (31.66,), (28.51,)),
        _row("DnCNN", "668k", _SIGMAS, (33.45,), (31.52,), (28.62,)),
        _row("FFDNet", "850k", _SIGMAS, (34.66,), (32.35,), (29.18,)),
        _row("DRUNet", "32.6M", _SIGMAS, (35.40,), (33.14,), (30.08,)),
    ),
}

_SR = {
    "Set5": (
        _row("Bicubic", "", (2, 4), (33.66, 0.9299), (28.42, 0.8104)),
        _row("SRCNN", "", (2, 3, 4), (36.66, 0.9542), (32.75,), (30.48, 0.8628)),
        _row("VDSR", "", (2, 3, 4), (37.53, 0.9587), (33.66, 0.9213), (31.35, 0.8838)),
        _row("DRRN", "297k", (2, 3, 4), (37.74,), (34.03,), (31.68,)),
        _row("MemNet", "", (2, 4), (37.78, 0.9597), (31.74, 0.8893)),
        _row("SRFBN-S", "282k", (2, 3, 4), (37.78,), (34.20,), (31.98,)),
        _row("IMDN", "694k", (2, 3, 4), (38.00,), (34.36,), (32.21,)),
        _row("NLRN", "331k", (2, 4), (38.00, 0.9603), (31.92, 0.8916)),
    ),
    "Set14": (
        _row("Bicubic", "", (2, 4), (30.24, 0.8688), (26.00, 0.7027)),
        _row("SRCNN", "", (2, 4), (32.45, 0.9067), (27.50, 0.7513)),
        _row("VDSR", "", (2, 3, 4), (33.03, 0.9124), (29.77, 0.8314), (28.01, 0.7674)),
        _row("MemNet", "", (2, 4), (33.28, 0.9142), (28.26, 0.7723)),
        _row("NLRN", "331k", (2, 4), (33.46, 0.9159), (28.36, 0.7745)),
    ),
    "BSD100": (
        _row("Bicubic", "", (2, 4), (29.56, 0.8431), (25.96, 0.6675)),
        _row("SRCNN", "", (2, 4), (31.36, 0.8879), (26.90, 0.7101)),
        _row("VDSR", "", (2, 3, 4), (31.90, 0.8960), (28.82, 0.7976), (27.29, 0.7251)),
        _row("MemNet", "", (2, 4), (32.08, 0.8978), (27.40, 0.7281)),
        _row("NLRN", "331k", (2, 4), (32.19, 0.8992), (27.48, 0.7306)),
    ),
    "Urban100": (
        _row("Bicubic", "", (2, 4), (26.88, 0.8403), (23.14, 0.6577)),
        _row("SRCNN", "", (2, 4), (29.50, 0.8946), (24.52, 0.7221)),
        _row("VDSR", "", (2, 3, 4), (30.76, 0.9140), (27.14, 0.8279), (25.18, 0.7524)),
        _row("MemNet", "", (2, 4), (31.31, 0.9195), (25.50, 0.7630)),
        _row("NLRN", "331k", (2, 4), (31.81, 0.9249), (25.79, 0.7729)),
    ),
}

# how else the folders of these sets are called
_ALIASES = {"b100": "BSD100", "bsds100": "BSD100", "bsds68": "BSD68", "kodak": "Kodak24", "mcm": "McMaster"}

OVERLAPS: Mapping[str, str] = MappingProxyType({"Set12": "04", "Set5": "woman"})
"""Test images that the usual training sets contain: by set, the file name up to its first "_" or "."."""

_TABLES = {DENOISE.name: {1: _GRAY, 3: _COLOUR}, SUPER_RESOLUTION.name: {1: _SR, 3: _SR}}


def set_name(folder: str) -> str:
    """The usual name of a test set from the name of its folder; the folder's own name where it is unknown."""
    known = {name.lower(): name for name in (*_GRAY, *_COLOUR, *_SR)} | _ALIASES
    return known.get(folder.lower().replace("-", "").replace("_", ""), folder)


def published(task: str, data: str, channels: int) -> tuple[Published, ...]:
    """The rows to compare with; none where nobody has published that combination.

    Args:
        task: "denoise" or "sr".
        data: a name as :func:`set_name` gives it.
        channels: 1 or 3, the channels that were denoised; super-resolution is always scored on luma.
    """
    return _TABLES[task][channels].get(data, ())
