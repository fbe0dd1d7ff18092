"""Whole images as tensors, through a network as it is."""

from functools import partial

import torch
from torch import Tensor

from nlrn.inference.device import undisturbed
from nlrn.inference.fused import FusedNLRN
from nlrn.inference.tiles import Given, Progress, pieces, plan_for


@undisturbed()
def restore(
    network: FusedNLRN,
    x: Tensor,
    sigma: Tensor | float | None = None,
    *,
    scale: int | None = None,
    ensemble: bool = False,
    progress: Progress | None = None,
) -> Tensor:
    """Run a network over whole images, tiled where they are large.

    Args:
        network: fused, on its device.
        x: [B, C, H, W] in [0, 1], as the network takes it: enlarged already where it does not do that itself.
        sigma: the noise level, one for all or [B], in the units of x.
        scale: 2, 3 or 4, for networks that enlarge themselves; the others pass over it.
        ensemble, progress: as for :class:`Restorer`.

    Returns:
        [B, C, H, W], or [B, C, scale H, scale W], not clipped.
    """
    factor = network.config.factor(scale) if scale else 1
    out = x.new_empty(*x.shape[:2], *(factor * side for side in x.shape[2:]))
    levels = None if sigma is None else torch.as_tensor(sigma, dtype=torch.float32).expand(x.shape[0])

    def read(rows: slice, cols: slice) -> Given:
        return Given(x[:, :, rows, cols], x[:, :, rows, cols])

    plan = plan_for(network, x.shape[2], x.shape[3], x.shape[0], factor)
    run = partial(network, scale=scale)
    for rows, cols, restored, _ in pieces(run, plan, read, levels, ensemble=ensemble, progress=progress):
        out[:, :, rows, cols] = restored
    return out
