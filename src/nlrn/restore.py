"""Whole images: ``denoise`` and ``upscale`` for arrays, Pillow images and tensors of any size."""

import logging
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from nlrn import models
from nlrn.color import Planes, fill_transparent
from nlrn.degrade import resize_bicubic, rgb_to_ycbcr, ycbcr_to_rgb
from nlrn.device import choose_device, choose_precision
from nlrn.inference import FusedNLRN
from nlrn.kinds import AnyImage, colours_of, for_any, full_scale, to_pixels, to_tensor
from nlrn.models import ModelError
from nlrn.network import NLRN
from nlrn.noise import estimate_sigma
from nlrn.tiles import Progress, make_plan, sweep

SCALES = (2, 3, 4)
# on the 0-255 scale: the strongest noise that the networks are for, the weakest that anyone could mean
_STRONGEST, _WEAKEST = 75.0, 0.2
# an estimate below this is what clean photographs are given too
_NEGLIGIBLE = 1.0
# input pixels around a piece that its enlargement needs to be the same as that of the whole image
_BICUBIC_MARGIN = 3
_log = logging.getLogger("nlrn")

Model = NLRN | str | Path


def denoise(
    image: AnyImage,
    sigma: float | None = None,
    *,
    channel_axis: int | None = None,
    model: Model | None = None,
    ensemble: bool = False,
    device: str = "auto",
    precision: str = "auto",
    progress: Progress | None = None,
) -> AnyImage:
    """Remove noise from an image.

    Large images are cut into overlapping tiles by themselves; working memory stays below 2 GB beside the image.
    A network of three channels restores the colours together. A gray one restores the brightness and both opponent
    colours of a colour image, one plane at a time.
    Transparency is kept as it is; what it hides has no part in the result.

    Args:
        image: an array [H, W], or [H, W, C] in any order named by ``channel_axis``, of dtype uint8, uint16 or
            floating point in [0, 1], where C is 1 (gray), 2 (gray, alpha), 3 (RGB) or 4 (RGB, alpha);
            a Pillow image; or a floating-point tensor [..., C, H, W] in [0, 1] with C 1 or 3.
        sigma: standard deviation of the noise in the image's own units (0 to 255 for uint8, 0 to 65535 for
            uint16, 0 to 1 for floats). Missing, it is estimated, and logged to the logger "nlrn".
        channel_axis: the axis of a 3-D array that holds the channels.
        model: the name of a model that ships, a file or folder, or a network; default the one for the task
            and for gray or colour.
        ensemble: mean over the eight flips and turns; eight times slower, slightly better.
        device: "auto", "cpu", "cuda" or "mps".
        precision: "auto", "fp32" or "bf16".
        progress: called with the number of pixels done and the number in all.

    Returns:
        The restored image, of the type, shape and dtype that came in.

    Raises:
        ValueError: an image of another kind, a sigma that cannot be meant, a device that is not there.
        ModelError: the model cannot be loaded, or is not a denoiser.
    """

    def restored(pixels: np.ndarray) -> np.ndarray:
        network = ready(model, "denoise", device, colours=colours_of(pixels))
        how = _How(network, ensemble, choose_precision(precision, network.tail.weight.device), progress)
        return _denoise(pixels, sigma, how)

    return for_any(image, channel_axis, restored)


def upscale(
    image: AnyImage,
    scale: int,
    *,
    channel_axis: int | None = None,
    model: Model | None = None,
    ensemble: bool = False,
    device: str = "auto",
    precision: str = "auto",
    progress: Progress | None = None,
) -> AnyImage:
    """Enlarge an image 2, 3 or 4 times.

    The network restores the luma of the bicubic enlargement (paper, section 4.3); chroma and transparency are
    enlarged by bicubic interpolation. All arguments but ``scale`` are those of :func:`denoise`.

    Returns:
        The enlarged image, of the type and dtype that came in.

    Raises:
        ValueError: a scale other than 2, 3 or 4, an image of another kind, a device that is not there.
        ModelError: the model cannot be loaded, or is not for super-resolution.
    """
    if scale not in SCALES:
        raise ValueError(f"scale must be 2, 3 or 4, not {scale!r}")
    network = ready(model, "sr", device)
    how = _How(network, ensemble, choose_precision(precision, network.tail.weight.device), progress)
    return for_any(image, channel_axis, lambda pixels: _upscale(pixels, scale, how))


def restore(
    network: NLRN,
    x: Tensor,
    sigma: Tensor | float | None = None,
    *,
    ensemble: bool = False,
    precision: torch.dtype = torch.float32,
    progress: Progress | None = None,
) -> Tensor:
    """Run a network over whole images [B, C, H, W] in [0, 1], tiled where they are large; not clipped."""
    how = _How(network, ensemble, precision, progress)
    out = torch.empty_like(x)

    def write(rows: slice, cols: slice, restored: Tensor) -> None:
        out[:, :, rows, cols] = restored

    levels = None if sigma is None else torch.as_tensor(sigma, dtype=torch.float32).expand(x.shape[0])
    how.sweep(tuple(x.shape[2:]), x.shape[0], lambda rows, cols: x[:, :, rows, cols], write, levels)
    return out


class _How(NamedTuple):
    """The network and how to run it."""

    network: NLRN
    ensemble: bool
    precision: torch.dtype
    progress: Progress | None

    def sweep(
        self,
        size: tuple[int, ...],
        images: int,
        read: Callable[[slice, slice], Tensor],
        write: Callable[[slice, slice, Tensor], None],
        sigma: Tensor | None,
    ) -> None:
        """:func:`nlrn.tiles.sweep` over so many images of that height and width, or planes of one."""
        fused = FusedNLRN(self.network, self.precision)
        height, width = size
        plan = make_plan(
            self.network.config, height, width, images=images, device=fused.device, precision=self.precision
        )
        sweep(fused, plan, read, write, sigma, ensemble=self.ensemble, progress=self.progress)


def _denoise(pixels: np.ndarray, sigma: float | None, how: _How) -> np.ndarray:
    """[H, W, C] to [H, W, C]."""
    height, width, channels = pixels.shape
    colours = colours_of(pixels)
    planes = Planes(colours, how.network.config.channels)
    found = _noise_levels(pixels, planes, sigma)
    levels = torch.tensor([float(np.mean(found))] if planes.together else found).clamp(max=_STRONGEST / 255)
    active = [i for i, level in enumerate(levels.tolist()) if level > 0]
    if not how.network.config.noise_map:
        active = [i for i in active if i == 0]  # trained for one noise level: the brightness alone is restored
    out = pixels.copy()
    if not active:
        _log.info("no noise to speak of: left as it is")
        return out

    def read(rows: slice, cols: slice) -> Tensor:
        piece = pixels[rows, cols]
        return planes.split(to_tensor(fill_transparent(piece) if colours < channels else piece))

    def write(rows: slice, cols: slice, restored: Tensor) -> None:
        whole = read(rows, cols)
        whole[active] = restored
        out[rows, cols, :colours] = to_pixels(planes.join(whole), pixels.dtype)

    how.sweep((height, width), len(active), lambda rows, cols: read(rows, cols)[active], write, levels[active])
    return out


def _noise_levels(pixels: np.ndarray, planes: Planes, sigma: float | None) -> list[float]:
    """The noise in each plane, in units of [0, 1]; estimated where sigma is None, and then 0 if negligible."""
    full = full_scale(pixels.dtype)
    if sigma is not None:
        _refuse_implausible(sigma, full)
        return [gain * sigma / full for gain in planes.gains]
    seen = pixels[..., -1] > 0 if pixels.shape[2] in (2, 4) else None
    levels = [estimate_sigma(planes.one(pixels, i), seen) / full for i in range(len(planes.gains))]
    relative = [level / gain for level, gain in zip(levels, planes.gains, strict=True)]
    _log.info("noise estimated: sigma %.3g, where white is %g", full * float(np.mean(relative)), full)
    return [level if part >= _NEGLIGIBLE / 255 else 0.0 for level, part in zip(levels, relative, strict=True)]


def _upscale(pixels: np.ndarray, scale: int, how: _How) -> np.ndarray:
    """[H, W, C] to [H * scale, W * scale, C]."""
    height, width, channels = pixels.shape
    colours = colours_of(pixels)
    source = pixels[..., :colours] if channels in (1, 3) else fill_transparent(pixels)
    out = np.empty((height * scale, width * scale, channels), pixels.dtype)

    def read_ycbcr(rows: slice, cols: slice) -> Tensor:
        enlarged = _enlarge(source, rows, cols, scale)
        return rgb_to_ycbcr(enlarged.expand(3, -1, -1))

    def write(rows: slice, cols: slice, luma: Tensor) -> None:
        rgb = ycbcr_to_rgb(torch.cat([luma[0], read_ycbcr(rows, cols)[1:]]))
        out[rows, cols, :colours] = to_pixels(rgb[:colours], pixels.dtype)
        if colours < channels:
            alpha = _enlarge(pixels[..., colours:], rows, cols, scale).clamp(0, 1)
            out[rows, cols, colours:] = to_pixels(alpha, pixels.dtype)

    how.sweep((height * scale, width * scale), 1, lambda rows, cols: read_ycbcr(rows, cols)[None, :1], write, None)
    return out


def _enlarge(pixels: np.ndarray, rows: slice, cols: slice, scale: int) -> Tensor:
    """The rows and columns, counted in the result, of the bicubic enlargement of [H, W, C], as [C, h, w]."""
    top, left = (max(0, s.start // scale - _BICUBIC_MARGIN) for s in (rows, cols))
    bottom, right = (-(-s.stop // scale) + _BICUBIC_MARGIN for s in (rows, cols))
    piece = to_tensor(pixels[top:bottom, left:right])
    whole = resize_bicubic(piece, piece.shape[1] * scale, piece.shape[2] * scale)
    return whole[
        :,
        rows.start - top * scale : rows.stop - top * scale,
        cols.start - left * scale : cols.stop - left * scale,
    ]


def _refuse_implausible(sigma: float, full: float) -> None:
    if sigma != 0 and not _WEAKEST <= sigma / full * 255 <= _STRONGEST:
        raise ValueError(
            f"sigma {sigma:g} cannot be meant: it is in the units of the image, where white is {full:g}, and "
            f"must be 0 or lie between {_WEAKEST / 255 * full:.2g} and {_STRONGEST / 255 * full:.3g}"
        )


@lru_cache(maxsize=4)
def _loaded(model: str, device: torch.device) -> NLRN:
    network = models.load(model).to(device)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]  # torch's stub


def ready(model: Model | None, task: str, device: str = "auto", *, colours: int = 1) -> NLRN:
    """The network for a task, on its device; a network that is passed in stays where it is.

    Args:
        model, task, device: as for :func:`denoise`.
        colours: 1 or 3, for which images a default is chosen where no model is named.

    Raises:
        ModelError: there is no such model, or it is made for another task.
        ValueError: the device is not there.
    """
    model = models.DEFAULTS[task, colours] if model is None else model
    network = model if isinstance(model, NLRN) else _loaded(str(model), choose_device(device))
    if network.config.task != task:
        fitting = [name for name, card in models.list_models().items() if card["config"]["task"] == task]
        named = "the network" if isinstance(model, NLRN) else model
        raise ModelError(f"{named} is made for {network.config.task}, not {task}; for that: {', '.join(fitting)}")
    return network
