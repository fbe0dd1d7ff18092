"""What becomes of an image file, in plain values that can be sent to another process or machine."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from nlrn import images
from nlrn.images import Picture
from nlrn.inference.restorer import Options, Restorer
from nlrn.inference.size import Size
from nlrn.inference.tiles import Progress
from nlrn.pixels.arrays import in_units_of


@dataclass(frozen=True)
class Recipe:
    """How files are restored; the arguments are those of :func:`nlrn.denoise` and :func:`nlrn.upscale`."""

    task: Literal["denoise", "sr"]
    sigma: float | None = None
    """The noise level where white is 255, whatever the bit depth; None: estimated for each image."""
    scale: float | None = None
    """For ``sr``: how many times as high and wide, above 1."""
    width: int | None = None
    """For ``sr``: in pixels, instead of ``scale``."""
    height: int | None = None
    """For ``sr``: in pixels, instead of ``scale``."""
    model: str | None = None
    ensemble: bool = False
    device: str = "auto"
    precision: str = "auto"
    strip_metadata: bool = False
    """Write nothing but the pixels and the colour profile."""
    quality: int | None = None
    """1 to 100 for lossy formats; None: fine enough to lose nothing that can be seen."""

    def __post_init__(self) -> None:
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise ValueError(f"quality must be from 1 to 100, not {self.quality}")
        if self.task == "sr":
            Size(self.scale, self.width, self.height)

    def load(self) -> "PreparedRecipe":
        """Load the model; without a name, the one for each image is loaded when the first comes that needs it.

        Raises:
            ModelError: there is no such model, or it is made for another task.
            ValueError: the device is not there.
        """
        options = Options(self.model, self.ensemble, self.device, self.precision)
        return PreparedRecipe(self, Restorer(self.task, options))


@dataclass(frozen=True)
class PreparedRecipe:
    """A recipe whose model is there."""

    recipe: Recipe
    restorer: Restorer

    def __call__(self, pages: list[Picture], progress: Progress) -> list[Picture]:
        """Every page of a file restored."""

        def on_page(number: int) -> Progress:
            return lambda done, total: progress(number * total + done, len(pages) * total)

        return [
            Picture(self._restored(page.pixels, on_page(number)), page.metadata) for number, page in enumerate(pages)
        ]

    def _restored(self, pixels: np.ndarray, progress: Progress) -> np.ndarray:
        """[H, W] or [H, W, C] to as many axes."""
        recipe, planar = self.recipe, pixels.ndim == 2
        pixels = pixels[..., None] if planar else pixels
        if recipe.task == "denoise":
            sigma = in_units_of(pixels.dtype, recipe.sigma)
            restored = self.restorer.denoise(pixels, sigma, progress)
        else:
            restored = self.restorer.upscale(pixels, Size(recipe.scale, recipe.width, recipe.height), progress)
        return restored[..., 0] if planar else restored


def save(recipe: Recipe, target: Path, pages: list[Picture]) -> None:
    """Write a restored file, and the folders that lead to it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    images.write_pages(target, pages, strip_metadata=recipe.strip_metadata, quality=recipe.quality)


def count_pixels(pages: list[Picture]) -> int:
    return sum(page.pixels.shape[0] * page.pixels.shape[1] for page in pages)
