"""Whether the colours of an image hold one picture: gray stored as RGB, or noise that is the same in all of them."""

import numpy as np

from nlrn.pixels.color import Planes
from nlrn.pixels.levels import measured_levels
from nlrn.pixels.scene import Scene

_NEARLY = 2.5 / 255
"""How far the colours of a gray picture are apart, where it was compressed as JPEG."""
_FEW = 0.005
_FAINT = 2.0 / 255
_APART = 0.3
"""Below this part of the noise of the brightness, that of the colours is no noise of their own. In sepia it is 0.15,
and 1 where the noise is independent in red, green and blue."""
_SIDE = 1024


def noise_is_gray(scene: Scene) -> bool:
    """Whether an RGB image has the same noise in all its colours, so that its brightness alone has to be restored.

    >>> gray = np.random.default_rng(0).integers(100, 150, (32, 32, 1), np.uint8)
    >>> noise_is_gray(Scene(gray.repeat(3, 2)))
    True
    >>> noise_is_gray(Scene(np.random.default_rng(0).integers(100, 150, (32, 32, 3), np.uint8)))
    False
    """
    if scene.colours != 3:
        return False
    middle = _middle(scene)
    apart = np.ptp(middle.pixels[..., :3].astype(np.float32), axis=2) > _NEARLY * scene.range.span
    known = middle.known
    if known is not None and not known.any():
        return False
    if (apart if known is None else apart[known]).mean(dtype=np.float64) <= _FEW:
        return True
    planes = Planes(3, 1)
    brightness, *opponents = (
        level / gain for level, gain in zip(measured_levels(middle, planes), planes.gains, strict=True)
    )
    return bool(brightness >= _FAINT and max(opponents) < _APART * brightness)


def _middle(scene: Scene) -> Scene:
    """The middle of a large image: all of it would take as long as the estimate of its noise."""
    height, width = scene.pixels.shape[:2]
    top, left = max(0, height - _SIDE) // 2, max(0, width - _SIDE) // 2
    where = slice(top, top + _SIDE), slice(left, left + _SIDE)
    return Scene(scene.pixels[where], scene.range, None if scene.lost is None else scene.lost[where])
