"""Where black and white are: of the type, of the picture itself, or as they are said to be.

The rule, everywhere: white is 255 in 8 bits, 65535 in 16 bits and 1 in floating point, and black is 0. A picture of
16 bits or of floating point that lies beyond that, or takes no more than a quarter of it (10-, 12- and 14-bit
cameras, dim microscopy, a black level), has its own: the ends of its values, without the outermost half a percent,
so that neither a hot pixel nor a star decides. Whoever knows better says ``data_range``.
"""

from dataclasses import dataclass
from numbers import Real
from typing import Any, TypeAlias

import numpy as np

from nlrn.pixels.arrays import full_scale

_QUARTER = 0.25
_OUTERMOST = 0.5  # percent
_MOST_VALUES = 1_000_000
# The noise of a floating-point picture goes beyond [0, 1]; its means over so many pixels a side do not.
_SIDE = 8
_BEYOND = 0.25


@dataclass(frozen=True)
class Range:
    """Where black and white are in the numbers of a picture."""

    black: float
    white: float
    own: bool = False
    """Whether they were taken from the picture itself."""

    @property
    def span(self) -> float:
        return self.white - self.black

    def in_units(self, sigma: float | None) -> float | None:
        """A noise level where white is 255, in the units of the picture; None stays None.

        >>> Range(0, 65535).in_units(25)
        6425.0
        """
        return None if sigma is None else sigma / 255 * self.span


DataRange: TypeAlias = "Range | float | tuple[float, float] | None"
"""Where white is, or black and white; None: the rule above."""


def given_range(data_range: "float | tuple[float, float]") -> Range:
    """The range that a caller gives. Raises ValueError where that is none.

    >>> given_range(4095)
    Range(black=0.0, white=4095.0, own=False)
    """
    ends: Any = (0, data_range) if isinstance(data_range, Real) else data_range
    try:
        black, white = (float(end) for end in ends)
    except (TypeError, ValueError):
        raise ValueError(f"data_range is where white is, or (black, white), not {data_range!r}") from None
    if not -np.inf < black < white < np.inf:
        raise ValueError(f"white must be more than black, and both finite; data_range is {data_range!r}")
    return Range(black, white)


def range_of(colours: np.ndarray, data_range: DataRange, known: np.ndarray | None) -> Range:
    """Where black and white are in [H, W, n].

    Args:
        colours: of any real type, without transparency.
        data_range: what is said of it.
        known: [H, W], the pixels that count; None: all.

    Raises:
        ValueError: nothing is said and the type says nothing either, or nonsense is said.
    """
    if isinstance(data_range, Range):
        return data_range
    if data_range is not None:
        if colours.dtype.kind not in "iuf":
            full_scale(colours.dtype)
        return given_range(data_range)
    white = full_scale(colours.dtype)
    nominal = Range(0.0, white)
    if colours.dtype == np.uint8:
        return nominal
    low, high = outer_values(colours, known)
    if not low < high:  # of one value, or none at all
        low, high = extremes(colours, known)
    fills = high - low > _QUARTER * white
    if colours.dtype.kind == "f":
        least, most = _smooth_extremes(colours, known)
        if least < -_BEYOND or most > 1 + _BEYOND:
            return Range(low, high, own=True) if low < high else Range(min(low, 0.0), max(high, 1.0), own=True)
    return nominal if fills or not low < high else Range(low, high, own=True)


def outer_values(colours: np.ndarray, known: np.ndarray | None) -> tuple[float, float]:
    """The values [H, W, n] between which all but the outermost lie; (0, 0) where nothing counts."""
    values = _sample(colours, known)
    if not values.size:
        return 0.0, 0.0
    low, high = np.percentile(values, (_OUTERMOST, 100 - _OUTERMOST))
    return float(low), float(high)


def extremes(colours: np.ndarray, known: np.ndarray | None) -> tuple[float, float]:
    """The smallest and the largest value that counts; (0, 0) where nothing does."""
    values = colours if known is None else colours[known]
    return (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)


def _sample(colours: np.ndarray, known: np.ndarray | None) -> np.ndarray:
    step = max(1, round((colours.size / _MOST_VALUES) ** 0.5))
    some = colours[::step, ::step]
    values: np.ndarray = some if known is None else some[known[::step, ::step]]
    return values.astype(np.float64, copy=False).ravel()


def _smooth_extremes(colours: np.ndarray, known: np.ndarray | None) -> tuple[float, float]:
    """The smallest and the largest median of a square: neither noise nor a hot pixel is in them."""
    height, width = (max(1, length // _SIDE) for length in colours.shape[:2])
    step = max(1, round((colours.size / _MOST_VALUES) ** 0.5))
    values = np.where(known[..., None], colours, np.nan) if known is not None else colours
    rows, cols = (min(_SIDE, length) for length in colours.shape[:2])
    blocks = values[: height * rows, : width * cols].reshape(height, rows, width, cols, -1)[::step, :, ::step]
    flat = blocks.transpose(0, 2, 4, 1, 3).reshape(-1, rows * cols).astype(np.float64)
    flat = flat[np.isfinite(flat).sum(1) * 2 >= flat.shape[1]]
    if not len(flat):
        return 0.0, 0.0
    middle = np.median(flat, axis=1) if known is None else np.nanmedian(flat, axis=1)
    return float(middle.min()), float(middle.max())
