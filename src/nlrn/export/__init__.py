"""Networks as ONNX files, for programs without PyTorch; needs ``nlrn[export]``.

The file holds standard operators only. Height, width and batch are free, and a network with a noise map takes the
noise level as an input:

========  =====================================  =================================================================
image     float32 [batch, C, height, width], in  values in [0, 1]; for super-resolution the luma
sigma     float32 [batch], in                    standard deviation of the noise, 25 / 255 for 25 grey levels
restored  float32 [batch, C, height, width]      not clipped
========  =====================================  =================================================================

A network that enlarges has a file for each scale, since each has output channels of its own; height and width of what
comes out are so many times those of the image. A network that takes images already enlarged by bicubic has one file.

Memory grows with the pixels, as the package's does for a single tile; onnxruntime does not cut images into tiles.
"""

from pathlib import Path

import numpy as np
import torch

from nlrn.config import SCALES
from nlrn.errors import ModelError
from nlrn.export.correlation import bytes_per_tile
from nlrn.export.network import model_proto
from nlrn.files import write_whole
from nlrn.network import NLRN

__all__ = ["SIZES", "TOLERANCE", "export", "largest_difference"]

SIZES = ((37, 53), (64, 41))
"""Height and width of the images that an exported file is tried on."""
TOLERANCE = 1e-4
"""The largest difference from the package that is accepted, where white is 1: a fortieth of a grey level."""
_MOST_BYTES_PER_TILE = 1 << 28


def export(network: NLRN, path: str | Path, *, scale: int | None = None) -> float | None:
    """Write a network as an ONNX file, after comparing it with the package where onnxruntime is installed.

    Args:
        network: what to export, in evaluation mode.
        path: of the file, ending in ``.onnx``.
        scale: by how much a network that enlarges does so in this file; None for others.

    Returns:
        The largest difference on images of :data:`SIZES`, or None without onnxruntime.

    Raises:
        ModelError: the network cannot be exported, or computes something else in onnxruntime. Nothing is written.
        ValueError: the path does not end in ``.onnx``, or the scale is missing, or none that the network has.
        FileNotFoundError: its folder does not exist.
    """
    path = Path(path)
    if path.suffix != ".onnx":
        raise ValueError(f"{path}: the name of an ONNX file must end in .onnx")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: there is no folder {path.parent}; make it first")
    if scale is not None and not network.config.post_upsampling:
        raise ValueError(f"{path}: this network does not enlarge its image, so there is no scale to choose")
    if network.config.post_upsampling and scale not in SCALES:
        known = ", ".join(map(str, SCALES))
        raise ValueError(f"{path}: a file enlarges by one scale; say which of {known} it is (--scale), not {scale}")
    _refuse(network)
    data = model_proto(network, scale).SerializeToString()
    try:
        difference = largest_difference(network, data, scale=scale)
    except ModuleNotFoundError:
        difference = None
    if difference is not None and not difference <= TOLERANCE:
        raise ModelError(
            f"{path}: not written, because in onnxruntime the network computes something else "
            f"(largest difference {difference:.1e}, where white is 1; allowed are {TOLERANCE:g})"
        )
    write_whole(path, data)
    return difference


def largest_difference(
    network: NLRN,
    model: bytes | str | Path,
    sizes: tuple[tuple[int, int], ...] = SIZES,
    batch: int = 2,
    scale: int | None = None,
) -> float:
    """The largest absolute difference between an ONNX model and the network, where white is 1.

    Args:
        network: what the model should compute.
        model: the contents of an ONNX file, or its path.
        sizes: height and width of the images to try.
        batch: how many at once.
        scale: as for :func:`export`.

    Raises:
        ModuleNotFoundError: onnxruntime is not installed.
    """
    import onnxruntime  # type: ignore[import-untyped]  # it has no types

    session = onnxruntime.InferenceSession(
        model if isinstance(model, bytes) else str(model), providers=["CPUExecutionProvider"]
    )
    random = np.random.default_rng(0)
    worst = 0.0
    for height, width in sizes:
        image = random.random((batch, network.config.channels, height, width), np.float32)
        given = {"image": image}
        if network.config.noise_map:
            given["sigma"] = np.linspace(0.05, 0.2, batch, dtype=np.float32)
        with torch.inference_mode():
            expected = network(*(torch.from_numpy(array) for array in given.values()), scale=scale).numpy()
        found = session.run(["restored"], given)[0]
        worst = float(np.maximum(worst, np.abs(found - expected).max()))  # NaN stays NaN
    return worst


def _refuse(network: NLRN) -> None:
    """Raise ModelError for a network that no one could use as an ONNX file."""
    if not all(bool(tensor.isfinite().all()) for tensor in network.state_dict().values()):
        raise ModelError("the network cannot be exported: its weights contain NaN or infinite values")
    window = network.config.window
    if network.config.every and (needed := bytes_per_tile(window)) > _MOST_BYTES_PER_TILE:
        raise ModelError(
            f"the network cannot be exported: with a window of {window} every {window - 1} columns of an image would "
            f"take {needed / 1e6:.0f} MB for their correlation at once; the package itself runs it in small pieces"
        )
