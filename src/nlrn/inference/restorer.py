"""A task, prepared: networks loaded, on their device, in their precision and fused, once for any number of images."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from numbers import Real

import numpy as np
import torch
from torch import Tensor

from nlrn.config import DENOISE, SUPER_RESOLUTION, TASKS
from nlrn.inference.choice import BY_PLANES, PHOTO, Choice, choose, say_blocks
from nlrn.inference.device import choose_device, choose_precision, undisturbed
from nlrn.inference.enlarging import enlarged, part_of, reduced, sharp_alpha
from nlrn.inference.fused import FusedNLRN
from nlrn.inference.options import Model, Options
from nlrn.inference.photograph import restored_photograph
from nlrn.inference.ready import ready, unwrapped
from nlrn.inference.size import Size, scales_for
from nlrn.inference.tiles import Given, Progress, pieces, plan_for
from nlrn.network import NLRN
from nlrn.pixels.arrays import colours_of
from nlrn.pixels.clipping import Clipping
from nlrn.pixels.color import Planes, filled
from nlrn.pixels.levels import STRONGEST, Sigma, noise_levels
from nlrn.pixels.scene import Scene
from nlrn.pixels.tint import tint_of

_log = logging.getLogger("nlrn")


@dataclass(frozen=True)
class Found:
    """Findings about an image while it was restored."""

    model: str
    """The name or file of the model that served it; empty for a network that was passed in."""
    level: float
    """The noise, given or estimated, where white is 255 (0: left as it is); for super-resolution the scale."""


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
            self.options = replace(self.options, model=unwrapped(self.options.model))
        self.found: Found | None = None
        """About the image that was restored last."""
        self.on_step: Callable[[int, int], None] | None = None
        """Called after each step of a network, with those done and all; what it raises ends the work."""
        self._prepared: dict[Model, FusedNLRN] = {}
        choose_device(self.options.device)
        if self.options.model is not None:
            self.network(1)  # what is wrong with it is said before any work

    @undisturbed()
    def network(self, colours: int) -> FusedNLRN:
        """The network for gray images (1) or colour (3), loaded and fused when it is first asked for."""
        return self._fused(self._model(colours))

    def _fused(self, model: Model) -> FusedNLRN:
        if model not in self._prepared:
            network = ready(model, self.task.name, self.options.device)
            precision = choose_precision(self.options.precision, network.device)
            self._prepared[model] = FusedNLRN(network, precision)
        self._prepared[model].on_step = self.on_step
        return self._prepared[model]

    def _model(self, colours: int) -> Model:
        return self.task.defaults[colours] if self.options.model is None else self.options.model

    def _note(self, model: Model, level: float) -> None:
        self.found = Found("" if isinstance(model, NLRN) else str(model), level)

    @undisturbed()
    def denoise(
        self,
        pixels: np.ndarray | Scene,
        sigma: Sigma | None = None,
        progress: Progress | None = None,
        *,
        strength: float = 1.0,
        choice: Choice | None = None,
    ) -> np.ndarray:
        """[H, W, C] with the noise removed, in a new array of the same dtype.

        Where neither a sigma nor a model is given, the noise decides which model serves: the photo model, or for
        white noise one of the others.

        Args:
            pixels: uint8, uint16 or floating point; C is 1 (gray), 2 (gray, alpha), 3 or 4 (RGB, alpha). A scene
                where it has to be said what black and white are.
            sigma: the noise in the units of ``pixels``, one or one for each colour; estimated where None.
            progress: called with the number of pixels done and the number in all.
            strength: 0 to 2; 1 takes the noise to be as strong as measured or given, 0 leaves the image alone.
            choice: what :func:`nlrn.inference.choice.choose` found in the image of which this is a part.

        Raises:
            ValueError: a sigma or strength that cannot be meant, or another dtype.
        """
        assert self.task is DENOISE
        if not isinstance(strength, Real) or not 0 <= strength <= 2:
            raise ValueError(f"strength must be a number from 0 to 2, not {strength!r}")
        scene = pixels if isinstance(pixels, Scene) else Scene(pixels)
        if strength == 0:
            return scene.pixels.copy()
        _say_range(scene)
        scene.find_hot()
        choice = self._chosen(scene, sigma, choice).times(strength)
        if choice.leaves_alone:
            self._note(PHOTO, 0)
            return scene.pixels.copy()
        if choice.model and choice.tint is None:
            return self._photograph(scene, choice, progress)
        model = choice.model or self._model(1 if choice.tint is not None else scene.colours)
        network = self._fused(model)
        planes = Planes(scene.colours, network.config.channels, choice.tint)
        if choice.told.luma:
            found = [choice.told.luma]
            self._note(model, 255 * choice.levels.luma)
        else:
            found = noise_levels(scene, planes, sigma)
            told = [level / gain for level, gain in zip(found, planes.gains, strict=True)]
            self._note(model, 255 * float(np.mean(told)))
            found = [strength * level for level in found]
        levels = torch.tensor([float(np.mean(found))] if planes.together else found, dtype=torch.float32)
        noisy = [i for i, level in enumerate(levels.tolist()) if level > 0]
        # if trained for one noise level, the brightness alone is restored
        active = noisy if network.config.noise_map else [i for i in noisy if i == 0]
        out = scene.pixels.copy()
        if not active:
            _log.info("no noise to speak of: left as it is")
            return out
        clipping = Clipping(scene, planes.noise_of_colours(found)) if choice.white and active == noisy else None
        levels, contrast = _within_reach(levels[active], network)

        def read(rows: slice, cols: slice) -> Given:
            whole = planes.split(scene.tensor(rows, cols))
            return Given((whole[active] - 0.5) * contrast + 0.5 if contrast is not None else whole[active], whole)

        plan = plan_for(network, out.shape[0], out.shape[1], len(active))
        for rows, cols, restored, whole in pieces(
            network, plan, read, levels, ensemble=self.options.ensemble, progress=progress
        ):
            whole = whole.clone()
            whole[active] = (restored - 0.5) / contrast + 0.5 if contrast is not None else restored
            colours = planes.join(whole)
            if clipping:
                colours = clipping.undone(colours, rows, cols)
            out[rows, cols, : scene.colours] = scene.to_pixels(colours)
        scene.put_back(out)
        return out

    def _chosen(self, scene: Scene, sigma: Sigma | None, choice: Choice | None) -> Choice:
        """By the noise where nothing is said, else what was asked for."""
        asked = self.options.model if isinstance(self.options.model, str) else None
        if sigma is None and (asked in BY_PLANES or self.options.model is None):
            return choice or choose(scene, asked)
        # a network of three channels that was asked for is what is taken
        gray = self.options.model is None or self.network(3).config.channels == 1
        return Choice(None, tint=tint_of(scene) if gray else None)

    def _photograph(self, scene: Scene, choice: Choice, progress: Progress | None) -> np.ndarray:
        """By the photo model, luma and chroma apart."""
        assert choice.model is not None
        self._note(choice.model, 255 * choice.levels.luma)
        pixels, out = scene.seen(), scene.pixels.copy()
        source = filled(pixels[..., :-1], pixels[..., -1] > 0) if scene.has_alpha else pixels
        for rows, cols, restored in restored_photograph(
            self._fused(choice.model), source, choice.told, ensemble=self.options.ensemble, progress=progress
        ):
            out[rows, cols, : scene.colours] = scene.to_pixels(restored)
        scene.put_back(out)
        return out

    @undisturbed()
    def upscale(
        self,
        pixels: np.ndarray | Scene,
        size: Size,
        progress: Progress | None = None,
        *,
        sharpen_alpha: bool = False,
    ) -> np.ndarray:
        """[H, W, C] enlarged, in the same dtype.

        A size that is not 2, 3 or 4 times the image is made from the one above that a network makes, or several in
        turn, by bicubic reduction.

        Args:
            pixels, progress: as for :meth:`denoise`.
            size: how large the result is.
            sharpen_alpha: whether the network enlarges the transparency too, instead of bicubic interpolation.

        Raises:
            ValueError: a size that cannot be made of this image, or another dtype.
        """
        assert self.task is SUPER_RESOLUTION
        scene = pixels if isinstance(pixels, Scene) else Scene(pixels)
        if scene.has_alpha and scene.pixels.dtype.kind == "f" and not np.isfinite(scene.pixels[..., -1]).all():
            raise ValueError("the transparency contains NaN or infinite values: replace them by numbers from 0 to 1")
        _say_range(scene)
        say_blocks(scene)
        scene.find_hot()
        pixels = scene.seen()
        height, width = size.of(pixels.shape[0], pixels.shape[1])
        scales = scales_for(max(height / pixels.shape[0], width / pixels.shape[1]))
        twice = 2 if sharpen_alpha and scene.has_alpha else 1
        for turn, scale in enumerate(scales):
            network = self.network(colours_of(pixels))
            self._note(self._model(colours_of(pixels)), scale)
            turned = [progress and part_of(progress, twice * turn + i, twice * len(scales)) for i in range(twice)]
            made = enlarged(network, pixels, scale, ensemble=self.options.ensemble, progress=turned[0])
            if twice > 1:
                alpha = pixels[..., -1:]
                made[..., -1:] = sharp_alpha(
                    network, alpha, scale, ensemble=self.options.ensemble, progress=turned[1]
                )
            pixels = made
        return scene.enlarged(pixels if pixels.shape[:2] == (height, width) else reduced(pixels, height, width))


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
    return levels * contrast, contrast.view(-1, 1, 1, 1)
