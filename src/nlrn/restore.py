"""Whole images: ``denoise`` and ``upscale`` for arrays, Pillow images and tensors of any size."""

import warnings
from typing import Any, Literal, TypeAlias, overload

import numpy as np
import numpy.typing as npt

from nlrn.device import Device, Precision
from nlrn.errors import NoiseWarning
from nlrn.inference.restorer import Model, Options, Restorer
from nlrn.inference.tiles import Progress
from nlrn.pixels.conversions import Kind, for_any
from nlrn.pixels.levels import Sigma, left_noisy
from nlrn.pixels.range import DataRange
from nlrn.pixels.scene import Scene

Scale: TypeAlias = Literal[2, 3, 4]


@overload
def denoise(
    image: Kind,
    sigma: Sigma | None = None,
    *,
    channel_axis: int | None = None,
    stack_axis: int | None = None,
    data_range: DataRange = None,
    model: Model | None = None,
    ensemble: bool = False,
    device: Device = "auto",
    precision: Precision = "auto",
    progress: Progress | None = None,
) -> Kind: ...


@overload
def denoise(
    image: npt.ArrayLike,
    sigma: Sigma | None = None,
    *,
    channel_axis: int | None = None,
    stack_axis: int | None = None,
    data_range: DataRange = None,
    model: Model | None = None,
    ensemble: bool = False,
    device: Device = "auto",
    precision: Precision = "auto",
    progress: Progress | None = None,
) -> npt.NDArray[Any]: ...


def denoise(
    image: Any,
    sigma: Sigma | None = None,
    *,
    channel_axis: int | None = None,
    stack_axis: int | None = None,
    data_range: DataRange = None,
    model: Model | None = None,
    ensemble: bool = False,
    device: Device = "auto",
    precision: Precision = "auto",
    progress: Progress | None = None,
) -> Any:
    """Remove noise from an image.

    Large images are cut into overlapping tiles by themselves; working memory stays below 2 GB beside the image.
    A network of three channels restores the colours together. A gray one restores the brightness and both opponent
    colours of a colour image, one plane at a time; it is taken too where the noise is the same in all colours, as in
    a gray picture stored as RGB.
    Transparency is kept as it is; what it hides has no part in the result, nor have pixels that are masked, NaN,
    infinite or far beyond black and white: those come back as they were.

    Args:
        image: an array [H, W], or [H, W, C] in any order named by ``channel_axis``, where C is 1 (gray), 2 (gray,
            alpha), 3 (RGB) or 4 (RGB, alpha), or what becomes one (a masked array, xarray, dask, a list); a Pillow
            image; or a tensor [..., C, H, W] with C 1 or 3. Arrays are uint8, uint16, floating point or, with
            ``data_range``, other integers.
        sigma: standard deviation of the noise in the image's own units (0 to 255 for uint8, 0 to 65535 for
            uint16, 0 to 1 for floats), one or one for each colour. Missing, it is estimated, and logged to the logger
            "nlrn".
        channel_axis: the axis of an array that holds the channels.
        stack_axis: the axis of an array along which images lie, each of which is restored by itself.
        data_range: where white is, or (black, white). Missing, 255 in 8 bits, 65535 in 16 bits and 1 in floating
            point; a picture of 16 bits or floating point that lies beyond that, or takes no more than a quarter of
            it, has black and white at its own ends.
        model: the name of a model that ships, a file or folder, or a network; default the one for the task
            and for gray or colour.
        ensemble: mean over the eight flips and turns; eight times slower, slightly better.
        device: "auto", "cpu", "cuda", "mps", or a device of torch.
        precision: "auto", "fp32" or "bf16".
        progress: called with the number of pixels done and the number in all.

    Returns:
        The restored image, of the type, shape and dtype that came in; Pillow images of 1 bit, a palette, CMYK, YCbCr,
        HSV and LAB come back as L or RGB.

    Raises:
        ValueError: an image of another kind, a sigma that cannot be meant, a device that is not there.
        ModelError: the model cannot be loaded, or is not a denoiser.

    Warns:
        NoiseWarning: the estimate found nothing to do in a picture that looks noisy all the same.

    >>> noisy = 128 + np.random.default_rng(0).normal(0, 20, (32, 32))
    >>> restored = denoise(noisy.astype(np.uint8), 20)
    >>> restored.dtype, bool(restored.std() < 6)
    (dtype('uint8'), True)
    """
    restorer = Restorer("denoise", Options(model, ensemble, device, precision))

    def restored(pixels: np.ndarray, masked: np.ndarray | None) -> np.ndarray:
        scene = Scene(pixels, data_range, masked)
        result = restorer.denoise(scene, sigma, progress)
        if sigma is None and np.array_equal(result, pixels, equal_nan=pixels.dtype.kind == "f"):
            why = left_noisy(scene)
            if why is not None:
                warnings.warn(f"the picture is left as it is: {why}", NoiseWarning, stacklevel=5)
        return result

    return for_any(image, channel_axis, restored, stack_axis=stack_axis)


@overload
def upscale(
    image: Kind,
    scale: Scale,
    *,
    channel_axis: int | None = None,
    stack_axis: int | None = None,
    data_range: DataRange = None,
    model: Model | None = None,
    ensemble: bool = False,
    device: Device = "auto",
    precision: Precision = "auto",
    progress: Progress | None = None,
) -> Kind: ...


@overload
def upscale(
    image: npt.ArrayLike,
    scale: Scale,
    *,
    channel_axis: int | None = None,
    stack_axis: int | None = None,
    data_range: DataRange = None,
    model: Model | None = None,
    ensemble: bool = False,
    device: Device = "auto",
    precision: Precision = "auto",
    progress: Progress | None = None,
) -> npt.NDArray[Any]: ...


def upscale(
    image: Any,
    scale: Scale,
    *,
    channel_axis: int | None = None,
    stack_axis: int | None = None,
    data_range: DataRange = None,
    model: Model | None = None,
    ensemble: bool = False,
    device: Device = "auto",
    precision: Precision = "auto",
    progress: Progress | None = None,
) -> Any:
    """Enlarge an image 2, 3 or 4 times.

    The network restores the luma of the bicubic enlargement (paper, section 4.3); chroma and transparency are
    enlarged by bicubic interpolation. All arguments but ``scale`` are those of :func:`denoise`.

    Returns:
        The enlarged image, of the type and dtype that came in.

    Raises:
        ValueError: a scale other than 2, 3 or 4, an image of another kind, a device that is not there.
        ModelError: the model cannot be loaded, or is not for super-resolution.

    >>> upscale(np.zeros((20, 30), np.uint8), 2).shape
    (40, 60)
    """
    restorer = Restorer("sr", Options(model, ensemble, device, precision))

    def restored(pixels: np.ndarray, masked: np.ndarray | None) -> np.ndarray:
        return restorer.upscale(Scene(pixels, data_range, masked), scale, progress)

    return for_any(image, channel_axis, restored, stack_axis=stack_axis)
