"""A task, prepared: networks loaded, on their device, in their precision and fused, once for any number of images."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nlrn import cards, models
from nlrn.device import choose_device, choose_precision, undisturbed
from nlrn.errors import ModelError
from nlrn.inference.fused import FusedNLRN
from nlrn.inference.tiles import Given, Plan, Progress, make_plan, pieces
from nlrn.network import NLRN
from nlrn.pixels.color import FILL_REACH, Planes
from nlrn.pixels.degrade import resize_bicubic, rgb_to_ycbcr, ycbcr_to_rgb
from nlrn.pixels.gray import noise_is_gray
from nlrn.pixels.levels import STRONGEST, Sigma, noise_levels, scale_of
from nlrn.pixels.scene import Scene
from nlrn.tasks import DENOISE, SUPER_RESOLUTION, TASKS

SCALES = (2, 3, 4)
# input pixels around a piece that its enlargement needs to be the same as that of the whole image
_BICUBIC_MARGIN = 3
_log = logging.getLogger("nlrn")

Model = NLRN | str | Path


@dataclass(frozen=True)
class Options:
    """How networks run, whatever they do."""

    model: Model | None = None
    """The name of a model that ships, a file or folder, or a network; None: the one that serves each image."""
    ensemble: bool = False
    """Mean over the eight flips and turns; eight times slower, slightly better."""
    device: "str | torch.device" = "auto"
    """ "auto", "cpu", "cuda", "mps" or a device of torch; a network that is passed in stays where it is."""
    precision: str = "auto"
    """ "auto", "fp32" or "bf16"."""


class Restorer:
    """Restores images one after another, with the same networks.

    Args:
        task: "denoise" or "sr", as in the configuration of a network.
        options: how it is done.

    Raises:
        ModelError: the model cannot be loaded, or is made for another task.
        ValueError: the device is not there.

    >>> import numpy as np
    >>> restorer = Restorer("denoise")
    >>> restorer.denoise(np.full((32, 32, 1), 128, np.uint8), 20).shape
    (32, 32, 1)
    """

    def __init__(self, task: str, options: Options | None = None) -> None:
        self.task, self.options = TASKS[task], options or Options()
        if self.options.model is not None:
            self.options = replace(self.options, model=_unwrapped(self.options.model))
        self._prepared: dict[Model, FusedNLRN] = {}
        choose_device(self.options.device)
        if self.options.model is not None:
            self.network(1)  # what is wrong with it is said before any work

    @undisturbed()
    def network(self, colours: int) -> FusedNLRN:
        """The network for gray images (1) or colour (3), loaded and fused when it is first asked for."""
        model = self.task.defaults[colours] if self.options.model is None else self.options.model
        if model not in self._prepared:
            network = ready(model, self.task.name, self.options.device)
            precision = choose_precision(self.options.precision, network.device)
            self._prepared[model] = FusedNLRN(network, precision)
        return self._prepared[model]

    @undisturbed()
    def denoise(
        self, pixels: np.ndarray | Scene, sigma: Sigma | None = None, progress: Progress | None = None
    ) -> np.ndarray:
        """[H, W, C] with the noise removed, in a new array of the same dtype.

        Args:
            pixels: uint8, uint16 or floating point; C is 1 (gray), 2 (gray, alpha), 3 or 4 (RGB, alpha). A scene
                where it has to be said what black and white are.
            sigma: the noise in the units of ``pixels``, one or one for each colour; estimated where None.
            progress: called with the number of pixels done and the number in all.

        Raises:
            ValueError: a sigma that cannot be meant, or another dtype.
        """
        assert self.task is DENOISE
        scene = pixels if isinstance(pixels, Scene) else Scene(pixels)
        _say_range(scene)
        # a network of three channels that was asked for is what is taken
        asked_for_colour = self.options.model is not None and self.network(3).config.channels == 3
        alike = not asked_for_colour and noise_is_gray(scene)
        network = self.network(1 if alike else scene.colours)
        planes = Planes(scene.colours, network.config.channels)
        found = noise_levels(scene, planes, sigma, alike=alike)
        if alike:
            _log.info("the noise is the same in all colours: the brightness is restored")
        levels = torch.tensor([float(np.mean(found))] if planes.together else found, dtype=torch.float32)
        active = [i for i, level in enumerate(levels.tolist()) if level > 0]
        if not network.config.noise_map:
            active = [i for i in active if i == 0]  # trained for one noise level: the brightness alone is restored
        out = scene.pixels.copy()
        if not active:
            _log.info("no noise to speak of: left as it is")
            return out
        scene.find_hot()
        levels, contrast = _within_reach(levels[active], network)

        def read(rows: slice, cols: slice) -> Given:
            whole = planes.split(scene.tensor(rows, cols))
            return Given((whole[active] - 0.5) * contrast + 0.5 if contrast is not None else whole[active], whole)

        plan = _plan(network, out.shape[0], out.shape[1], len(active))
        for rows, cols, restored, whole in pieces(
            network, plan, read, levels, ensemble=self.options.ensemble, progress=progress
        ):
            whole = whole.clone()
            whole[active] = (restored - 0.5) / contrast + 0.5 if contrast is not None else restored
            out[rows, cols, : scene.colours] = scene.to_pixels(planes.join(whole))
        scene.put_back(out)
        return out

    @undisturbed()
    def upscale(self, pixels: np.ndarray | Scene, scale: int, progress: Progress | None = None) -> np.ndarray:
        """[H, W, C] to [H * scale, W * scale, C], in the same dtype.

        Args:
            pixels, progress: as for :meth:`denoise`.
            scale: 2, 3 or 4.

        Raises:
            ValueError: another scale or dtype.
        """
        assert self.task is SUPER_RESOLUTION
        scale = scale_of(scale, SCALES)
        scene = pixels if isinstance(pixels, Scene) else Scene(pixels)
        _say_range(scene)
        scene.find_hot()
        height, width, channels = scene.pixels.shape
        network, colours = self.network(scene.colours), scene.colours
        out = np.empty((height * scale, width * scale, channels), scene.pixels.dtype)

        def read(rows: slice, cols: slice) -> Given:
            ycbcr = rgb_to_ycbcr(_enlarged(scene, scene.tensor, rows, cols, scale).expand(3, -1, -1))
            return Given(ycbcr[None, :1], ycbcr)

        plan = _plan(network, height * scale, width * scale, 1)
        for rows, cols, luma, ycbcr in pieces(
            network, plan, read, None, ensemble=self.options.ensemble, progress=progress
        ):
            rgb = ycbcr_to_rgb(torch.cat([luma[0], ycbcr[1:]]))[:colours]
            if scene.hot is not None:  # those are enlarged by bicubic
                rgb = rgb + _enlarged(scene, scene.excess, rows, cols, scale)
            out[rows, cols, :colours] = scene.to_pixels(rgb)
            if scene.has_alpha:
                alpha = _enlarged(scene, scene.alpha, rows, cols, scale)
                out[rows, cols, colours:] = scene.alpha_to_pixels(alpha)
        scene.put_back(out, scale)
        return out


@undisturbed()
def restore(
    network: FusedNLRN,
    x: Tensor,
    sigma: Tensor | float | None = None,
    *,
    ensemble: bool = False,
    progress: Progress | None = None,
) -> Tensor:
    """Run a network over whole images, tiled where they are large.

    Args:
        network: fused, on its device.
        x: [B, C, H, W] in [0, 1], as the network takes it: for super-resolution enlarged already.
        sigma: the noise level, one for all or [B], in the units of x.
        ensemble, progress: as for :class:`Restorer`.

    Returns:
        [B, C, H, W], not clipped.
    """
    out = torch.empty_like(x)
    levels = None if sigma is None else torch.as_tensor(sigma, dtype=torch.float32).expand(x.shape[0])

    def read(rows: slice, cols: slice) -> Given:
        return Given(x[:, :, rows, cols], x[:, :, rows, cols])

    plan = _plan(network, x.shape[2], x.shape[3], x.shape[0])
    for rows, cols, restored, _ in pieces(network, plan, read, levels, ensemble=ensemble, progress=progress):
        out[:, :, rows, cols] = restored
    return out


def ready(model: Model, task: str, device: "str | torch.device" = "auto") -> NLRN:
    """The network for a task, on its device; a network that is passed in stays where it is.

    Raises:
        ModelError: there is no such model, or it is made for another task.
        ValueError: the device is not there.
    """
    model = _unwrapped(model)
    network = model if isinstance(model, NLRN) else models.load(model).to(choose_device(device))
    if network.config.task != task:
        fitting = [name for name, card in cards.list_models().items() if card["config"]["task"] == task]
        named = "the network" if isinstance(model, NLRN) else model
        raise ModelError(f"{named} is made for {network.config.task}, not {task}; for that: {', '.join(fitting)}")
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]  # torch's stub


def _unwrapped(model: object) -> Model:
    """The network in what torch.compile, DataParallel and DistributedDataParallel make of it."""
    while not isinstance(model, NLRN) and isinstance(model, torch.nn.Module):
        inner = getattr(model, "_orig_mod", getattr(model, "module", None))
        if inner is None:
            break
        model = inner
    if not isinstance(model, (NLRN, str, Path)):
        raise ModelError(f"a model is a name, a file or a network of nlrn, not {type(model).__name__}")
    return model


def _enlarged(scene: Scene, tensor: Callable[[slice, slice], Tensor], rows: slice, cols: slice, scale: int) -> Tensor:
    """The rows and columns, counted in the result, of the bicubic enlargement of what ``tensor`` gives, [n, h, w]."""
    margin = _BICUBIC_MARGIN + (FILL_REACH if scene.known is not None else 0)
    top, left = (max(0, s.start // scale - margin) for s in (rows, cols))
    bottom, right = (
        min(-(-s.stop // scale) + margin, length)
        for s, length in zip((rows, cols), scene.pixels.shape[:2], strict=True)
    )
    piece = tensor(slice(top, bottom), slice(left, right))
    whole = resize_bicubic(piece, piece.shape[1] * scale, piece.shape[2] * scale)
    return whole[
        :,
        rows.start - top * scale : rows.stop - top * scale,
        cols.start - left * scale : cols.stop - left * scale,
    ]


def _say_range(scene: Scene) -> None:
    if scene.range.own:
        _log.info("black is %g and white %g here, the ends of the picture", scene.range.black, scene.range.white)


def _within_reach(levels: Tensor, network: FusedNLRN) -> tuple[Tensor, Tensor | None]:
    """Noise levels that the network knows, and the contrasts [B, 1, 1, 1] that images need for them; None for all."""
    strongest = STRONGEST / 255
    if not network.config.noise_map or levels.max() <= strongest:
        return levels, None
    contrast = (strongest / levels).clamp(max=1)
    _log.info(
        "noise above %g, where white is 255, is more than the networks know: restored at %.0f %% of the contrast",
        STRONGEST,
        100 * contrast.min(),
    )
    return (levels * contrast), contrast.view(-1, 1, 1, 1)


def _plan(network: FusedNLRN, height: int, width: int, images: int) -> Plan:
    return make_plan(network.config, height, width, images=images, device=network.device, precision=network.dtype)
