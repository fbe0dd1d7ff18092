"""The functions that the napari manifest names: a widget, made of types, and a sample; napari is not needed here."""

from typing import TYPE_CHECKING

import numpy as np

from nlrn.inference.restore import denoise as _denoise
from nlrn.pixels.range import Range, extremes, outer_values

if TYPE_CHECKING:
    import napari.types  # type: ignore[import-not-found]  # only napari resolves it


def denoise(image: "napari.types.ImageData", sigma: float = 0.0) -> "napari.types.ImageData":
    """Denoise an image layer: a plane [H, W], colours [..., H, W, 3 or 4], or a stack [..., H, W] plane by plane.

    Args:
        image: any real dtype and range; black and white are the ends of the layer, without the outermost half a
            percent of its values.
        sigma: standard deviation of the noise in the units of the layer; 0 estimates it for each plane.

    Returns:
        The denoised layer, of the same shape and dtype; NaN and infinite values stay as they are.

    Raises:
        ValueError: fewer than two axes, or a sigma that cannot be meant.
    """
    layer = np.asarray(image)
    if layer.ndim < 2:
        raise ValueError(f"an image has at least two axes, not shape {list(layer.shape)}")
    colour = layer.ndim > 2 and layer.shape[-1] in (3, 4)  # as napari guesses it
    planes = layer.reshape(-1, *layer.shape[-3 if colour else -2 :])
    values = layer[..., :3].reshape(-1, layer.shape[-2], 3) if colour else layer.reshape(-1, layer.shape[-1], 1)
    known = np.isfinite(values).all(2) if layer.dtype.kind == "f" else None
    low, high = outer_values(values, known)
    if low == high:
        low, high = extremes(values, known)
    if low == high:
        return layer.copy()
    done = [
        _denoise(plane, sigma or None, channel_axis=-1 if colour else None, data_range=Range(low, high, own=True))
        for plane in planes
    ]
    # stacking takes the byte order of this machine
    return np.stack(done).reshape(layer.shape).astype(layer.dtype, copy=False)


def sample() -> "list[napari.types.LayerData]":
    """Two planes of round cells in a dim 12-bit picture, as a microscope with little light has them.

    Returns:
        One image layer: uint16 [2, 256, 256], photon noise and the noise of reading included.
    """
    random = np.random.default_rng(0)
    y, x = np.mgrid[:256, :256]
    planes = np.full((2, 256, 256), 180.0)
    for row, column, radius, light in random.uniform((0, 0, 6, 150), (256, 256, 18, 900), (60, 4)):
        distance = np.hypot(y - row, x - column)
        planes += light * np.stack([1 / (1 + np.exp(distance - radius)), np.exp(-np.square(distance / radius * 2))])
    noisy = planes + random.normal(0, np.sqrt(3 * planes + 100))
    return [(noisy.clip(0, 4095).round().astype(np.uint16), {"name": "noisy cells"}, "image")]
