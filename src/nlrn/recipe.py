"""What becomes of an image file, in plain values that can be sent to another process or machine."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nlrn import images
from nlrn.images import Picture
from nlrn.restore import denoise, ready, upscale
from nlrn.tiles import Progress

_WHITE = {"uint8": 255, "uint16": 65535}


@dataclass(frozen=True)
class Recipe:
    """How files are restored; the arguments are those of :func:`nlrn.denoise` and :func:`nlrn.upscale`."""

    task: Literal["denoise", "sr"]
    sigma: float | None = None
    """The noise level where white is 255, whatever the bit depth; None: estimated for each image."""
    scale: int = 0
    """2, 3 or 4 for ``sr``."""
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

    def load(self) -> "Restorer":
        """Load the model; without a name, the one for each image is chosen when it comes.

        Raises:
            ModelError: there is no such model, or it is made for another task.
            ValueError: the device is not there.
        """
        ready(self.model, self.task, self.device)
        return Restorer(self)


class Restorer:
    """A recipe whose model is there."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe

    def __call__(self, pages: list[Picture], progress: Progress) -> list[Picture]:
        """Every page of a file restored."""

        def on_page(number: int) -> Progress:
            return lambda done, total: progress(number * total + done, len(pages) * total)

        return [self._page(page, on_page(number)) for number, page in enumerate(pages)]

    def _page(self, page: Picture, progress: Progress) -> Picture:
        recipe, pixels = self.recipe, page.pixels
        axis = None if pixels.ndim == 2 else -1
        if recipe.task == "denoise":
            white = _WHITE.get(pixels.dtype.name, 1)
            restored = denoise(
                pixels,
                None if recipe.sigma is None else recipe.sigma / 255 * white,
                channel_axis=axis,
                model=recipe.model,
                device=recipe.device,
                ensemble=recipe.ensemble,
                precision=recipe.precision,
                progress=progress,
            )
        else:
            restored = upscale(
                pixels,
                recipe.scale,
                channel_axis=axis,
                model=recipe.model,
                device=recipe.device,
                ensemble=recipe.ensemble,
                precision=recipe.precision,
                progress=progress,
            )
        return Picture(restored, page.metadata)


def save(recipe: Recipe, target: Path, pages: list[Picture]) -> None:
    """Write a restored file, and the folders that lead to it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    images.write_pages(target, pages, strip_metadata=recipe.strip_metadata, quality=recipe.quality)


def count_pixels(pages: list[Picture]) -> int:
    return sum(page.pixels.shape[0] * page.pixels.shape[1] for page in pages)
