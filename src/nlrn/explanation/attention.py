"""The weights of a network's non-local blocks at one pixel, step by step.

The network's own forward pass runs on the part of the image that has an influence on the pixel, once as it is and
once with propagation switched the other way, and the queries and keys that each block hands on give the weights.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nlrn.inference.memory import MOST
from nlrn.inference.tiles import reach
from nlrn.network import NLRN
from nlrn.pixels.color import Planes
from nlrn.pixels.degrade import resize_bicubic, rgb_to_ycbcr
from nlrn.pixels.levels import noise_levels
from nlrn.pixels.scene import Scene

# input pixels around a piece of which the bicubic enlargement and the filling of transparent pixels see something
_MARGIN = 8


@dataclass(frozen=True)
class Attention:
    """The weights by which a pixel takes its neighbours' features in one step."""

    step: int
    """Which of the network's steps, counted from 1."""
    weights: np.ndarray
    """[h, w] float32, one for each pixel of the window as far as it lies in the image. They sum to 1, but for
    networks without softmax, whose weights can be negative."""
    rows: slice
    cols: slice
    """Where in the image the window lies."""


@dataclass(frozen=True)
class Explanation:
    """The weights of a pixel, and the part of the image around it that had an influence on them."""

    image: np.ndarray
    """[h, w] or [h, w, 3] float32 in [0, 1] (noise may go beyond), as the network got it: enlarged already where
    it upscales. ``row``, ``col`` and the slices of the weights count in it."""
    row: int
    col: int
    window: int
    """Side of the network's neighbourhood."""
    propagated: list[Attention]
    """With the correlation of earlier steps added."""
    alone: list[Attention]
    """The same weights of the network, each step's correlation by itself."""


def explain(
    network: NLRN, pixels: np.ndarray, x: int, y: int, *, sigma: float | None = None, scale: int = 2
) -> Explanation:
    """The weights at one pixel of all steps that hold a block.

    Args:
        network: for denoising or super-resolution, on the device where it shall run.
        pixels: [H, W] or [H, W, C] with C = 1 (gray), 2 (gray, alpha), 3 (RGB) or 4 (RGB, alpha); uint8, uint16
            or floating point in [0, 1]. Networks of one channel see the brightness, as they do in restoring.
        x, y: the pixel: column and row from 0, in ``pixels``.
        sigma: standard deviation of the noise in the units of ``pixels``; estimated where None.
        scale: how many times an image is enlarged before a network of the paper's form for super-resolution sees
            it; the pixel is then the one in the middle of those that ``x, y`` becomes. A network that enlarges
            itself looks at the same for every scale.

    Raises:
        ValueError: the pixel lies outside the image, or the network has no non-local block.
    """
    height, width = pixels.shape[:2]
    if not (0 <= x < width and 0 <= y < height):
        raise ValueError(
            f"pixel {x}, {y} lies outside the image of {width} x {height}: X goes from 0 to {width - 1}, "
            f"Y from 0 to {height - 1}"
        )
    config = network.config
    if not config.every:
        raise ValueError("this network has no non-local block, so there is no neighbourhood to show")
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    scene = Scene(pixels)
    factor = scale if config.enlarges and not config.post_upsampling else 1
    radius = -(-_radius(network) // factor) + _MARGIN
    rows, cols = (
        # whole squares, so that the network unshuffles those of the image
        slice(part.start - part.start % config.unshuffle, part.stop)
        for part in (_around(y, radius, height), _around(x, radius, width))
    )
    if config.enlarges:
        shown = scene.tensor(rows, cols)
        if factor > 1:
            shown = resize_bicubic(shown, factor * shown.shape[1], factor * shown.shape[2])
        seen = rgb_to_ycbcr(shown.expand(3, -1, -1))[None, :1]
        level = None
    else:
        shown = scene.tensor(rows, cols)
        planes = Planes(scene.colours, config.channels)
        seen = planes.split(shown)[:1]
        found = noise_levels(scene, planes, sigma)
        level = float(np.mean(found)) if planes.together else found[0]
    row, col = ((at - part.start) * factor + factor // 2 for at, part in ((y, rows), (x, cols)))
    image = shown[0] if scene.colours == 1 else shown.permute(1, 2, 0)
    return Explanation(
        image.numpy(),
        row,
        col,
        config.window * config.unshuffle,
        attention_at(network, seen, row, col, level, propagate=True),
        attention_at(network, seen, row, col, level, propagate=False),
    )


@torch.inference_mode()
def attention_at(
    network: NLRN, image: Tensor, row: int, col: int, sigma: float | None = None, *, propagate: bool | None = None
) -> list[Attention]:
    """The weights with which each non-local block of a network gathers the features for one pixel.

    Args:
        network: on the device where it shall run.
        image: [1, C, H, W], what the network takes.
        row, col: the pixel.
        sigma: noise level, in the units of the image.
        propagate: whether steps add the correlation of earlier ones; default what the network was trained with.
    """
    side = network.config.unshuffle
    rows, cols = (
        _around(at // side, network.config.window // 2, -(-size // side))
        for at, size in ((row, image.shape[2]), (col, image.shape[3]))
    )
    shown = tuple(
        slice(part.start * side, min(part.stop * side, size))
        for part, size in ((rows, image.shape[2]), (cols, image.shape[3]))
    )
    seen = image.to(network.device, torch.float32)
    carried_on = network.config.propagate if propagate is None else propagate
    found = []
    for t, state in enumerate(network.states(seen, sigma, propagate=carried_on)):
        if t in network.config.blocks and state.carried is not None:
            q, k = (torch.cat(all_steps, 1)[0] for all_steps in (state.carried.queries, state.carried.keys))
            weights = _weights(network, q, k, row // side, col // side, rows, cols)
            # a square that the network saw as one pixel shares its weight among its pixels
            weights = (weights / side**2).repeat(side, 0).repeat(side, 1)
            found.append(Attention(t + 1, weights[: _length(shown[0]), : _length(shown[1])], *shown))
    return found


def _weights(network: NLRN, q: Tensor, k: Tensor, row: int, col: int, rows: slice, cols: slice) -> np.ndarray:
    """The weights of one pixel; the logits are those of all steps that the queries and keys were collected from."""
    logits = torch.einsum("c,chw->hw", q[:, row, col], k[:, rows, cols])
    if network.config.similarity.endswith("dot"):
        weights = logits / logits.numel()
    else:
        weights = logits.flatten().softmax(0).view_as(logits)
    return weights.cpu().numpy()


def _radius(network: NLRN) -> int:
    """The radius in which the network has to run: its reach, as far as the working memory goes."""
    # float32: the definition holds about ten images of features, beside the queries and keys of all steps
    config = network.config
    side = math.isqrt(MOST // (4 * (10 * config.filters + 4 * len(config.blocks) * config.embedding)))
    return min(reach(config), (side * config.unshuffle - 1) // 2)


def _length(part: slice) -> int:
    return int(part.stop - part.start)


def _around(at: int, radius: int, size: int) -> slice:
    """The pixels within a radius along one axis, clipped at the border."""
    return slice(max(0, at - radius), min(size, at + radius + 1))
