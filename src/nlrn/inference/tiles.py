"""Whole images in bounded memory: one pass over the image, in tiles that see beyond their edges."""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor

from nlrn.config import Config
from nlrn.errors import ModelError
from nlrn.inference.fused import FusedNLRN, bytes_per_pixel
from nlrn.inference.memory import budget

_CPU = torch.device("cpu")
_MAX_HALO = 64  # of what the network sees as pixels
_SMALLEST = 16

_log = logging.getLogger("nlrn")

Progress = Callable[[int, int], None]
"""Called with the number of pixels done and the number in all."""

Run = Callable[[Tensor, Tensor | None], Tensor]
"""A network: images [B, C, H, W] and their noise levels [B] in, the restored images out."""

_Tile = tuple[slice, slice]


def reach(config: Config) -> int:
    """The radius of the receptive field: how far a pixel can be from those that it has a part in."""
    return (
        (2 + 2 * config.steps + len(config.blocks) * (config.window // 2)) * config.unshuffle + config.unshuffle - 1
    )


@dataclass(frozen=True)
class Plan:
    """The pieces in which an image is restored, and what that takes."""

    height: int
    width: int
    """Of what the network is given; tiles and halo count its pixels too."""
    scale: int
    """How many times larger than that the network makes it."""
    tile_height: int
    tile_width: int
    halo: int
    """Pixels around a tile that the network sees with it."""
    unit: int
    """Tiles and what is seen of them begin at multiples of this, so that the network unshuffles the same squares."""
    batch: int
    """Images, or planes of one, that are restored at once; the others wait for their turn."""
    device: torch.device
    precision: torch.dtype
    bytes: int
    """Predicted working memory."""

    def tiles(self) -> Iterator[_Tile]:
        """The rows and columns of each tile."""
        return _cut((slice(0, self.height), slice(0, self.width)), self.tile_height, self.tile_width)

    def seen(self, rows: slice, cols: slice) -> _Tile:
        """The rows and columns that the network sees for a tile."""
        return (
            slice(max(0, rows.start - self.halo), min(self.height, rows.stop + self.halo)),
            slice(max(0, cols.start - self.halo), min(self.width, cols.stop + self.halo)),
        )

    def __str__(self) -> str:
        pieces = -(-self.height // self.tile_height) * -(-self.width // self.tile_width)
        number = "bf16" if self.precision == torch.bfloat16 else "fp32"
        return (
            f"{pieces} tiles of {self.tile_width} x {self.tile_height} in {number} on {self.device.type}; "
            f"beside the image they take at most {self.bytes / 1e9:.1f} GB"
        )


def make_plan(
    config: Config,
    height: int,
    width: int,
    *,
    images: int = 1,
    scale: int = 1,
    device: torch.device = _CPU,
    precision: torch.dtype = torch.float32,
    memory: int | None = None,
) -> Plan:
    """The tiles that cost the least arithmetic within the memory; one tile where the whole image fits.

    The halo is the network's whole reach where that is at most 64 pixels, and then tiled and untiled results
    are the same but for rounding.

    Args:
        config: of the network.
        height, width, images: of what the network is given; planes of one image count as images.
        scale: how many times the network itself enlarges.
        device, precision: where the network runs, and in which type.
        memory: bytes to work in; None for a safe share of what is free on the device.
    """
    memory = budget(device) if memory is None else memory
    unit, cost = config.unshuffle, bytes_per_pixel(config, precision, device, scale)
    halo = _up(min(reach(config), _MAX_HALO * unit), unit)
    room = max(memory // cost, (_up(_SMALLEST, unit) + 2 * halo) ** 2)  # pixels that can be seen at once
    # more images at once only save time where images are small
    batch = min(images, max(1, room // (height * width)))
    across = range(1, -(-width // _SMALLEST) + 1)
    shapes = {s for parts in across if (s := _shape(height, width, parts, halo, unit, room // batch)) is not None}
    tile_height, tile_width = min(shapes, key=lambda shape: (_work(height, width, shape, halo), shape))
    seen = min(height, tile_height + 2 * halo) * min(width, tile_width + 2 * halo)
    needed = batch * seen * cost
    return Plan(height, width, scale, tile_height, tile_width, halo, unit, batch, device, precision, needed)


def plan_for(network: FusedNLRN, height: int, width: int, images: int, scale: int = 1) -> Plan:
    """:func:`make_plan` for a network on its device, in its precision."""
    return make_plan(
        network.config, height, width, images=images, scale=scale, device=network.device, precision=network.dtype
    )


def _up(length: int, unit: int) -> int:
    """The next multiple of ``unit``."""
    return -(-length // unit) * unit


def _shape(height: int, width: int, across: int, halo: int, unit: int, room: int) -> tuple[int, int] | None:
    """The height and width of even tiles, so many in a row; None where not even the lowest would have room."""
    tile_width = _up(-(-width // across), unit)
    seen = room // min(width, tile_width + 2 * halo)
    most = height if seen >= height else (seen - 2 * halo) // unit * unit
    if most < min(height, _SMALLEST):
        return None
    down = -(-height // most)
    return _up(-(-height // down), unit), tile_width


def _work(height: int, width: int, shape: tuple[int, int], halo: int) -> int:
    """About how many pixels the network sees in all."""
    down, across = -(-height // shape[0]), -(-width // shape[1])
    return (height + 2 * halo * (down - 1)) * (width + 2 * halo * (across - 1))


def _cut(area: _Tile, height: int, width: int) -> Iterator[_Tile]:
    """An area in pieces of that size."""
    rows, cols = area
    for top, left in product(range(rows.start, rows.stop, height), range(cols.start, cols.stop, width)):
        yield slice(top, min(top + height, rows.stop)), slice(left, min(left + width, cols.stop))


class Given(NamedTuple):
    """A part of an image before it is restored."""

    seen: Tensor
    """[B, C, h, w] in [0, 1]: the images, or planes of one, that go through the network."""
    beside: Tensor
    """[..., h, w]: what else is known of that part, for whoever puts the result together."""


class Piece(NamedTuple):
    """A part of an image that is restored."""

    rows: slice
    cols: slice
    """Where it lies in the result."""
    restored: Tensor
    """[B, C, h, w], on the CPU."""
    beside: Tensor
    """The same part as it was given, [..., h / scale, w / scale]."""


def pieces(
    run: Run,
    plan: Plan,
    read: Callable[[slice, slice], Given],
    sigma: Tensor | None,
    *,
    ensemble: bool = False,
    progress: Progress | None = None,
) -> Iterator[Piece]:
    """Run a network over an image that is read piece by piece; yields the restored pieces.

    Where memory runs out all the same, the tiles that are not done yet are halved and the work goes on.

    Args:
        run: the network, on the device of the plan, enlarging as much as the plan says.
        plan: from :func:`make_plan`.
        read: gives some rows and columns of the image; asked once for each piece.
        sigma: noise level for each of the B, in the same units.
        ensemble: mean over the eight flips and turns of each tile.

    Raises:
        MemoryError: there is not enough for tiles of 16 x 16.
        ModelError: what the network makes is not finite.
    """
    waiting = deque(plan.tiles())
    if len(waiting) > 1:
        _log.info("%s", plan)
    total, done = plan.height * plan.width, 0
    while waiting:
        rows, cols = waiting[0]
        seen_rows, seen_cols = plan.seen(rows, cols)
        try:
            given = read(seen_rows, seen_cols)
            restored = _restored(run, plan, given.seen, sigma, ensemble)
        except (torch.OutOfMemoryError, MemoryError) as error:
            waiting = deque(_halved(waiting, plan.unit, error))
            continue
        if not torch.isfinite(restored).all():
            raise ModelError("the network makes numbers that are not finite; its weights are damaged, or too large")
        y, x = _shifted(rows, -seen_rows.start), _shifted(cols, -seen_cols.start)
        larger_y, larger_x, in_y, in_x = (_enlarged(part, plan.scale) for part in (y, x, rows, cols))
        yield Piece(in_y, in_x, restored[..., larger_y, larger_x], given.beside[..., y, x])
        waiting.popleft()
        done += (rows.stop - rows.start) * (cols.stop - cols.start)
        if progress:
            progress(done, total)


def _restored(run: Run, plan: Plan, x: Tensor, sigma: Tensor | None, ensemble: bool) -> Tensor:
    """The restored images [B, C, h, w], on the CPU, a batch at a time."""
    views = list(product(range(4), (False, True))) if ensemble else [(0, False)]
    height, width = (side * plan.scale for side in x.shape[2:])
    out = x.new_empty(*x.shape[:2], height, width)
    for first in range(0, len(x), plan.batch):
        some = slice(first, first + plan.batch)
        seen, level = x[some].to(plan.device, torch.float32), None if sigma is None else sigma[some].to(plan.device)
        restored = [_turned(run(_turned(seen, *view), level), *view, back=True) for view in views]
        out[some] = restored[0] if len(views) == 1 else torch.stack(restored).mean(0)
    return out


def _shifted(part: slice, by: int) -> slice:
    return slice(part.start + by, part.stop + by)


def _enlarged(part: slice, scale: int) -> slice:
    return slice(part.start * scale, part.stop * scale)


def _turned(x: Tensor, turns: int, flip: bool, *, back: bool = False) -> Tensor:
    """One of the eight views of an image, or the image from the view."""
    if back:
        return (x.flip(3) if flip else x).rot90(-turns, (2, 3))
    turned = x.rot90(turns, (2, 3))
    return turned.flip(3) if flip else turned


def _halved(tiles: Iterable[_Tile], unit: int, error: Exception) -> Iterator[_Tile]:
    """The tiles, of which the first was too large, in pieces of half its sides."""
    height, width = (_up(-(-(side.stop - side.start) // 2), unit) for side in next(iter(tiles)))
    if max(height, width) < _SMALLEST:
        raise MemoryError("not enough memory, even for the smallest tiles") from error
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    _log.info("out of memory: going on with tiles of %d x %d", width, height)
    for tile in tiles:
        yield from _cut(tile, height, width)
