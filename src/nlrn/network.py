"""The Non-Local Recurrent Network (Liu, Wen, Fan, Loy, Huang: "Non-Local Recurrent Network for Image Restoration",
NeurIPS 2018), from top to bottom.

    x ── BN ── conv ── y ──┬─> step 1 ─> step 2 ─> ... ─> step T ─> BN, ReLU, conv ── + x ──> restored
                           └──── y is added in every step; so is the correlation of the step before

All steps share one set of convolutions, or each group of steps in a row one of its own (``Config.groups``); each step
has batch norms of its own.
"""

from collections.abc import Iterator
from numbers import Integral
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nlrn.config import SCALES, SIMILARITIES, Config
from nlrn.correlation import Carried, check_window, propagated_attention
from nlrn.pixels.degrade import resize_bicubic


class NonLocalBlock(nn.Module):
    """The non-local module (paper, sections 3.1 and 3.2), for this network or any other.

    ``x + attention(x)``: every pixel adds a mean of the features g(x_j) in its window, weighted by how much its
    own feature resembles theirs. It starts as the identity (g is zero), so it can be put into a trained network.

    Args:
        channels: channels of the features, in and out.
        embedding: channels of theta and phi; default half of ``channels``.
        window: side of the neighbourhood in pixels, odd.
        similarity: one of SIMILARITIES.

    Raises:
        ValueError: an unknown similarity, a window that is even, or a number that is not whole and positive.

    >>> block = NonLocalBlock(16, window=7)
    >>> features = torch.rand(1, 16, 20, 30)
    >>> bool((block(features) == features).all())
    True
    """

    def __init__(
        self,
        channels: int,
        embedding: int | None = None,
        window: int = 45,
        similarity: str = "embedded-gaussian",
    ) -> None:
        super().__init__()
        if similarity not in SIMILARITIES:
            raise ValueError(f"similarity must be one of {SIMILARITIES}, not {similarity!r}")
        for name, number in (("channels", channels), ("embedding", embedding), ("window", window)):
            left_out = name == "embedding" and number is None
            if not left_out and (not isinstance(number, Integral) or number < 1):
                raise ValueError(f"{name} must be a whole number above 0, not {number!r}")
        check_window(window)
        embedding = embedding or max(1, channels // 2)
        self.window, self.similarity = window, similarity
        if "embedded" in similarity:
            self.theta = nn.Conv2d(channels, embedding, 1)
        if similarity in ("embedded-gaussian", "embedded-dot"):
            self.phi = nn.Conv2d(channels, embedding, 1)
        self.g = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.g.weight)
        nn.init.zeros_(self.g.bias)  # type: ignore[arg-type]  # Conv2d types its bias as optional

    def forward(self, x: Tensor) -> Tensor:
        """Features [B, C, H, W] of any size in, features of the same shape out."""
        return self.propagate(x, None)[0]

    def propagate(self, x: Tensor, carried: Carried | None) -> tuple[Tensor, Carried]:
        """As :meth:`forward`, with the logits of earlier steps added; returns what the next step needs."""
        q, k = self._embed(x)
        normalize = "mean" if self.similarity.endswith("dot") else "softmax"
        attended, carried = propagated_attention(q, k, self.g(x), self.window, carried, normalize=normalize)
        return x + attended, carried

    def _embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Queries and keys whose dot product is the logit."""
        if self.similarity in ("embedded-gaussian", "embedded-dot"):
            return self.theta(x), self.phi(x)
        if self.similarity == "symmetric-embedded-gaussian":
            theta = self.theta(x)
            return theta, theta
        if self.similarity == "euclidean":
            # -|x_i - x_j|^2 = 2 x_i . x_j - |x_j|^2 - |x_i|^2, and the softmax over j does not see the last term
            return (
                torch.cat([2 * x, torch.ones_like(x[:, :1])], 1),
                torch.cat([x, -x.square().sum(1, keepdim=True)], 1),
            )
        return x, x


class Body(nn.Module):
    """The convolutions of a step: what the steps of a group share.

    Args:
        block: whether one of the steps holds a non-local block.
    """

    def __init__(self, config: Config, *, block: bool) -> None:
        super().__init__()
        if block:
            self.non_local = NonLocalBlock(config.filters, config.embedding, config.window, config.similarity)
        self.conv1 = nn.Conv2d(config.filters, config.filters, 3, padding=1)
        self.conv2 = nn.Conv2d(config.filters, config.filters, 3, padding=1)


class Norms(nn.Module):
    """The batch norms of a step: what each step has for itself."""

    def __init__(self, filters: int) -> None:
        super().__init__()
        self.block = nn.BatchNorm2d(filters)
        self.conv1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.BatchNorm2d(filters)


class State(NamedTuple):
    """The state between two steps."""

    features: Tensor
    carried: Carried | None


class NLRN(nn.Module):
    """The network. Images are [B, C, H, W] with values in [0, 1], of any height and width.

    A network of task "sr" takes the small image and the scale where its configuration says ``post_upsampling``, and
    otherwise the image already enlarged to its final size by bicubic interpolation.

    Source: Liu, Wen, Fan, Loy, Huang, NeurIPS 2018, sections 3.2 and 3.3.

    >>> network = NLRN(Config(steps=2, filters=8, embedding=4, window=5))
    >>> network(torch.rand(1, 1, 16, 16)).shape
    torch.Size([1, 1, 16, 16])
    """

    config_code: Tensor

    def __init__(self, config: Config | None = None) -> None:
        super().__init__()
        self.config = config = config or Config()
        image = config.channels * config.unshuffle**2
        inputs = image + config.noise_map
        self.head_norm = nn.BatchNorm2d(inputs)
        self.head = nn.Conv2d(inputs, config.filters, 3, padding=1)
        with_block = {config.group(t) for t in config.blocks}
        self.bodies = nn.ModuleList(Body(config, block=group in with_block) for group in range(config.groups))
        self.norms = nn.ModuleList(Norms(config.filters) for _ in range(config.steps))
        self.tail_norm = nn.BatchNorm2d(config.filters)
        # one set of scale^2 channels for each scale, of which a pass computes its own
        made = sum(s**2 for s in SCALES) if config.post_upsampling else image
        self.tail = nn.Conv2d(config.filters, made, 3, padding=1)
        # training starts from the identity: 26 dB instead of 20 after the first 200 steps
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(self.tail.bias)  # type: ignore[arg-type]  # Conv2d types its bias as optional
        self.register_buffer("config_code", config.to_tensor())

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return self.tail.weight.device

    def forward(
        self,
        x: Tensor,
        sigma: float | Tensor | None = None,
        *,
        scale: int | None = None,
        steps: int | None = None,
    ) -> Tensor:
        """Restore a batch of images.

        Args:
            x: degraded images [B, C, H, W], values in [0, 1] (noise may go beyond).
            sigma: standard deviation of the noise in the units of x: a number, a tensor [B], or a map of the pixels
                [B, 1, H, W]. Needed by networks with a noise map; the others were trained for one level and pass
                over it.
            scale: one of SCALES. Needed by networks of ``post_upsampling``; the others pass over it.
            steps: run only so many of the T steps (training starts with few).

        Returns:
            Restored images [B, C, H, W], not clipped; of ``scale`` times that height and width from networks of
            ``post_upsampling``.

        Raises:
            ValueError: x is no tensor of floating point or has the wrong number of channels, sigma is missing, or
                scale is, or is none of SCALES.
        """
        if not isinstance(x, Tensor) or not x.is_floating_point():
            kind = f"{x.dtype}" if isinstance(x, Tensor) else f"of type {type(x).__name__}"
            raise ValueError(f"the network takes a tensor of floating point with values in [0, 1], not one {kind}")
        if x.dim() != 4 or x.shape[1] != self.config.channels or 0 in x.shape[2:]:
            raise ValueError(f"the network takes [B, {self.config.channels}, H, W], not {list(x.shape)}")
        y = self.head(self.head_norm(self.seen(x, sigma)))
        state = State(y, None)
        for t in range(steps or self.config.steps):
            state = self._step(t, state, y, self.config.propagate)
        features = F.relu(self.tail_norm(state.features), inplace=True)
        made = self.made(scale)
        residual = F.conv2d(features, self.tail.weight[made], cast(Tensor, self.tail.bias)[made], padding=1)
        return self.finished(residual, x, scale)

    def states(self, x: Tensor, sigma: float | Tensor | None = None, *, propagate: bool) -> Iterator[State]:
        """The state after each step of :meth:`forward`, in turn, for whoever looks inside.

        Args:
            x, sigma: as for :meth:`forward`.
            propagate: whether the correlation of earlier steps is added, whatever the network was trained with.
        """
        y = self.head(self.head_norm(self.seen(x, sigma)))
        state = State(y, None)
        for t in range(self.config.steps):
            state = self._step(t, state, y, propagate)
            yield state

    def _step(self, t: int, state: State, y: Tensor, propagate: bool) -> State:
        norms = cast(Norms, self.norms[t])
        body = cast(Body, self.bodies[self.config.group(t)])
        features, carried = F.relu(norms.block(state.features), inplace=True), state.carried
        if t in self.config.blocks:
            features, carried = body.non_local.propagate(features, carried if propagate else None)
        features = body.conv1(norms.conv1(features))
        features = body.conv2(F.relu(norms.conv2(features), inplace=True))
        return State(features + y, carried)

    def seen(self, x: Tensor, sigma: float | Tensor | None) -> Tensor:
        """The input of the head: the image, unshuffled, and the noise level as a channel where there is one."""
        side, (H, W) = self.config.unshuffle, x.shape[2:]
        if side > 1:
            x = F.pixel_unshuffle(F.pad(x, (0, -W % side, 0, -H % side), mode="replicate"), side)
        if not self.config.noise_map:
            return x
        if sigma is None:
            raise ValueError("this network needs sigma, the noise level in the units of the image")
        if isinstance(sigma, str):
            raise ValueError(f"sigma is a number, one for each image or one for each pixel, not {sigma!r}")
        level = torch.as_tensor(sigma, dtype=x.dtype, device=x.device)
        if level.numel() in (1, x.shape[0]):
            level = level.reshape(-1, 1, 1, 1)
        elif level.dim() != 4 or level.shape[0] not in (1, x.shape[0]) or level.shape[1:] != (1, H, W):
            raise ValueError(
                f"sigma is a number, one for each image or one for each pixel [B, 1, H, W], not of shape "
                f"{list(level.shape)}"
            )
        elif side > 1:
            level = F.avg_pool2d(F.pad(level, (0, -W % side, 0, -H % side), mode="replicate"), side)
        return torch.cat([x, level.expand(x.shape[0], 1, *x.shape[2:])], 1)

    def made(self, scale: int | None) -> slice:
        """The channels of the tail that make the image: all of them, or those of the scale.

        Raises:
            ValueError: the scale is missing or none of SCALES.
        """
        if not self.config.post_upsampling:
            return slice(None)
        if scale not in SCALES:
            raise ValueError(f"this network needs the scale, one of {SCALES}, not {scale}")
        first = sum(s**2 for s in SCALES if s < scale)
        return slice(first, first + scale**2)

    def finished(self, residual: Tensor, x: Tensor, scale: int | None) -> Tensor:
        """The restored image: what the tail makes, put at its place and added to x or to its enlargement."""
        if self.config.post_upsampling and scale:
            height, width = (scale * side for side in x.shape[2:])
            return resize_bicubic(x, height, width) + F.pixel_shuffle(residual, scale)
        return x + self.shuffled(residual, x)

    def shuffled(self, squares: Tensor, x: Tensor) -> Tensor:
        """The inverse of :meth:`seen`: what lies side by side as channels, as an image of the size of x."""
        if self.config.unshuffle == 1:
            return squares
        return F.pixel_shuffle(squares, self.config.unshuffle)[..., : x.shape[2], : x.shape[3]]
