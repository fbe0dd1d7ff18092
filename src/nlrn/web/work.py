"""What the page asks for: open a picture, restore it into a file, show it, compare models. No web in here."""

import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from nlrn import images
from nlrn.batch import UsageError
from nlrn.config import TASKS
from nlrn.images import ImageFileError, Picture
from nlrn.inference.restore import denoise, upscale
from nlrn.inference.restorer import ready
from nlrn.inference.tiles import Progress
from nlrn.models.cards import list_models
from nlrn.network import NLRN
from nlrn.pixels.arrays import colours_of, full_scale
from nlrn.pixels.color import Planes
from nlrn.pixels.noise import estimate_sigma

MAX_BYTES = 200 * 2**20
"""The largest file that is taken."""
MAX_PIXELS = 24_000_000
"""The largest picture, and the largest that one is enlarged to."""
_LONGEST_SHOWN = 2400
_COMPARED = 640
"""The largest side of what all models are run on: the slowest would take an hour for a photograph in colour."""


@dataclass(frozen=True, eq=False)
class Opened:
    """A picture that the page works on."""

    name: str
    """The name of its file."""
    picture: Picture
    sigma: float
    """The estimated noise level, where white is 255."""

    @property
    def height(self) -> int:
        return int(self.picture.pixels.shape[0])

    @property
    def width(self) -> int:
        return int(self.picture.pixels.shape[1])


@dataclass(frozen=True)
class Order:
    """What to do with a picture."""

    task: str
    """"denoise" or "sr", as in the configuration of a network."""
    model: str
    """A name from :func:`models_for`."""
    sigma: float | None = None
    """The noise level, where white is 255; estimated where None."""
    scale: int = 2
    ensemble: bool = False


@dataclass(frozen=True, eq=False)
class Restored:
    """A picture as restored, in memory and in a file."""

    path: Path
    pixels: np.ndarray
    seconds: float


class Models:
    """The networks that the page offers, by name; no other name is ever looked up.

    Args:
        own: further networks beside those that ship, by the name that the page shows.
        device: where all of them run.
    """

    def __init__(self, own: Mapping[str, NLRN], device: str = "auto") -> None:
        self._own = dict(own)
        self._device = device
        self._tasks = {name: str(card["config"]["task"]) for name, card in list_models().items()}
        self._tasks.update({name: network.config.task for name, network in own.items()})

    def names(self, task: str) -> list[str]:
        """The models for a task."""
        return [name for name, its_task in self._tasks.items() if its_task == task]

    def get(self, name: str, task: str) -> NLRN:
        """The network of that name.

        Raises:
            UsageError: the page offers no such model for the task.
        """
        if name not in self.names(task):
            raise UsageError("There is no such model on this page; choose one from the list.")
        return self._own[name] if name in self._own else ready(name, task, self._device)


def open_picture(path: Path) -> Opened:
    """Read an uploaded file and estimate its noise.

    Raises:
        UsageError: it is no picture that can be read, or a larger one than the page takes.
    """
    if path.stat().st_size > MAX_BYTES:
        raise UsageError(f"{path.name} has more than {MAX_BYTES >> 20} MB. {_elsewhere(path.name)}")
    try:
        picture = images.read(path)
    except ImageFileError as error:
        # the user knows the name of the file, not where it is kept here
        raise UsageError(str(error).replace(str(path), path.name)) from None
    height, width = picture.pixels.shape[:2]
    _refuse_large(path.name, height * width, "has")
    return Opened(path.name, picture, _estimate(picture.pixels))


def describe(opened: Opened) -> str:
    """One line: size, depth, colours, format."""
    pixels = opened.picture.pixels
    depth = {"uint8": "8-bit", "uint16": "16-bit"}.get(str(pixels.dtype), "floating-point")
    kind = ("gray", "gray", "gray with alpha", "RGB", "RGB with alpha")[1 if pixels.ndim == 2 else pixels.shape[2]]
    return f"{opened.width} x {opened.height} pixels, {depth} {kind}, {opened.picture.metadata.format}"


def restore(opened: Opened, order: Order, models: Models, folder: Path, progress: Progress | None = None) -> Restored:
    """Restore a picture into a file, with the code of the command line: same pixels, same metadata.

    Args:
        folder: where the file is written; its format is that of the upload, or PNG where that cannot be written.

    Raises:
        UsageError: the order cannot be carried out.
    """
    network, pixels = models.get(order.model, order.task), opened.picture.pixels
    axis = None if pixels.ndim == 2 else -1
    started = time.perf_counter()
    try:
        if order.task == "denoise":
            sigma = None if order.sigma is None else order.sigma * full_scale(pixels.dtype) / 255
            done = denoise(
                pixels, sigma, channel_axis=axis, model=network, ensemble=order.ensemble, progress=progress
            )
        else:
            _refuse_large(opened.name, opened.height * opened.width * order.scale**2, "would become")
            done = upscale(
                pixels, order.scale, channel_axis=axis, model=network, ensemble=order.ensemble, progress=progress
            )
        seconds = time.perf_counter() - started
        path = folder / file_name(opened, order)
        images.write(path, done, like=opened.picture)
    except ImageFileError as error:
        raise UsageError(str(error).replace(str(folder) + "/", "")) from None
    except ValueError as error:
        raise UsageError(f"{str(error)[:1].upper()}{str(error)[1:]}.") from None
    return Restored(path, done, seconds)


def file_name(opened: Opened, order: Order) -> str:
    """What the restored file is called."""
    name = Path(opened.name)
    suffix = name.suffix if name.suffix.lower() in images.WRITABLE else ".png"
    return f"{name.stem}-{'denoised' if order.task == 'denoise' else f'x{order.scale}'}{suffix}"


def default_model(opened: Opened | None, task: str) -> str:
    """The model that the command line takes for the picture where none is named."""
    return TASKS[task].defaults[3 if opened is None else colours_of(opened.picture.pixels)]


def command(opened: Opened, order: Order) -> str:
    """The command that makes the same file."""
    words = ["nlrn", "denoise" if order.task == "denoise" else "upscale", _quoted(opened.name)]
    words += ["-o", _quoted(file_name(opened, order))]
    if order.task == "sr":
        words += ["--scale", str(order.scale)]
    elif order.sigma is not None:
        words += ["--sigma", f"{order.sigma:g}"]
    if order.model != default_model(opened, order.task):
        words += ["--model", _quoted(order.model)]
    return " ".join(words + ["--ensemble"] * order.ensemble)


def shown(pixels: np.ndarray, size: tuple[int, int] | None = None) -> Image.Image:
    """A picture for the screen: 8-bit RGB on white, reduced where it is very large.

    Args:
        pixels: [H, W] or [H, W, C] of any depth.
        size: width and height to enlarge it to by bicubic interpolation, before that.
    """
    deep = pixels[..., None] if pixels.ndim == 2 else pixels
    values = np.rint(deep.astype(np.float32) * (255 / full_scale(pixels.dtype))).clip(0, 255)
    if deep.shape[2] in (2, 4):
        alpha = values[..., -1:] / 255
        values = values[..., :-1] * alpha + 255 * (1 - alpha)
    image = Image.fromarray(np.broadcast_to(values, (*values.shape[:2], 3)).astype(np.uint8))
    target = _size_shown(*(size or image.size))
    if target == image.size:
        return image
    return image.resize(target, Image.Resampling.BICUBIC if size else Image.Resampling.BOX)


def pixel_at(opened: Opened, x: float, y: float) -> tuple[int, int]:
    """Column and row of the pixel that :func:`shown` has at a place."""
    across, down = _size_shown(opened.width, opened.height)
    return int(x * opened.width / across), int(y * opened.height / down)


def save_shown(image: Image.Image, path: Path) -> Path:
    """Write a picture for the screen, without loss and quickly."""
    image.save(path, "PNG", compress_level=1)
    return path


def compare(
    opened: Opened, order: Order, models: Models, folder: Path, progress: Callable[[str, float], None]
) -> list[tuple[Path, str]]:
    """The picture as it came, then through all models of a task; pictures for the screen, each with its caption.

    Of a large picture it is the middle.

    Args:
        order: what to do; its model is passed over.
        progress: called with the name of the model at work and the share of the whole that is done.
    """
    part = _middle(opened)
    factor = order.scale if order.task == "sr" else 1
    size = (part.width * factor, part.height * factor)
    before = shown(part.picture.pixels, size if factor > 1 else None)
    names = models.names(order.task)
    caption = "bicubic enlargement" if factor > 1 else "the picture as it came"
    caption += f": its middle, {part.width} x {part.height} pixels" if part is not opened else ""
    pictures = [(save_shown(before, folder / "before.png"), caption)]
    for i, name in enumerate(names):

        def report(done: int, total: int, i: int = i, name: str = name) -> None:
            progress(name, (i + done / total) / len(names))

        progress(name, i / len(names))
        one = Order(order.task, name, order.sigma, order.scale, order.ensemble)
        restored = restore(part, one, models, folder, report)
        parameters = sum(p.numel() for p in models.get(name, order.task).parameters())
        path = save_shown(shown(restored.pixels), folder / f"{i}.png")
        pictures.append((path, f"{name}: {parameters:,} parameters, {restored.seconds:.1f} s"))
        restored.path.unlink()
    return pictures


def _middle(opened: Opened) -> Opened:
    pixels = opened.picture.pixels
    if max(pixels.shape[:2]) <= _COMPARED:
        return opened
    top, left = (max(0, side - _COMPARED) // 2 for side in pixels.shape[:2])
    part = pixels[top : top + _COMPARED, left : left + _COMPARED]
    return replace(opened, picture=replace(opened.picture, pixels=part))


def _estimate(pixels: np.ndarray) -> float:
    """The noise that ``nlrn denoise`` reports, where white is 255."""
    deep = pixels[..., None] if pixels.ndim == 2 else pixels
    colours = colours_of(pixels)
    planes = Planes(colours, colours)  # as the default models see it
    levels = [estimate_sigma(planes.one(deep, i)) / gain for i, gain in enumerate(planes.gains)]
    return float(np.mean(levels)) * 255 / full_scale(pixels.dtype)


def _size_shown(width: int, height: int) -> tuple[int, int]:
    shrink = min(1.0, _LONGEST_SHOWN / max(width, height))
    return max(1, round(width * shrink)), max(1, round(height * shrink))


def _refuse_large(name: str, pixels: int, what: str) -> None:
    if pixels > MAX_PIXELS:
        raise UsageError(
            f"{name} {what} {pixels / 1e6:.0f} megapixels; this page takes up to {MAX_PIXELS / 1e6:.0f}. "
            f"{_elsewhere(name)}"
        )


def _elsewhere(name: str) -> str:
    return f"The command line has no such limit: nlrn denoise {_quoted(name)} -o restored/"


def _quoted(word: str) -> str:
    return shlex.quote(word)
