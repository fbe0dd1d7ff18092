"""The error that training makes small."""

from torch import Tensor

from nlrn.pixels.degradations.record import Batch

# squared error and this squared make the root nearly the absolute error, and smooth at zero
_SMOOTH = 1e-3


def error_of(name: str, restored: Tensor, batch: Batch) -> Tensor:
    """The loss of a batch: 100 times the mean of each patch's error under its weight.

    The weights are those of squared errors; absolute ones take their roots.
    """
    squared = (restored - batch.clean).square()
    if name == "squared":
        return 100 * (batch.weight * squared.mean((1, 2, 3))).mean()
    absolute = (squared + _SMOOTH**2).sqrt().mean((1, 2, 3))
    return 100 * (batch.weight.sqrt() * absolute).mean()
