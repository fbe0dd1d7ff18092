"""The test protocol of the authors' released code: overlapping patches, each restored alone, averaged.

Kept for comparison with the whole-image pass of the same weights: a patch of 45 x 45 is at once the
neighbourhood of all its pixels, every pixel is computed about 40 times (at stride 7), and pixels at the edge
of a patch see half of what those in its centre see.
"""

import torch
from torch import Tensor

from nlrn.network import NLRN

PATCH = 45
_BATCH = 16


def restore_by_patches(
    model: NLRN,
    image: Tensor,
    sigma: float | None,
    *,
    stride: int = 7,
    precision: torch.dtype = torch.float32,
) -> Tensor:
    """Restore one image patch by patch.

    Args:
        model: any network, in evaluation mode, on the device where it shall run.
        image: [1, C, H, W] in [0, 1]. A side below 45 makes the patches as small.
        sigma: noise level in the units of the image, for networks with a noise map.
        stride: pixels from one patch to the next, 1 to 45; the last one ends at the border. 7 in the release.
        precision: float32 or bfloat16, the type to compute in.

    Returns:
        [1, C, H, W], each pixel the mean over the patches that cover it, not clipped.

    Raises:
        ValueError: the stride leaves gaps or is not positive.
    """
    if not 1 <= stride <= PATCH:
        raise ValueError(f"the stride of the patches must be 1 to {PATCH}, not {stride}")
    device, autocast = next(model.parameters()).device, precision == torch.bfloat16
    height, width = min(PATCH, image.shape[2]), min(PATCH, image.shape[3])
    corners = [
        (y, x) for y in _starts(image.shape[2], height, stride) for x in _starts(image.shape[3], width, stride)
    ]
    total, count = torch.zeros_like(image), torch.zeros_like(image)
    for first in range(0, len(corners), _BATCH):
        batch = corners[first : first + _BATCH]
        patches = torch.cat([image[:, :, y : y + height, x : x + width] for y, x in batch])
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=autocast):
            restored = model(patches.to(device), sigma).to(image)
        for (y, x), patch in zip(batch, restored, strict=True):
            total[0, :, y : y + height, x : x + width] += patch
            count[0, :, y : y + height, x : x + width] += 1
    return total / count


def _starts(length: int, patch: int, stride: int) -> list[int]:
    return [*range(0, length - patch, stride), length - patch]
