"""Whole images in bounded memory: one pass over the image, in tiles that see beyond their edges."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from nlrn.network import NLRN, Config

WORKING_MEMORY = 1_200_000_000
"""Bytes that the features of one tile may take; with the interpreter and torch that stays below 2 GB."""
_MAX_HALO = 64
_TILE_MULTIPLE = 16

_log = logging.getLogger("nlrn")

Progress = Callable[[int, int], None]
"""Called with the number of pixels done and the number in all."""


def reach(config: Config) -> int:
    """How far an input pixel can be from the output pixels that it has a part in: the receptive field's radius."""
    blocks = len(range(0, config.steps, config.every)) if config.every else 0
    return 2 + 2 * config.steps + blocks * (config.window // 2)


def bytes_per_pixel(config: Config) -> int:
    """Working memory for each pixel of a tile, as measured (tests/test_tiles.py holds it to that)."""
    blocks = len(range(0, config.steps, config.every)) if config.every else 0
    carried = 4 * config.embedding * (blocks if config.propagate else 1)
    return 4 * (10 * config.filters + carried)


@dataclass(frozen=True)
class Plan:
    """How an image is cut: tiles of ``tile`` x ``tile`` pixels, each seen with ``halo`` pixels around it."""

    height: int
    width: int
    tile: int
    halo: int
    bytes: int
    """Predicted working memory for one tile."""

    def tiles(self) -> Iterator[tuple[slice, slice]]:
        """The rows and columns of each tile."""
        for top, left in product(range(0, self.height, self.tile), range(0, self.width, self.tile)):
            yield (
                slice(top, min(top + self.tile, self.height)),
                slice(left, min(left + self.tile, self.width)),
            )

    def seen(self, rows: slice, cols: slice) -> tuple[slice, slice]:
        """The rows and columns that the network sees for a tile."""
        return (
            slice(max(0, rows.start - self.halo), min(self.height, rows.stop + self.halo)),
            slice(max(0, cols.start - self.halo), min(self.width, cols.stop + self.halo)),
        )


def make_plan(config: Config, height: int, width: int, *, batch: int = 1, memory: int = WORKING_MEMORY) -> Plan:
    """The largest tiles that fit ``memory`` bytes; one tile where the whole image fits.

    The halo is the network's whole reach where that is at most 64 pixels, and then tiled and untiled results
    are the same but for rounding.
    """
    halo, cost = min(reach(config), _MAX_HALO), batch * bytes_per_pixel(config)
    if height * width * cost <= memory:
        return Plan(height, width, max(height, width), halo, height * width * cost)
    side = int((memory / cost) ** 0.5)
    tile = max(_TILE_MULTIPLE, (side - 2 * halo) // _TILE_MULTIPLE * _TILE_MULTIPLE)
    # even shares: no sliver at the far edges
    across = -(-max(height, width) // tile)
    tile = min(tile, -(-max(height, width) // across // _TILE_MULTIPLE) * _TILE_MULTIPLE)
    seen = min(height, tile + 2 * halo) * min(width, tile + 2 * halo)
    return Plan(height, width, tile, halo, seen * cost)


@torch.inference_mode()
def sweep(
    network: NLRN,
    plan: Plan,
    read: Callable[[slice, slice], Tensor],
    write: Callable[[slice, slice, Tensor], None],
    sigma: Tensor | None,
    *,
    ensemble: bool = False,
    precision: torch.dtype = torch.float32,
    progress: Progress | None = None,
) -> None:
    """Run the network over an image that is read and written piece by piece.

    Args:
        network: on the device where it shall run.
        plan: from :func:`make_plan`.
        read: given rows and columns of the image, returns them as [B, C, h, w] in [0, 1].
        write: takes rows, columns and the restored [B, C, h, w], on the CPU.
        sigma: noise level for each of the B, in the same units.
        ensemble: mean over the eight flips and turns of each tile.
        precision: float32 or bfloat16, the type to compute in.
    """
    device = next(network.parameters()).device
    if plan.tile < max(plan.height, plan.width):
        tiles = -(-plan.height // plan.tile) * -(-plan.width // plan.tile)
        _log.info("%d tiles of %d x %d, working memory %.1f GB", tiles, plan.tile, plan.tile, plan.bytes / 1e9)
    total, done = plan.height * plan.width, 0
    for rows, cols in plan.tiles():
        seen_rows, seen_cols = plan.seen(rows, cols)
        x = read(seen_rows, seen_cols).to(device, torch.float32)
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == torch.bfloat16):
            restored = _ensemble(network, x, sigma) if ensemble else network(x, sigma)
        top, left = rows.start - seen_rows.start, cols.start - seen_cols.start
        inner = restored[..., top : top + rows.stop - rows.start, left : left + cols.stop - cols.start]
        write(rows, cols, inner.float().cpu())
        done += (rows.stop - rows.start) * (cols.stop - cols.start)
        if progress:
            progress(done, total)


def _ensemble(network: NLRN, x: Tensor, sigma: Tensor | None) -> Tensor:
    total = torch.zeros_like(x)
    for turns, flip in product(range(4), (False, True)):
        turned = x.rot90(turns, (2, 3))
        restored = network(turned.flip(3) if flip else turned, sigma).to(x.dtype)
        total += (restored.flip(3) if flip else restored).rot90(-turns, (2, 3))
    return total / 8
