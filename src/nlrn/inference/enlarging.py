"""Enlarging by a network: luma by the network, chroma by bicubic interpolation, transparency by either."""

from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nlrn.inference.fused import FusedNLRN
from nlrn.inference.tiles import Given, Progress, pieces, plan_for
from nlrn.pixels.arrays import colours_of, to_pixels, to_tensor
from nlrn.pixels.color import filled
from nlrn.pixels.degrade import resize_bicubic, rgb_to_y, rgb_to_ycbcr, ycbcr_to_rgb

# input pixels around a piece that its enlargement needs to be the same as that of the whole image
_BICUBIC_MARGIN = 3
# pixels on each side that repeat the border for the network, as they do for the bicubic enlargement
_FRAME = 8


def enlarged(
    network: FusedNLRN, pixels: np.ndarray, scale: int, *, ensemble: bool, progress: Progress | None
) -> np.ndarray:
    """[H, W, C] to [H * scale, W * scale, C], once, in the same dtype."""
    height, width, channels = pixels.shape
    colours = colours_of(pixels)
    source = pixels[..., :colours] if channels in (1, 3) else filled(pixels[..., :-1], pixels[..., -1] > 0)
    out = np.empty((height * scale, width * scale, channels), pixels.dtype)
    factor = network.config.factor(scale)
    # without them the zeros that convolutions see beyond the image would leave a frame on flat ground
    source, border = np.pad(source, ((_FRAME, _FRAME), (_FRAME, _FRAME), (0, 0)), "edge"), _FRAME * scale

    def read(rows: slice, cols: slice) -> Given:
        seen = to_tensor(source[rows, cols]) if factor == scale else _bicubic(source, rows, cols, scale)
        luma = rgb_to_y(seen.expand(3, -1, -1))
        return Given(luma[None], luma)

    before = scale // factor
    plan = plan_for(network, source.shape[0] * before, source.shape[1] * before, 1, factor)
    run = partial(network, scale=scale)
    for rows, cols, luma, _ in pieces(run, plan, read, None, ensemble=ensemble, progress=progress):
        inner_rows, inner_cols = _inside(rows, border, out.shape[0]), _inside(cols, border, out.shape[1])
        if inner_rows.start >= inner_rows.stop or inner_cols.start >= inner_cols.stop:
            continue
        enlarged_piece = _bicubic(source, inner_rows, inner_cols, scale).expand(3, -1, -1)
        top, left = inner_rows.start - rows.start, inner_cols.start - cols.start
        height, width = enlarged_piece.shape[1:]
        luma = luma[0, :, top : top + height, left : left + width]
        rgb = ycbcr_to_rgb(torch.cat([luma, rgb_to_ycbcr(enlarged_piece)[1:]]))
        rows, cols = (slice(s.start - border, s.stop - border) for s in (inner_rows, inner_cols))
        out[rows, cols, :colours] = to_pixels(rgb[:colours], pixels.dtype)
        if colours < channels:
            alpha = _bicubic(pixels[..., colours:], rows, cols, scale).clamp(0, 1)
            out[rows, cols, colours:] = to_pixels(alpha, pixels.dtype)
    return out


def sharp_alpha(
    network: FusedNLRN, alpha: np.ndarray, scale: int, *, ensemble: bool, progress: Progress | None
) -> np.ndarray:
    """Transparency [H, W, 1] enlarged by the network, nowhere beyond what is around in the small one."""
    made = enlarged(network, alpha, scale, ensemble=ensemble, progress=progress)
    small = to_tensor(alpha)[None]
    least, most = (
        to_pixels(sign * F.max_pool2d(sign * small, 3, 1, padding=1)[0], alpha.dtype)
        .repeat(scale, 0)
        .repeat(scale, 1)
        for sign in (-1, 1)
    )
    return made.clip(least, most)


def _inside(part: slice, border: int, length: int) -> slice:
    """A part of the framed image, as far as it lies in the image itself."""
    return slice(max(part.start, border), min(part.stop, border + length))


def reduced(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """[H, W, C] to [height, width, C] by bicubic interpolation, a channel at a time."""
    out = np.empty((height, width, pixels.shape[2]), pixels.dtype)
    for channel in range(pixels.shape[2]):
        plane = resize_bicubic(to_tensor(pixels[..., channel : channel + 1]), height, width)
        if channel == colours_of(pixels):  # alpha
            plane = plane.clamp(0, 1)
        out[..., channel : channel + 1] = to_pixels(plane, pixels.dtype)
    return out


def part_of(progress: Progress, turn: int, turns: int) -> Progress:
    """The progress of one of several passes."""
    return lambda done, total: progress(turn * total + done, turns * total)


def _bicubic(pixels: np.ndarray, rows: slice, cols: slice, scale: int) -> Tensor:
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
