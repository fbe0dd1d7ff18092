"""The function that the napari manifest names: napari makes a widget from its types, and is not needed here."""

from typing import TYPE_CHECKING

import numpy as np

from nlrn.inference.restore import denoise as _denoise

if TYPE_CHECKING:
    import napari.types  # type: ignore[import-not-found]  # only napari resolves it


def denoise(image: "napari.types.ImageData", sigma: float = 0.0) -> "napari.types.ImageData":
    """Denoise an image layer: a plane [H, W], colours [..., H, W, 3 or 4], or a stack [..., H, W] plane by plane.

    Args:
        image: any real dtype and range; the range is taken from the layer, as its contrast limits are.
        sigma: standard deviation of the noise in the units of the layer; 0 estimates it for each plane.

    Returns:
        The denoised layer, of the same shape and dtype.

    Raises:
        ValueError: fewer than two axes, NaN or infinite values, or a sigma that cannot be meant.
    """
    layer = np.asarray(image)
    if layer.ndim < 2:
        raise ValueError(f"an image has at least two axes, not shape {list(layer.shape)}")
    low, high = (float(end) for end in (layer.min(), layer.max()))
    if not np.isfinite(high - low):
        raise ValueError("the layer contains NaN or infinite values")
    if low == high:
        return layer.copy()
    colour = layer.ndim > 2 and layer.shape[-1] in (3, 4)  # as napari guesses it
    planes = layer.reshape(-1, *layer.shape[-3 if colour else -2 :])
    out = np.empty_like(planes)
    for i, plane in enumerate(planes):
        unit = ((plane - low) / (high - low)).astype(np.float32)
        restored = _denoise(unit, sigma / (high - low) or None, channel_axis=-1 if colour else None)
        values = restored.astype(np.float64) * (high - low) + low
        out[i] = np.rint(values.clip(low, high)) if layer.dtype.kind in "iu" else values
    return out.reshape(layer.shape)
