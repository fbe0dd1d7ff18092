"""Measuring a model on a folder of test images, by the protocol of the papers.

Denoising: white Gaussian noise of ``sigma / 255``, seeded by file name and sigma, is added to the 8-bit image
and not clipped; PSNR over all pixels. A network with one channel sees colour images as gray (BT.601 luma in
full range, as in the published gray scores of colour sets).

Super-resolution: the original's Y (BT.601 in studio range, rounded to 8 bit; a gray file as it is) is cropped
at its lower and right side to a multiple of the scale, reduced by MATLAB's antialiased bicubic, rounded to 8
bit and enlarged by the network (by bicubic first, not rounded, for a network that takes it so); ``scale`` pixels
are shaved off each border before scoring. Some papers do not round the reduced image: with bicubic alone that
gains 0.01 dB at x2 and less at x3 and x4.

Both: the result is clipped and rounded to 8 bit; PSNR and SSIM per image, then the mean over the images.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from nlrn.config import DENOISE, SUPER_RESOLUTION, TASKS, Config
from nlrn.evaluation.metrics import psnr, shave, ssim
from nlrn.evaluation.patches import restore_by_patches
from nlrn.evaluation.published import set_name
from nlrn.evaluation.report import ImageScore, Report, Result
from nlrn.images import SUFFIXES, ImageFileError, read
from nlrn.inference.device import name_of
from nlrn.inference.fused import FusedNLRN
from nlrn.inference.whole import restore
from nlrn.models import ModelError, fingerprint
from nlrn.network import NLRN
from nlrn.pixels.degradations import degradation
from nlrn.pixels.degradations.record import AtLevels, Batch
from nlrn.pixels.degrade import noise_seed, normal_noise, rgb_to_y, round_8bit

_SMALLEST = 11  # the window of SSIM


_Restore = Callable[[Tensor, float | None, int | None], Tensor]


class EvaluationError(ValueError):
    """The images or the model cannot be evaluated; the message is one sentence that says which and why."""


def evaluate_denoise(
    model: NLRN,
    folder: str | Path,
    sigmas: Sequence[float],
    *,
    name: str = "ours",
    ensemble: bool = False,
    stride: int | None = None,
    precision: torch.dtype = torch.float32,
    console: Console | None = None,
) -> Report:
    """Add noise to the images of a folder, denoise them and score the result.

    Args:
        model: a network of task "denoise", in evaluation mode, on any device.
        folder: images of 8 bit (PNG, BMP, JPEG ...); other files and subfolders are passed over.
        sigmas: noise levels in grey levels, such as 15, 25, 50.
        name: what the report calls the model.
        ensemble: average over the eight flips and rotations of each image.
        stride: None restores whole images; a number restores patches of 45 x 45 that far apart and averages
            them, as the authors' released code does (there 7).
        precision: torch.float32, or torch.bfloat16 where the device is fast in it.
        console: where to show progress; None for nowhere.

    Raises:
        EvaluationError: the folder or an image in it cannot be used, or the model is for another task.
        ValueError: a sigma outside (0, 255], a stride outside 1 to 45, or both a stride and the ensemble.
    """
    for sigma in sigmas:
        if not 0 < sigma <= 255:
            raise ValueError(f"sigma must be above 0 and at most 255 grey levels, not {sigma:g}")

    run = _restorer(model, ensemble, stride, precision)
    return _evaluate(DENOISE.name, model, folder, sigmas, run, name, precision, console)


def evaluate(model: NLRN, folder: str | Path, levels: Sequence[float], **options: Any) -> Report:
    """By the protocol of the model's task: :func:`evaluate_denoise`, or :func:`evaluate_sr`; their options too."""
    if TASKS[model.config.task].enlarges:
        return evaluate_sr(model, folder, [int(level) for level in levels], **options)
    return evaluate_denoise(model, folder, levels, **options)


def noisy_case(channels: int, path: Path, sigma: float) -> tuple[Tensor, Tensor]:
    """A test image with its noise, and without: both [C, H, W] float64 in [0, 1], the first not clipped.

    Args:
        channels: 1 takes the luma of a colour image, 3 shows a gray one in three channels.
        path: an image of 8 bit.
        sigma: in grey levels.

    Raises:
        EvaluationError: the image cannot be used.
    """
    case = _case(Config(channels=channels), path, sigma)
    return case.degraded[0], case.clean[0]


def evaluate_sr(
    model: NLRN,
    folder: str | Path,
    scales: Sequence[int],
    *,
    name: str = "ours",
    ensemble: bool = False,
    stride: int | None = None,
    precision: torch.dtype = torch.float32,
    console: Console | None = None,
) -> Report:
    """Reduce the images of a folder, enlarge them again and score the result on luma.

    Args:
        model: a network of task "sr", in evaluation mode, on any device.
        scales: such as 2, 3, 4.
        folder, name, ensemble, stride, precision, console: as for :func:`evaluate_denoise`.

    Raises:
        EvaluationError: the folder or an image in it cannot be used, or the model is for another task.
        ValueError: a scale below 2, a stride outside 1 to 45, or both a stride and the ensemble.
    """
    for scale in scales:
        if scale < 2:
            raise ValueError(f"scale must be at least 2, not {scale}")

    run = _restorer(model, ensemble, stride, precision)
    return _evaluate(SUPER_RESOLUTION.name, model, folder, scales, run, name, precision, console)


def _evaluate(
    task: str,
    model: NLRN,
    folder: str | Path,
    levels: Sequence[float],
    run: _Restore,
    name: str,
    precision: torch.dtype,
    console: Console | None,
) -> Report:
    if model.config.task != task:
        raise EvaluationError(f"{name} is a model for {model.config.task!r} and cannot be evaluated for {task!r}")
    paths = _list_images(Path(folder))
    results = []
    columns = (TextColumn("{task.description}", markup=False), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=console is None, transient=True) as progress:
        bar = progress.add_task("", total=len(levels) * len(paths))
        for level in levels:
            scores = []
            for path in paths:
                progress.update(bar, description=f"{path.name} at {level:g}")
                scores.append(_score(path, model.config, level, run))
                progress.advance(bar)
            results.append(Result(level, tuple(scores)))
    return Report(
        task,
        name,
        sum(p.numel() for p in model.parameters()),
        set_name(Path(folder).resolve().name),
        model.config.channels,
        fingerprint(model),
        name_of(precision),
        tuple(results),
    )


def _case(config: Config, path: Path, level: float) -> Batch:
    """A test image as the protocol degrades it for a network of that configuration: a batch of one, in float64."""
    usual = degradation(config, (level,))
    assert isinstance(usual, AtLevels)
    original = _SEEN[config.sees](_read(path))
    border = int(level) if TASKS[config.task].enlarges else 0
    _check_size(path, original, border)
    seed = noise_seed(path.name, level)
    return usual.at(original[None], level, lambda shape: normal_noise(shape, seed))


def _score(path: Path, config: Config, level: float, run: _Restore) -> ImageScore:
    case = _case(config, path, level)
    sigma, scale = (None, int(level)) if TASKS[config.task].enlarges else (level / 255, None)
    start = time.perf_counter()
    try:
        restored = run(case.degraded.float(), sigma, scale)[0].double()
    except ModelError as error:
        raise EvaluationError(f"{path}: {error}") from error
    seconds = time.perf_counter() - start
    if not restored.isfinite().all():
        raise EvaluationError(f"{path}: the model returned values that are not numbers; its weights are damaged")
    ours, truth = (shave(image.numpy(), scale or 0) for image in (round_8bit(restored), case.clean[0]))
    return ImageScore(path.name, psnr(ours, truth), ssim(ours, truth), seconds)


def _restorer(model: NLRN, ensemble: bool, stride: int | None, precision: torch.dtype) -> _Restore:
    if stride is None:
        fused = FusedNLRN(model, precision)
        return lambda image, sigma, scale: restore(fused, image, sigma, scale=scale, ensemble=ensemble)
    if ensemble:
        raise ValueError("the ensemble works on whole images; it cannot be combined with patches")
    if model.config.post_upsampling:
        raise ValueError("the released protocol cuts patches of enlarged images; this network enlarges them itself")
    return lambda image, sigma, scale: restore_by_patches(model, image, sigma, stride=stride, precision=precision)


def _list_images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise EvaluationError(f"{folder}: there is no such folder of test images")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    if not paths:
        raise EvaluationError(f"{folder}: there are no images in this folder")
    return paths


def _read(path: Path) -> Tensor:
    """The image as [C, H, W] float64 in [0, 1], C 1 or 3."""
    try:
        pixels = read(path).pixels
    except ImageFileError as error:
        raise EvaluationError(str(error)) from error
    if pixels.dtype != np.uint8:
        raise EvaluationError(f"{path}: not an 8-bit image, which the protocol asks for")
    planes = np.atleast_3d(pixels).astype(np.float64).transpose(2, 0, 1)
    colours = 1 if len(planes) <= 2 else 3  # without transparency
    return torch.from_numpy(planes[:colours] / 255)


def _gray(image: Tensor) -> Tensor:
    """Luma of BT.601 in full range and 8 bit; a gray image as it is."""
    weights = image.new_tensor([0.299, 0.587, 0.114])[:, None, None]
    return round_8bit((weights * image).sum(0, keepdim=True)) if len(image) == 3 else image


def _luma(image: Tensor) -> Tensor:
    """Y of BT.601 in 8 bit; a gray image as it is."""
    return round_8bit(rgb_to_y(image)) if len(image) == 3 else image


_SEEN: dict[str, Callable[[Tensor], Tensor]] = {
    "rgb": lambda image: image.expand(3, -1, -1),
    "gray": _gray,
    "luma": _luma,
}
"""What a network is given of an image, as :attr:`nlrn.config.Config.sees` has it."""


def _check_size(path: Path, image: Tensor, border: int) -> None:
    """Refuse what is too small to be scored once it is cut to a multiple of the border and that is shaved off."""
    height, width = (side // (border or 1) * (border or 1) for side in image.shape[1:])
    needed = _SMALLEST + 2 * border
    if min(height, width) < needed:
        raise EvaluationError(f"{path}: too small to be scored; {needed} x {needed} pixels are needed")
