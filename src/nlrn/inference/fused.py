"""A trained network, frozen and fused for inference: the function of :mod:`nlrn.network`, faster.

- A batch norm at rest is a scale and a shift. Those before a ReLU go into the convolution before them. The one
  between the non-local block and the first convolution goes into the convolution behind it; since that pads its
  input with zeros and not with the shift, the bias at the border of the image is another one than inside.
- Fresh memory costs more than the arithmetic on it (a page fault for every 4 KB), so every result is written into
  memory that is there: steps, and tiles after one another, use the same few buffers.
- Queries and keys of all steps lie side by side from the start; a step fills in its own. Where they would be many,
  one map of logits takes their place.
"""

import os
import threading
from collections.abc import Callable
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nlrn.config import Config
from nlrn.correlation import Carried, LogitsInPlace, confined_attention, form_for, map_bytes
from nlrn.correlation.kernels import KERNELS
from nlrn.network import NLRN, Body, NonLocalBlock, Norms

# oneDNN, and PyTorch in front of it, keep what they prepared for a thousand convolutions of other sizes, which a
# folder of pictures fills with a gigabyte. Both read this at the first convolution; whoever has said it is heeded.
for _name in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
    os.environ.setdefault(_name, "64")

CORRELATION = "nlrn: correlation"
"""How PyTorch's profiler names the time in the non-local blocks."""
_PAD = [1, 1]


class _Step(NamedTuple):
    """The folded parameters of one step."""

    block: NonLocalBlock | None
    projections: tuple[tuple[Tensor, Tensor], ...]
    """Matrix [C, D] and bias [D] of theta, phi and g."""
    conv1: Tensor
    bias1: Tensor
    """[1, C, 3, 3]: what the first convolution adds in the corners, at the edges and inside of the image."""
    conv2: Tensor
    bias2: Tensor
    again: Tensor
    """[C, 1, 1]: the scale of y, the head's output, before the next ReLU."""


class FusedNLRN:
    """Computes what ``network.eval()`` does, with the weights that it has now, and keeps its buffers.

    Args:
        network: in evaluation mode, on the device where the copy shall run.
        dtype: float32, or bfloat16: the type of weights and features. The image stays float32.
    """

    def __init__(self, network: NLRN, dtype: torch.dtype = torch.float32) -> None:
        self.network, self.config, self.dtype = network, network.config, dtype
        self.device = network.device
        self.on_step: Callable[[int, int], None] | None = None
        """Called after each step with the number of those done and of all; what it raises ends the work."""
        self._in_use = threading.Lock()
        self._memory: dict[str, Tensor] = {}
        # a twentieth faster in fp32, a tenth in bf16
        self._accumulates = self.device.type == "cpu" and _can_accumulate(dtype)
        with torch.inference_mode():
            norms = [cast(Norms, norm) for norm in network.norms]
            self.head_norm = _affine(network.head_norm)
            self.head, self.head_bias = self._convolution(network.head)
            self.first = tuple(self._here(part) for part in _affine(norms[0].block))
            self.tail, self.tail_bias = self._convolution(network.tail)
            after = [norm.block for norm in norms[1:]] + [network.tail_norm]
            self.steps = [
                self._fold(t, cast(Body, network.bodies[self.config.group(t)]), norms[t], after[t])
                for t in range(self.config.steps)
            ]

    def _fold(self, t: int, body: Body, norms: Norms, after: nn.BatchNorm2d) -> _Step:
        (scale1, shift1), (scale2, shift2), (scale3, shift3) = map(_affine, (norms.conv1, norms.conv2, after))
        block = body.non_local if t in self.config.blocks else None
        # in float64, as PyTorch convolves float32 otherwise by one thread than by several
        shifted, weight, bias = (
            tensor.cpu().double()
            for tensor in (shift1.expand(1, -1, 3, 3), body.conv1.weight, cast(Tensor, body.conv1.bias))
        )
        around = F.conv2d(shifted, weight, bias, padding=1).to(self.device, body.conv1.weight.dtype)
        bias2 = cast(Tensor, body.conv2.bias).view(-1, 1, 1)
        return _Step(
            block,
            () if block is None else tuple(self._matrix(c) for c in _projections(block)),
            self._kernel(scale2[:, None] * body.conv1.weight * scale1),
            self._here(scale2 * around + shift2),
            self._kernel(scale3[:, None] * body.conv2.weight),
            self._here(scale3 * bias2 + shift3).flatten(),
            self._here(scale3),
        )

    def _here(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.dtype)

    def _kernel(self, weight: Tensor) -> Tensor:
        return weight.to(self.dtype, memory_format=torch.channels_last)

    def _convolution(self, conv: nn.Conv2d) -> tuple[Tensor, Tensor]:
        return self._kernel(conv.weight), self._here(cast(Tensor, conv.bias))

    def _matrix(self, conv: nn.Conv2d) -> tuple[Tensor, Tensor]:
        return self._here(conv.weight.flatten(1).T.contiguous()), self._here(cast(Tensor, conv.bias))

    @torch.inference_mode()
    def __call__(self, x: Tensor, sigma: float | Tensor | None = None, scale: int | None = None) -> Tensor:
        """As :meth:`nlrn.network.NLRN.forward`; x and the result are float32."""
        if min(x.shape[2:]) <= 2 * self.config.unshuffle:
            return cast(Tensor, self.network(x, sigma, scale=scale))  # too small to have an inside
        try:
            with self._in_use:  # there is one set of buffers
                return self._restored(x, sigma, scale)
        except torch.OutOfMemoryError:
            self._memory.clear()  # for whoever tries again with a smaller image
            raise

    def _restored(self, x: Tensor, sigma: float | Tensor | None, scale: int | None) -> Tensor:
        gain, shift = self.head_norm
        seen = self.network.seen(x, sigma) * gain + shift
        size, filters = (seen.shape[0], *seen.shape[2:]), self.config.filters
        y, features, between = (self._take(name, size, filters) for name in ("y", "features", "between"))
        seen = seen.to(self.dtype, memory_format=torch.channels_last)
        y.copy_(self._convolved(seen, self.head, self.head_bias))
        gain, shift = self.first
        torch.mul(y, gain, out=features).add_(shift).relu_()
        carried: Carried | LogitsInPlace | None = None
        for t, step in enumerate(self.steps):
            if step.block is not None:
                with torch.profiler.record_function(CORRELATION):
                    carried = self._attend(t, step, features, between, carried)
            _spread(step.bias1, between)
            self._accumulate(between, features, step.conv1, None, relu=True)
            torch.mul(y, step.again, out=features)
            self._accumulate(features, between, step.conv2, step.bias2, relu=True)
            if self.on_step:
                self.on_step(t + 1, len(self.steps))
        made = self.network.made(scale)
        residual = self._convolved(features, self.tail[made], self.tail_bias[made])
        return self.network.finished(residual, x, scale)

    def _convolved(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """By oneDNN where it is there: PyTorch asks it only from two threads on, and the bits would be others."""
        if self._accumulates:
            convolved = torch.ops.mkldnn._convolution_pointwise
            return cast(Tensor, convolved(x, weight, bias, _PAD, _PAD, _PAD, 1, "none", [], None))
        return F.conv2d(x, weight, bias, padding=1)

    def _attend(
        self, t: int, step: _Step, features: Tensor, values: Tensor, carried: Carried | LogitsInPlace | None
    ) -> Carried | LogitsInPlace | None:
        block, propagate = cast(NonLocalBlock, step.block), self.config.propagate
        if len(step.projections) != 3:
            # similarities that the paper compares with: as they are defined
            seen = features.to(block.g.weight.dtype, copy=True)  # for it may be carried on as it is
            attended, carried = block.propagate(seen, cast("Carried | None", carried) if propagate else None)
            features.copy_(attended)
            return carried
        softmax = not block.similarity.endswith("dot")
        kind = (values.shape, self.dtype, block.window)
        if (
            carried is None
            and softmax
            and _adds_up(self.config, self.dtype, self.device)
            and map_bytes(*kind, self.device)
        ):
            carried = LogitsInPlace(*kind, self._take_bytes)
        size = (features.shape[0], *features.shape[2:])
        kept = propagate and carried is None
        depth, place = self.config.embedding, self.config.blocks.index(t) if kept else 0
        places = len(self.config.blocks) if kept else 1
        q, k = (self._take(name, size, places * depth) for name in ("queries", "keys"))
        here = slice(place * depth, (place + 1) * depth)
        for (matrix, bias), into in zip(step.projections, (q[:, here], k[:, here], values), strict=True):
            torch.addmm(bias, _pixels(features), matrix, out=_pixels(into))
        if isinstance(carried, LogitsInPlace):
            carried.attend(q, k, values, features, last=t == self.config.blocks[-1])
            return carried
        known = slice(0, here.stop)
        normalize = "softmax" if softmax else "mean"
        features += confined_attention(q[:, known], k[:, known], values, block.window, normalize=normalize)
        return None

    def _accumulate(self, into: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None, *, relu: bool) -> None:
        """``into`` plus the convolution of x, then a ReLU, in place."""
        if self._accumulates:
            end = "relu" if relu else None
            torch.ops.mkldnn._convolution_pointwise_.binary(
                into, x, weight, bias, _PAD, _PAD, _PAD, 1, "add", 1.0, end, [], None
            )
            return
        into += F.conv2d(x, weight, bias, padding=1)
        if relu:
            into.relu_()

    def _take_bytes(self, count: int) -> Tensor:
        if "logits" not in self._memory or self._memory["logits"].numel() < count:
            self._memory.pop("logits", None)
            self._memory["logits"] = torch.empty(count, dtype=torch.uint8, device=self.device)
        return self._memory["logits"][:count]

    def _take(self, name: str, size: tuple[int, ...], channels: int) -> Tensor:
        """A buffer [B, C, H, W], channels_last, with whatever was in it; the same memory for the same name."""
        B, H, W = size
        needed = B * H * W * channels
        if name not in self._memory or self._memory[name].numel() < needed:
            self._memory.pop(name, None)
            self._memory[name] = torch.empty(needed, dtype=self.dtype, device=self.device)
        return self._memory[name][:needed].view(B, H, W, channels).permute(0, 3, 1, 2)


def bytes_per_pixel(config: Config, dtype: torch.dtype, device: torch.device, scale: int = 1) -> int:
    """Working memory for each pixel that the network sees, as tests/test_tiles.py measures it.

    Args:
        config, dtype, device: of the network, and how and where it runs.
        scale: how many times a network of ``post_upsampling`` enlarges.
    """
    blocks = len(config.blocks)
    depth = blocks if config.propagate else min(blocks, 1)
    embedded, logits = "embedded" in config.similarity, 0
    if _adds_up(config, dtype, device) and config.similarity.endswith("embedded-gaussian"):
        side = 512  # nearly all pixels of a large image have whole windows
        logits = map_bytes((1, config.filters, side, side), dtype, config.window, device) // side**2
    if embedded:
        depth = config.embedding * (1 if logits else depth)
        held = dtype.itemsize * (4 * config.filters + 2 * depth) + logits
    else:
        depth *= config.filters + 1
        held = dtype.itemsize * 4 * config.filters + 4 * (4 * depth + 8 * config.filters)
    # the similarities that the paper compares with are computed in float32, whatever the type
    kernel = KERNELS.get(form_for(dtype, device))
    in_place = kernel is not None and kernel.dtype == dtype and (dtype == torch.float32 or embedded)
    copied = 0 if in_place or not depth else 4 * (2 * depth + 2 * config.filters)
    if kernel is not None and kernel.packs and depth:
        copied += kernel.dtype.itemsize * (depth + -depth % 32 + config.filters)
    if device.type == "cpu" and not _can_accumulate(dtype):
        copied += dtype.itemsize * 9 * config.filters  # PyTorch's own convolution writes out what each pixel sees
    held = -(-(held + copied) // config.unshuffle**2)
    enlarged = 4 * 6 * scale**2 if config.post_upsampling else 0
    return (held + 4 * 10 * (config.channels + 1) + enlarged) * 5 // 4  # of what is freed not all can be used again


def _adds_up(config: Config, dtype: torch.dtype, device: torch.device) -> bool:
    """Whether a map of logits is quicker, also where it makes tiles smaller."""
    kernel = KERNELS.get(form_for(dtype, device))
    return config.propagate and kernel is not None and len(config.blocks) > kernel.concatenated


def _can_accumulate(dtype: torch.dtype) -> bool:
    """Whether PyTorch was built with the convolutions that add to what is there, as its own compiler uses them."""
    if not torch._C._has_mkldnn or not hasattr(torch.ops.mkldnn, "_convolution_pointwise_"):
        return False
    bf16 = dtype == torch.bfloat16 and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return dtype == torch.float32 or bf16


def _affine(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Scale and shift [C, 1, 1] of a batch norm at rest."""
    mean, var = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    scale = norm.weight / (var + norm.eps).sqrt()
    return scale.view(-1, 1, 1), (norm.bias - mean * scale).view(-1, 1, 1)


def _projections(block: NonLocalBlock) -> list[nn.Conv2d]:
    named = {"embedded-gaussian": ("theta", "phi"), "embedded-dot": ("theta", "phi")}
    named["symmetric-embedded-gaussian"] = ("theta", "theta")
    return [getattr(block, name) for name in (*named.get(block.similarity, ()), "g")]


def _pixels(x: Tensor) -> Tensor:
    """[B, C, H, W], channels_last, as the matrix [B H W, C] of the same memory."""
    return x.permute(0, 2, 3, 1).flatten(0, 2)


def _spread(around: Tensor, into: Tensor) -> None:
    """Fill an image [B, C, H, W] of any size with what an image [1, C, 3, 3] has in corners, at edges and inside."""
    cols = torch.ones(into.shape[3], dtype=torch.int64, device=into.device)
    cols[0], cols[-1] = 0, 2
    top, inside, bottom = around[0].permute(1, 2, 0)[:, cols].flatten(1)
    lines = into.permute(0, 2, 3, 1).flatten(2)  # whole lines are copied faster than pixels
    lines[:, 0], lines[:, 1:-1], lines[:, -1] = top, inside, bottom
