"""The Non-Local Recurrent Network (Liu, Wen, Fan, Loy, Huang: "Non-Local Recurrent Network for Image Restoration",
NeurIPS 2018), from top to bottom.

    x ── BN ── conv ── y ──┬─> step 1 ─> step 2 ─> ... ─> step T ─> BN, ReLU, conv ── + x ──> restored
                           └──── y is added in every step; so is the correlation of the step before

All steps share one set of convolutions; each step has batch norms of its own.
"""

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, cast, get_type_hints

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nlrn.correlation import Carried, check_window, propagated_attention

TASKS = ("denoise", "sr")
SIMILARITIES = (
    "embedded-gaussian",  # softmax of theta(x_i) . phi(x_j): the paper's choice
    "symmetric-embedded-gaussian",  # softmax of theta(x_i) . theta(x_j)
    "gaussian",  # softmax of x_i . x_j
    "euclidean",  # softmax of -|x_i - x_j|^2
    "embedded-dot",  # theta(x_i) . phi(x_j), over the number of neighbours
    "dot",  # x_i . x_j, over the number of neighbours
)
_FIRST_FIELDS = 11
"""Settings of a network in the first release."""


@dataclass(frozen=True)
class Config:
    """What makes one NLRN differ from another. The defaults are the paper's network."""

    task: str = "denoise"
    """What the network restores: "denoise", or "sr" (super-resolution of an image already enlarged by bicubic)."""
    channels: int = 1
    """Channels of the image: 1 (gray or luma) or 3 (RGB)."""
    steps: int = 12
    """T, the number of recurrent steps."""
    filters: int = 128
    """Channels of the features."""
    embedding: int = 64
    """Channels of theta and phi."""
    window: int = 45
    """Side of the neighbourhood in pixels, odd."""
    propagate: bool = True
    """Whether a step's logits are added to the next step's (paper, section 3.3)."""
    similarity: str = "embedded-gaussian"
    """How alike two features are; one of SIMILARITIES."""
    share: bool = True
    """Whether all steps share one set of convolutions."""
    every: int = 1
    """The non-local block stands in every so-many-th step, from the first on; 0 leaves it out."""
    noise_map: bool = False
    """Whether the noise level is given as one more input channel, so that one model serves every sigma."""
    unshuffle: int = 1
    """The network sees squares of so many pixels a side as one, its pixels side by side as channels. An image that
    bicubic has enlarged loses nothing by 2, and takes a quarter of the time; the window then counts squares."""

    def __post_init__(self) -> None:
        for name, kind in get_type_hints(Config).items():
            if type(getattr(self, name)) is not kind:
                raise ValueError(f"{name} must be of type {kind.__name__}, not {getattr(self, name)!r}")
        if self.task not in TASKS:
            raise ValueError(f"task must be one of {TASKS}, not {self.task!r}")
        if self.channels not in (1, 3):
            raise ValueError(f"channels must be 1 or 3, not {self.channels}")
        if self.task == "sr" and self.channels != 1:
            raise ValueError("super-resolution works on luma, so channels must be 1")
        if self.similarity not in SIMILARITIES:
            raise ValueError(f"similarity must be one of {SIMILARITIES}, not {self.similarity!r}")
        if min(self.steps, self.filters, self.embedding, self.unshuffle) < 1 or self.every < 0:
            raise ValueError("steps, filters, embedding and unshuffle must be at least 1, and every at least 0")
        if self.window < 1 or self.window % 2 == 0:
            raise ValueError(f"window must be odd and positive, not {self.window}")

    def to_tensor(self) -> Tensor:
        """The configuration as int64, for tools that see nothing of a model but its tensors.

        What came after the first release stands in it only where it is used, so that files fit older releases too.
        """
        codes = {"task": TASKS, "similarity": SIMILARITIES}
        values = [codes[n].index(v) if n in codes else int(v) for n, v in asdict(self).items()]
        return torch.tensor(values if self.unshuffle > 1 else values[:_FIRST_FIELDS], dtype=torch.int64)

    @classmethod
    def from_tensor(cls, code: Tensor) -> "Config":
        """The inverse of :meth:`to_tensor`. Raises ValueError where the tensor is not one of ours."""
        codes = {"task": TASKS, "similarity": SIMILARITIES}
        kinds = get_type_hints(cls)
        values = code.tolist() if code.dtype == torch.int64 and code.dim() == 1 else []
        if not _FIRST_FIELDS <= len(values) <= len(kinds):
            raise ValueError("the tensor 'config_code' is not one that nlrn wrote")
        try:
            fields: dict[str, Any] = {
                name: codes[name][value] if name in codes else kind(value)
                for (name, kind), value in zip(kinds.items(), values, strict=False)
            }
        except IndexError as error:
            raise ValueError(
                "the tensor 'config_code' names a task or similarity that this nlrn does not know"
            ) from error
        return cls(**fields)


class NonLocalBlock(nn.Module):
    """The non-local module (paper, sections 3.1 and 3.2), for this network or any other.

    ``x + attention(x)``: every pixel adds a mean of the features g(x_j) in its window, weighted by how much its
    own feature resembles theirs. It starts as the identity (g is zero), so it can be put into a trained network.

    Args:
        channels: channels of the features, in and out.
        embedding: channels of theta and phi; default half of ``channels``.
        window: side of the neighbourhood in pixels, odd.
        similarity: one of SIMILARITIES.
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
        check_window(window)
        self.window, self.similarity = window, similarity
        embedding = embedding or max(1, channels // 2)
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


class _Body(nn.Module):
    """The convolutions of a step: what the steps share."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        if config.every:
            self.non_local = NonLocalBlock(config.filters, config.embedding, config.window, config.similarity)
        self.conv1 = nn.Conv2d(config.filters, config.filters, 3, padding=1)
        self.conv2 = nn.Conv2d(config.filters, config.filters, 3, padding=1)


class _Norms(nn.Module):
    """The batch norms of a step: what each step has for itself."""

    def __init__(self, filters: int) -> None:
        super().__init__()
        self.block = nn.BatchNorm2d(filters)
        self.conv1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.BatchNorm2d(filters)


class _State(NamedTuple):
    """What one step hands to the next."""

    features: Tensor
    carried: Carried | None


class NLRN(nn.Module):
    """The network. Images are [B, C, H, W] with values in [0, 1], of any height and width.

    A network of task "sr" takes the image already enlarged to its final size by bicubic interpolation.
    """

    config_code: Tensor

    def __init__(self, config: Config | None = None) -> None:
        super().__init__()
        self.config = config = config or Config()
        image = config.channels * config.unshuffle**2
        inputs = image + config.noise_map
        self.head_norm = nn.BatchNorm2d(inputs)
        self.head = nn.Conv2d(inputs, config.filters, 3, padding=1)
        self.bodies = nn.ModuleList(_Body(config) for _ in range(1 if config.share else config.steps))
        self.norms = nn.ModuleList(_Norms(config.filters) for _ in range(config.steps))
        self.tail_norm = nn.BatchNorm2d(config.filters)
        self.tail = nn.Conv2d(config.filters, image, 3, padding=1)
        # training starts from the identity: 26 dB instead of 20 after the first 200 steps
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(self.tail.bias)  # type: ignore[arg-type]  # Conv2d types its bias as optional
        self.register_buffer("config_code", config.to_tensor())

    def forward(self, x: Tensor, sigma: float | Tensor | None = None, *, steps: int | None = None) -> Tensor:
        """Restore a batch of images.

        Args:
            x: degraded images [B, C, H, W], values in [0, 1] (noise may go beyond).
            sigma: standard deviation of the noise in the units of x, a number or a tensor [B] or [B, 1, 1, 1].
                Needed by networks with a noise map; the others were trained for what they do and pass over it.
            steps: run only so many of the T steps (training starts with few).

        Returns:
            Restored images [B, C, H, W], not clipped.

        Raises:
            ValueError: x has the wrong number of channels, or sigma is missing.
        """
        if x.dim() != 4 or x.shape[1] != self.config.channels:
            raise ValueError(f"the network takes [B, {self.config.channels}, H, W], not {list(x.shape)}")
        y = self.head(self.head_norm(self.seen(x, sigma)))
        state = _State(y, None)
        for t in range(steps or self.config.steps):
            state = self._step(t, state, y)
        residual: Tensor = self.tail(F.relu(self.tail_norm(state.features), inplace=True))
        return x + self.shuffled(residual, x)

    def _step(self, t: int, state: _State, y: Tensor) -> _State:
        norms = cast(_Norms, self.norms[t])
        body = cast(_Body, self.bodies[t % len(self.bodies)])
        features, carried = F.relu(norms.block(state.features), inplace=True), state.carried
        if self.config.every and t % self.config.every == 0:
            features, carried = body.non_local.propagate(features, carried if self.config.propagate else None)
        features = body.conv1(norms.conv1(features))
        features = body.conv2(F.relu(norms.conv2(features), inplace=True))
        return _State(features + y, carried)

    def seen(self, x: Tensor, sigma: float | Tensor | None) -> Tensor:
        """What the head sees: the image, unshuffled, and the noise level as one more channel where there is one."""
        side = self.config.unshuffle
        if side > 1:
            H, W = x.shape[2:]
            x = F.pixel_unshuffle(F.pad(x, (0, -W % side, 0, -H % side), mode="replicate"), side)
        if not self.config.noise_map:
            return x
        if sigma is None:
            raise ValueError("this network needs sigma, the noise level in the units of the image")
        level = torch.as_tensor(sigma, dtype=x.dtype, device=x.device).reshape(-1, 1, 1, 1)
        return torch.cat([x, level.expand(x.shape[0], 1, *x.shape[2:])], 1)

    def shuffled(self, residual: Tensor, x: Tensor) -> Tensor:
        """What the tail makes, as an image of the size of x."""
        if self.config.unshuffle == 1:
            return residual
        return F.pixel_shuffle(residual, self.config.unshuffle)[..., : x.shape[2], : x.shape[3]]
