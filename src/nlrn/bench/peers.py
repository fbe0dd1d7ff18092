"""The networks that people would pick instead, rebuilt to be timed: the layers of the papers, with random weights.

Each stands as it runs after training, with its batch norms folded into the convolutions. Sources: DnCNN (Zhang et
al., TIP 2017), FFDNet (Zhang et al., TIP 2018), DRUNet (Zhang et al., TPAMI 2021), VDSR (Kim et al., CVPR 2016), IMDN
(Hui et al., ACM MM 2019).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _conv(inputs: int, outputs: int, side: int = 3) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, side, padding=side // 2)


def _chain(inputs: int, filters: int, outputs: int, layers: int) -> nn.Sequential:
    """So many 3x3 convolutions with ReLUs between them."""
    widths = [inputs, *[filters] * (layers - 1), outputs]
    parts: list[nn.Module] = []
    for before, after in pairwise(widths):
        parts += [_conv(before, after), nn.ReLU(inplace=True)]
    return nn.Sequential(*parts[:-1])


class DnCNN(nn.Module):
    """A chain at full resolution that predicts the noise; VDSR is the same with 20 layers, on an enlarged image."""

    def __init__(self, channels: int, layers: int) -> None:
        super().__init__()
        self.body = _chain(channels, 64, channels, layers)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to the same shape."""
        noise: Tensor = self.body(x)
        return x - noise


class FFDNet(nn.Module):
    """A chain on squares of 2x2 pixels, with the noise level as one more channel."""

    def __init__(self, channels: int, filters: int, layers: int) -> None:
        super().__init__()
        self.body = _chain(4 * channels + 1, filters, 4 * channels, layers)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] with even sides to the same shape."""
        squares = F.pixel_unshuffle(x, 2)
        return F.pixel_shuffle(self.body(torch.cat([squares, squares[:, :1] * 0 + 0.1], 1)), 2)


class _Residual(nn.Module):
    def __init__(self, filters: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = _conv(filters, filters), _conv(filters, filters)

    def forward(self, x: Tensor) -> Tensor:
        branch: Tensor = self.conv2(F.relu(self.conv1(x), inplace=True))
        return x + branch


class DRUNet(nn.Module):
    """A U-Net of four scales with four residual blocks in each."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        widths = (64, 128, 256, 512)
        self.head, self.tail = _conv(channels + 1, widths[0]), _conv(widths[0], channels)
        self.down = nn.ModuleList(
            nn.Sequential(*(_Residual(w) for _ in range(4)), nn.Conv2d(w, wider, 2, 2))
            for w, wider in pairwise(widths)
        )
        self.bottom = nn.Sequential(*(_Residual(widths[-1]) for _ in range(4)))
        self.up = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose2d(wider, w, 2, 2), *(_Residual(w) for _ in range(4)))
            for w, wider in reversed(list(pairwise(widths)))
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] with sides that are multiples of 8 to the same shape."""
        features = self.head(torch.cat([x, x[:, :1] * 0 + 0.1], 1))
        passed = []
        for part in self.down:
            passed.append(features)
            features = part(features)
        features = self.bottom(features)
        for part in self.up:
            features = part(features) + passed.pop()
        restored: Tensor = self.tail(features)
        return restored


class _Distillation(nn.Module):
    """Four convolutions, of each of which a quarter is kept aside, and the quarters mixed."""

    def __init__(self, filters: int) -> None:
        super().__init__()
        self.kept = filters // 4
        self.first = _conv(filters, filters)
        self.more = nn.ModuleList([_conv(filters - self.kept, filters), _conv(filters - self.kept, filters)])
        self.last, self.mix = _conv(filters - self.kept, self.kept), _conv(filters, filters, 1)

    def forward(self, x: Tensor) -> Tensor:
        features, kept = F.leaky_relu(self.first(x), 0.05, inplace=True), []
        for conv in self.more:
            kept.append(features[:, : self.kept])
            features = F.leaky_relu(conv(features[:, self.kept :]), 0.05, inplace=True)
        kept += [features[:, : self.kept], self.last(features[:, self.kept :])]
        mixed: Tensor = self.mix(torch.cat(kept, 1))
        return x + mixed


class IMDN(nn.Module):
    """Six blocks at the resolution of what came in, their results mixed, pixel-shuffled at the end."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale, self.head = scale, _conv(3, 64)
        self.blocks = nn.ModuleList(_Distillation(64) for _ in range(6))
        self.mix, self.smooth, self.tail = _conv(6 * 64, 64, 1), _conv(64, 64), _conv(64, 3 * scale**2)

    def forward(self, x: Tensor) -> Tensor:
        """[B, 3, H, W] to [B, 3, scale H, scale W]."""
        first = features = self.head(x)
        found = []
        for block in self.blocks:
            features = block(features)
            found.append(features)
        return F.pixel_shuffle(self.tail(first + self.smooth(self.mix(torch.cat(found, 1)))), self.scale)


@dataclass(frozen=True)
class Peer:
    """A network to be timed, and the score that its authors published."""

    name: str
    build: Callable[[], nn.Module]
    channels: int
    shrunk: int
    """The image that comes in is so many times smaller than the one that comes out."""
    psnr: float
    """Set12 or CBSD68 at sigma 25, or Set5 at x2."""


PEERS: Mapping[str, tuple[Peer, ...]] = MappingProxyType(
    {
        "gray": (
            Peer("FFDNet", lambda: FFDNet(1, 64, 15), 1, 1, 30.43),
            Peer("DnCNN", lambda: DnCNN(1, 17), 1, 1, 30.44),
            Peer("DRUNet", lambda: DRUNet(1), 1, 1, 30.94),
        ),
        "colour": (
            Peer("FFDNet", lambda: FFDNet(3, 96, 12), 3, 1, 31.21),
            Peer("DnCNN", lambda: DnCNN(3, 20), 3, 1, 31.24),
            Peer("DRUNet", lambda: DRUNet(3), 3, 1, 31.69),
        ),
        "x2": (
            Peer("VDSR", lambda: DnCNN(1, 20), 1, 1, 37.53),
            Peer("IMDN", lambda: IMDN(2), 3, 2, 38.00),
        ),
    }
)
