"""Gray pictures that are stored as colour: scans, sepia, black and white saved as RGB.

Where all channels vary together, the noise is one plane's: a network that looks for noise that differs from colour to
colour would leave it, and gain tints.
"""

import numpy as np
import numpy.typing as npt

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_COARSE = 8
"""Side of the squares whose means are looked at too: what is saved as JPEG has no finer colours of its own."""
_MOST = 400_000  # pixels that are looked at
_APART = 0.001  # the part of what changes in a channel that may differ from what changes in luma
_ROUNDING = 0.4  # the variance of a difference of neighbours that rounding to grey levels makes, and a little more


def tint_of(pixels: npt.NDArray[np.generic], white: float) -> npt.NDArray[np.float32] | None:
    """The change of R, G and B where luma changes by 1, [3], or None where each changes in a way of its own.

    Args:
        pixels: [H, W, 3] or more channels, of which the first three are looked at.
        white: the value of white.

    >>> gray = np.random.default_rng(0).integers(0, 256, (50, 60, 1)).astype(np.uint8)
    >>> tint_of(gray.repeat(3, 2), 255)
    array([1., 1., 1.], dtype=float32)
    """
    step = max(1, round(np.sqrt(pixels.shape[0] * pixels.shape[1] / _MOST)))
    height, width = (side // (_COARSE * step) * _COARSE for side in pixels.shape[:2])
    if height == 0 or width == 0:
        return None
    # squares, spread over the picture where it is large
    squares = pixels[: height * step, : width * step, :3].reshape(height // _COARSE, step, _COARSE, width * step, 3)[
        :, 0
    ]
    squares = squares.reshape(height // _COARSE, _COARSE, width // _COARSE, step, _COARSE, 3)[:, :, :, 0]
    squares = squares.astype(np.float32) * np.float32(255 / white)
    fine = (squares[:, :, :, 1:] - squares[:, :, :, :-1]).reshape(-1, 3)
    means = squares.mean((1, 3))
    coarse = (means[:, 1:] - means[:, :-1]).reshape(-1, 3)
    luma = fine @ _LUMA
    power = float(luma @ luma)
    if power == 0:
        return None
    slopes = (luma @ fine) / np.float32(power)
    for change, rounding in ((fine, _ROUNDING), (coarse, _ROUNDING / _COARSE**2)):
        apart = np.square(change - (change @ _LUMA)[:, None] * slopes).mean(0)
        if (apart > _APART * np.square(change).mean(0) + rounding).any():
            return None
    return np.asarray(slopes.round(3), np.float32)
