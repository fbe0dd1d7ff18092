"""Whole images: ``denoise`` and ``upscale`` for arrays, Pillow images and tensors of any size."""

from nlrn.inference.options import Model, Options
from nlrn.inference.restorer import Restorer
from nlrn.inference.size import Size
from nlrn.inference.tiles import Progress
from nlrn.pixels.arrays import AnyImage, for_any


def denoise(
    image: AnyImage,
    sigma: float | None = None,
    *,
    channel_axis: int | None = None,
    strength: float = 1.0,
    model: Model | None = None,
    ensemble: bool = False,
    device: str = "auto",
    precision: str = "auto",
    progress: Progress | None = None,
) -> AnyImage:
    """Remove noise from an image.

    Without a sigma and a model the noise decides: white noise goes to the models for it, what a camera or a file has
    done to a photograph to denoise-photo. What is found is logged to the logger "nlrn".
    Large images are cut into overlapping tiles by themselves; working memory stays below 2 GB beside the image.
    A network of three channels restores the colours together. A gray one restores the brightness and both opponent
    colours of a colour image, one plane at a time.
    Transparency is kept as it is; what it hides has no part in the result.

    Args:
        image: an array [H, W], or [H, W, C] in any order named by ``channel_axis``, of dtype uint8, uint16 or
            floating point in [0, 1], where C is 1 (gray), 2 (gray, alpha), 3 (RGB) or 4 (RGB, alpha);
            a Pillow image; or a floating-point tensor [..., C, H, W] in [0, 1] with C 1 or 3.
        sigma: standard deviation of the noise in the image's own units (0 to 255 for uint8, 0 to 65535 for
            uint16, 0 to 1 for floats). Missing, it is estimated.
        channel_axis: the axis of a 3-D array that holds the channels.
        strength: 0 to 2; 1 takes the noise to be as strong as measured or given, 0 leaves the image alone.
        model: the name of a model that ships, a file or folder, or a network; default the one that serves the noise.
        ensemble: mean over the eight flips and turns; eight times slower, slightly better.
        device: "auto", "cpu", "cuda" or "mps".
        precision: "auto", "fp32" or "bf16".
        progress: called with the number of pixels done and the number in all.

    Returns:
        The restored image, of the type, shape and dtype that came in.

    Raises:
        ValueError: an image of another kind, a sigma or strength that cannot be meant, a device that is not there.
        ModelError: the model cannot be loaded, or is not a denoiser.

    >>> import numpy as np
    >>> noisy = np.random.default_rng(0).normal(128, 25, (48, 64)).clip(0, 255).astype(np.uint8)
    >>> clean = denoise(noisy, sigma=25)
    >>> clean.shape, clean.dtype.name, bool(clean.std() < noisy.std() / 4)
    ((48, 64), 'uint8', True)
    """

    restorer = Restorer("denoise", Options(model=model, ensemble=ensemble, device=device, precision=precision))
    return for_any(image, channel_axis, lambda pixels: restorer.denoise(pixels, sigma, progress, strength=strength))


def upscale(
    image: AnyImage,
    scale: float | None = None,
    *,
    width: int | None = None,
    height: int | None = None,
    channel_axis: int | None = None,
    model: Model | None = None,
    ensemble: bool = False,
    device: str = "auto",
    precision: str = "auto",
    progress: Progress | None = None,
) -> AnyImage:
    """Enlarge an image, up to 16 times.

    A network makes the luma 2, 3 or 4 times as large (paper, section 4.3); chroma and transparency are enlarged by
    bicubic interpolation. Any other size is made from the next one above that networks make in one pass or two.

    Args:
        image, channel_axis, model, ensemble, device, precision, progress: as for :func:`denoise`.
        scale: how many times as high and wide, above 1.
        width, height: the size in pixels instead of ``scale``; where one is missing, the shape is kept.

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
    restorer = Restorer("sr", Options(model=model, ensemble=ensemble, device=device, precision=precision))
    return for_any(image, channel_axis, lambda pixels: restorer.upscale(pixels, size, progress))
