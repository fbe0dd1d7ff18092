"""Whole images: ``denoise`` and ``upscale`` for arrays, Pillow images and tensors of any size."""

import warnings
from collections.abc import Sequence
from typing import Any, cast, overload

import numpy as np
import numpy.typing as npt

from nlrn.config import DENOISE, SUPER_RESOLUTION
from nlrn.errors import NoiseWarning
from nlrn.inference.device import Device, Precision
from nlrn.inference.options import Model, Options
from nlrn.inference.restorer import Restorer
from nlrn.inference.size import Size
from nlrn.inference.tiles import Progress
from nlrn.pixels.arrays import are_same
from nlrn.pixels.conversions import Kind, for_any
from nlrn.pixels.levels import Sigma, left_noisy
from nlrn.pixels.range import DataRange
from nlrn.pixels.scene import Scene


@overload
def denoise(
    image: Kind,
    sigma: Sigma | None = None,
    *,
    channel_axis: int | None = None,
    stack_axis: int | None = None,
    data_range: DataRange = None,
    strength: float = 1.0,
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
    strength: float = 1.0,
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
    strength: float = 1.0,
    model: Model | None = None,
    ensemble: bool = False,
    device: Device = "auto",
    precision: Precision = "auto",
    progress: Progress | None = None,
) -> Any:
    """Remove noise from an image.

    Without a sigma and a model the noise decides: white noise goes to the models for it, what a camera or a file has
    done to a photograph to denoise-photo. What is found is logged to the logger "nlrn".
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
            uint16, 0 to 1 for floats), one or one for each colour. Missing, it is estimated.
        channel_axis: the axis of an array that holds the channels.
        stack_axis: the axis of an array along which images lie, each of which is restored by itself.
        data_range: where white is, or (black, white). Missing, 255 in 8 bits, 65535 in 16 bits and 1 in floating
            point; a picture of 16 bits or floating point that lies beyond that, or takes no more than a quarter of
            it, has black and white at its own ends.
        strength: 0 to 2; 1 takes the noise to be as strong as measured or given, 0 leaves the image alone.
        model: the name of a model that ships, a file or folder, or a network; default the one that serves the noise.
        ensemble: mean over the eight flips and turns; eight times slower, slightly better.
        device: "auto", "cpu", "cuda", "mps", or a device of torch.
        precision: "auto", "fp32" or "bf16".
        progress: called with the number of pixels done and the number in all.

    Returns:
        The restored image, of the type, shape and dtype that came in; Pillow images of 1 bit, a palette, CMYK, YCbCr,
        HSV and LAB come back as L or RGB.

    Raises:
        ValueError: an image of another kind, a sigma or strength that cannot be meant, a device that is not there.
        ModelError: the model cannot be loaded, or is not a denoiser.

    Warns:
        NoiseWarning: the estimate found nothing to do in a picture that looks noisy all the same.

    >>> import numpy as np
    >>> noisy = 128 + np.random.default_rng(0).normal(0, 20, (32, 32))
    >>> restored = denoise(noisy.astype(np.uint8), 20)
    >>> restored.dtype, bool(restored.std() < 6)
    (dtype('uint8'), True)
    """
    restorer = _restorer(DENOISE.name, model, ensemble, device, precision)
    left: set[str] = set()

    def restored(pixels: np.ndarray, masked: np.ndarray | None) -> np.ndarray:
        scene = Scene(pixels, data_range, masked, _steps_of(image))
        result = restorer.denoise(scene, sigma, progress, strength=strength)
        if sigma is None and strength and are_same(result, pixels):
            why = left_noisy(scene)
            if why is not None:
                left.add(f"the picture is left as it is: {why}")
        return result

    done = for_any(image, channel_axis, restored, stack_axis=stack_axis)
    for remark in sorted(left):
        warnings.warn(remark, NoiseWarning, stacklevel=2)
    return done


@overload
def upscale(
    image: Kind,
    scale: float | None = None,
    *,
    width: int | None = None,
    height: int | None = None,
    channel_axis: int | None = None,
    stack_axis: int | None = None,
    data_range: DataRange = None,
    sharpen_alpha: bool = False,
    model: Model | None = None,
    ensemble: bool = False,
    device: Device = "auto",
    precision: Precision = "auto",
    progress: Progress | None = None,
) -> Kind: ...


@overload
def upscale(
    image: npt.ArrayLike,
    scale: float | None = None,
    *,
    width: int | None = None,
    height: int | None = None,
    channel_axis: int | None = None,
    stack_axis: int | None = None,
    data_range: DataRange = None,
    sharpen_alpha: bool = False,
    model: Model | None = None,
    ensemble: bool = False,
    device: Device = "auto",
    precision: Precision = "auto",
    progress: Progress | None = None,
) -> npt.NDArray[Any]: ...


def upscale(
    image: Any,
    scale: float | None = None,
    *,
    width: int | None = None,
    height: int | None = None,
    channel_axis: int | None = None,
    stack_axis: int | None = None,
    data_range: DataRange = None,
    sharpen_alpha: bool = False,
    model: Model | None = None,
    ensemble: bool = False,
    device: Device = "auto",
    precision: Precision = "auto",
    progress: Progress | None = None,
) -> Any:
    """Enlarge an image, up to 16 times.

    A network makes the luma 2, 3 or 4 times as large (paper, section 4.3); chroma and transparency are enlarged by
    bicubic interpolation. Any other size is made from the next one above that networks make in one pass or two.

    Args:
        image, channel_axis, stack_axis, data_range, model, ensemble, device, precision, progress: as for
            :func:`denoise`.
        scale: how many times as high and wide, above 1.
        width, height: the size in pixels instead of ``scale``; where one is missing, the shape is kept.
        sharpen_alpha: whether the network enlarges the transparency too, for as sharp an edge.

    Returns:
        The enlarged image, of the type and dtype that came in.

    Raises:
        ValueError: a size that is not larger or more than 16 times as large, or said twice; an image of another
            kind, a device that is not there.
        ModelError: the model cannot be loaded, or is not for super-resolution.

    >>> import numpy as np
    >>> upscale(np.zeros((20, 30, 3), np.uint8), 3, channel_axis=-1).shape
    (60, 90, 3)
    >>> upscale(np.zeros((20, 30), np.uint8), width=75).shape
    (50, 75)
    """
    size = Size(scale, width, height)
    restorer = _restorer(SUPER_RESOLUTION.name, model, ensemble, device, precision)

    def restored(pixels: np.ndarray, masked: np.ndarray | None) -> np.ndarray:
        scene = Scene(pixels, data_range, masked, _steps_of(image))
        return restorer.upscale(scene, size, progress, sharpen_alpha=sharpen_alpha)

    return for_any(image, channel_axis, restored, stack_axis=stack_axis)


def _steps_of(image: object) -> list[Sequence[int]]:
    """By how much JPEG rounded a picture that Pillow read from its file."""
    tables = getattr(image, "quantization", None)
    return [steps for _, steps in sorted(tables.items())] if isinstance(tables, dict) else []


def _restorer(task: str, model: Model | None, ensemble: bool, device: Device, precision: Precision) -> Restorer:
    # a device of torch is as good as its name
    return Restorer(task, Options(model=model, ensemble=ensemble, device=cast(str, device), precision=precision))
