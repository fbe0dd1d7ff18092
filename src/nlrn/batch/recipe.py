"""The recipe by which image files are restored, in plain values that can be sent to another process or machine.

The record is there without torch; what carries it out imports what it needs.
"""

import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from nlrn.batch.job import Restored
from nlrn.config import TASKS, Task
from nlrn.inference.options import Options
from nlrn.inference.size import Size

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from nlrn.batch.job import Job
    from nlrn.batch.places import Folders
    from nlrn.images import Picture
    from nlrn.inference.restorer import Restorer
    from nlrn.inference.tiles import Progress
    from nlrn.pixels.scene import Scene


@dataclass(frozen=True)
class Recipe(Options):
    """Restores files. Each field is a flag of ``nlrn denoise``, ``nlrn upscale`` or, without "task", of both.

    >>> Recipe("denoise", sigma=12, device="cpu").model is None
    True
    """

    task: Literal["denoise", "sr"]
    sigma: float | None = field(default=None, metadata={"task": "denoise"})
    """Noise level, where white is 255, whatever the bit depth; estimated for each image if not given."""
    strength: float = field(default=1.0, metadata={"task": "denoise"})
    """0 to 2: 1 takes the noise to be as strong as measured or given, 0 leaves the image alone."""
    scale: float | None = field(default=None, metadata={"task": "sr"})
    """How many times as high and wide: 2, 3, 4, 1.5 ... up to 16."""
    width: int | None = field(default=None, metadata={"task": "sr"})
    """Of the result in pixels, instead of --scale; without --height the shape is kept."""
    height: int | None = field(default=None, metadata={"task": "sr"})
    """Of the result in pixels, instead of --scale; without --width the shape is kept."""
    sharpen_alpha: bool = field(default=False, metadata={"task": "sr"})
    """Have the network enlarge the transparency too, for as sharp an edge, in up to twice the time."""
    strip_metadata: bool = False
    """Write nothing but the pixels and the colour profile."""
    keep_dpi: bool = field(default=False, metadata={"task": "sr"})
    """Keep the dots per inch, and not the size on paper."""
    quality: int | None = None
    """1 to 100 for JPEG, WebP, AVIF and HEIC; default so that nothing visible is lost."""
    white: float | None = None
    """What white is in the numbers of the files; default 255 in 8 bits, 65535 in 16 and 1 in floating point, or the
    ends of a picture of 16 bits or floating point that lies beyond that, or takes a quarter of it or less."""
    black: float | None = None
    """What black is, with --white; default 0."""

    def __post_init__(self) -> None:
        if self.black is not None and self.white is None:
            raise ValueError("black is given with white, or not at all")
        if self.white is not None and not self.white > (self.black or 0):
            raise ValueError(f"white must be more than black, not {self.white:g}")
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise ValueError(f"quality must be from 1 to 100, not {self.quality}")
        if not 0 <= self.strength <= 2:
            raise ValueError(f"strength must be from 0 to 2, not {self.strength:g}")
        if self.of.enlarges:
            self.size  # noqa: B018  # said before any work

    @property
    def of(self) -> Task:
        """The task, as a record."""
        return TASKS[self.task]

    @property
    def size(self) -> Size:
        """The size of results, where images are enlarged."""
        return Size(self.scale, self.width, self.height)

    @property
    def data_range(self) -> tuple[float, float] | None:
        """Black and white, where they are said."""
        return None if self.white is None else (self.black or 0, self.white)

    @property
    def suffix(self) -> str:
        """Put behind the name of a result where nothing else is said."""
        return self.of.suffix.format(self.size) if self.of.enlarges else self.of.suffix

    def load(self) -> "PreparedRecipe":
        """Load the model; without a name, the one for each image is loaded when the first comes that needs it.

        Raises:
            ModelError: there is no such model, or it is made for another task.
            ValueError: the device is not there.
        """
        from nlrn.inference.restorer import Restorer

        return PreparedRecipe(self, Restorer(self.task, self))


@dataclass(frozen=True)
class PreparedRecipe:
    """A recipe whose model is there."""

    recipe: Recipe
    restorer: "Restorer"

    def __call__(self, pages: "Sequence[Picture]", progress: "Progress") -> Restored:
        """Every page of a file restored."""
        from nlrn.images import Picture
        from nlrn.pixels.arrays import are_same

        started, restored, levels, model = time.perf_counter(), [], [], ""

        def on_page(number: int) -> "Progress":
            return lambda done, total: progress(number * total + done, len(pages) * total)

        for number, page in enumerate(pages):
            restored.append(Picture(self._restored(page, on_page(number)), page.metadata))
            found = self.restorer.found
            if found is not None:
                levels.append(found.level)
                model = found.model
        level, seconds = sum(levels) / max(1, len(levels)), time.perf_counter() - started
        untouched = all(are_same(page.pixels, made.pixels) for page, made in zip(pages, restored, strict=True))
        return Restored(restored, level, model, seconds, untouched)

    def _restored(self, page: "Picture", progress: "Progress") -> "np.ndarray":
        """[H, W] or [H, W, C] to as many axes."""
        from nlrn.pixels.scene import Scene

        pixels, planar = page.pixels, page.pixels.ndim == 2
        scene = Scene(
            pixels[..., None] if planar else pixels,
            self.recipe.data_range,
            quantization=page.metadata.quantization,
        )
        work = upscale if self.recipe.of.enlarges else denoise
        restored = work(self.restorer, self.recipe, scene, progress)
        return restored[..., 0] if planar else restored


def denoise(restorer: "Restorer", recipe: Recipe, scene: "Scene", progress: "Progress") -> "np.ndarray":
    """[H, W, C] with the noise removed as a recipe says."""
    return restorer.denoise(scene, scene.range.in_units(recipe.sigma), progress, strength=recipe.strength)


def upscale(restorer: "Restorer", recipe: Recipe, scene: "Scene", progress: "Progress") -> "np.ndarray":
    """[H, W, C] enlarged as a recipe says."""
    return restorer.upscale(scene, recipe.size, progress, sharpen_alpha=recipe.sharpen_alpha)


def read(recipe: Recipe, job: "Job") -> "list[Picture]":
    """The pages of a file, once it is sure, as far as it shows before the work, that the result can be written.

    Raises:
        ImageFileError: it cannot be read, or its like cannot be written where it goes.
        ValueError: the size that is asked for cannot be made of it.
    """
    from nlrn import images
    from nlrn.batch import places, streams

    if not streams.is_stream(job.target):
        places.check(job.target)
    if job.source == streams.STDIN:
        pages = images.decode_pages(streams.read_stdin(), "standard input")
    else:
        pages = images.read_pages(job.source)
    size = recipe.size.of if recipe.of.enlarges else None
    images.check_writable(streams.name_of(job, pages), pages, size)
    return pages


def save(recipe: Recipe, job: "Job", made: Restored, folders: "Folders") -> None:
    """Write a restored file, and the folders that lead to it.

    Raises:
        ImageFileError: it cannot be written.
    """
    from nlrn import images
    from nlrn.batch import originals, streams

    name = streams.name_of(job, made.pages)
    if _stays(recipe, job, made, name):
        data = job.source.read_bytes()
    else:
        how = {field: getattr(recipe, field) for field in ("strip_metadata", "keep_dpi", "quality")}
        data = images.encode_pages(name, made.pages, **how)
    if streams.is_stream(job.target):
        streams.write(job.target, data)
        return
    folders.make(job.target.parent)
    with nullcontext() if job.backup is None else originals.kept(job.target, job.backup):
        images.put(job.target, data)


def _stays(recipe: Recipe, job: "Job", made: Restored, name: "Path") -> bool:
    """Whether the file itself is the result: nothing in it was changed, and to write it anew would lose something."""
    from nlrn import images
    from nlrn.batch.streams import is_stream

    asked = recipe.strip_metadata or recipe.quality is not None
    return made.untouched and not asked and not is_stream(job.source) and images.loses(name, made.pages)
