"""White noise that was saved as JPEG: of all noise in photographs what the models for white noise restore best.

Luma keeps its noise nearly as it was. Colours are saved at half the resolution and more roughly: single pixels have
none of their own, means of four have some, and means of sixteen what white noise has. Blotches of cameras are
coarser, and their grain is not white.
"""

import math

import numpy as np
import numpy.typing as npt

from nlrn.pixels.noise_features import chroma_of_fours

_SEEN = 2.5  # grey levels of noise in luma below which it is hardly told from texture
_LUMA = math.hypot(0.299, 0.587, 0.114)  # of the deviation in red, green and blue, that of white noise in luma
_MORE = 1.1  # times as much is told of it: what JPEG took away of it is missing in the picture too


def sigma_before_jpeg(rgb: npt.NDArray[np.generic], scale: float, white: list[float], luma: float) -> float | None:
    """The level to tell a network for white noise in colours, in grey levels of 255; None where it is other noise.

    Args:
        rgb: pixels [H, W, 3].
        scale: makes grey levels of 255 of their values.
        white: their noise as if it were white, as :func:`nlrn.pixels.noise_features.as_white` has it.
        luma: the standard deviation of the noise in luma, as it was read with an eye to coarse noise.
    """
    single, chroma, twos, chroma_of_twos, _ = white
    if single < _SEEN or chroma > 0.12 * single or not 0.9 < twos / single < 1.5:
        return None
    # of 960 pictures with the simulated noise of cameras these let one pass
    if not 0.2 < chroma_of_twos / single < 0.45 or chroma_of_fours(rgb, scale) > 2.4 * chroma_of_twos:
        return None
    return _MORE * min(single, luma) / _LUMA
