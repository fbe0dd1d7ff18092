"""Gray pictures that are stored as colour: scans, sepia, black and white saved as RGB.

Where all channels vary together, the noise is one plane's: a network that looks for noise that differs from colour to
colour would leave it, and gain tints.
"""

import numpy as np
import numpy.typing as npt

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_MOST = 400_000  # differences of neighbours that are looked at
_APART = 0.02  # the part of what changes in a channel that may differ from what changes in luma
_ROUNDING = 0.4  # the variance of a difference of neighbours that rounding to grey levels makes, and a little more


def tint_of(pixels: npt.NDArray[np.generic], white: float) -> npt.NDArray[np.float32] | None:
    """How much R, G and B change where luma changes by 1, [3], or None where they change each in a way of its own.

    Args:
        pixels: [H, W, 3] or more channels, of which the first three are looked at.
        white: the value of white.

    >>> gray = np.random.default_rng(0).integers(0, 256, (50, 60, 1)).astype(np.uint8)
    >>> tint_of(gray.repeat(3, 2), 255)
    array([1., 1., 1.], dtype=float32)
    """
    step = max(1, round(np.sqrt(pixels.shape[0] * pixels.shape[1] / _MOST)))
    rows = pixels[::step, :, :3].astype(np.float32) * np.float32(255 / white)
    change = (rows[:, 1:] - rows[:, :-1])[:, ::step].reshape(-1, 3)
    luma = change @ _LUMA
    power = float(luma @ luma)
    if power == 0:
        return None
    slopes = (luma @ change) / np.float32(power)
    apart = np.square(change - luma[:, None] * slopes).mean(0)
    whole = np.square(change).mean(0)
    if (apart > _APART * whole + _ROUNDING).any():
        return None
    return np.asarray(slopes.round(3), np.float32)
