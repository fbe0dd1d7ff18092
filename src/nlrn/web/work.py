"""Does the work of the page: opens pictures, restores them whole or in pieces, explains. No web in here."""

import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from nlrn import images
from nlrn.errors import UserError
from nlrn.images import ImageFileError, Picture
from nlrn.inference.choice import BY_PLANES, Choice, choose
from nlrn.inference.options import Options
from nlrn.inference.restorer import Restorer
from nlrn.inference.size import Size
from nlrn.models.cards import list_models
from nlrn.network import NLRN
from nlrn.pixels.arrays import colours_of
from nlrn.pixels.levels import estimated_sigma
from nlrn.pixels.range import Range
from nlrn.pixels.scene import Scene
from nlrn.web.order import Order
from nlrn.web.refused import RefusedError
from nlrn.web.views import shown

Progress = Callable[[int, int], None]

NEGLIGIBLE = 1.0
"""An estimated noise level below this, where white is 255, is left alone by ``nlrn denoise``."""


_PIECE = 400_000  # pixels, about, of a piece that a picture is restored in
_PARTS = 1_000_000  # that a progress is told in


@dataclass(frozen=True, eq=False)
class Page:
    """One of the pictures in a file."""

    picture: Picture
    """Its pixels lie on the disk."""
    range: Range
    """Where black and white are in them."""
    sigma: float
    """The noise level as if it were white, where white is 255."""
    choice: Choice
    """The kind of noise, and so the model that serves."""
    overview: np.ndarray
    """The whole as a screen shows it, uint8 [h, w, 3]."""
    reduction: int
    """By how much the overview is reduced."""
    number: int = field(default_factory=itertools.count(1).__next__)
    """Another for each page that was ever opened."""

    @property
    def level(self) -> float:
        """The noise that was found, where white is 255; 0 where it is none to speak of."""
        if self.choice.model is None and self.choice.tint is None:
            return self.sigma if self.sigma >= NEGLIGIBLE else 0.0
        return 255 * self.choice.levels.luma


@dataclass(frozen=True, eq=False)
class Opened:
    """A file that the page works on."""

    path: Path
    pages: list[Page]

    @property
    def name(self) -> str:
        """Of the file that came."""
        return self.path.name

    @property
    def pixels(self) -> int:
        """Of all pages."""
        return sum(page.picture.pixels.shape[0] * page.picture.pixels.shape[1] for page in self.pages)


class Models:
    """The networks that the page offers, by name; no other name is ever looked up.

    Args:
        own: further networks beside those that ship, by the name that the page shows.
        device: where all of them run.
    """

    def __init__(self, own: Mapping[str, NLRN] | None = None, device: str = "auto") -> None:
        self._own = dict(own or {})
        self.device = device
        self._tasks = {name: str(card["config"]["task"]) for name, card in list_models().items()}
        self._tasks.update({name: network.config.task for name, network in self._own.items()})
        self._speeds: dict[tuple[str, int, bool], float] = {}

    def names(self, task: str) -> list[str]:
        """The models for a task."""
        return [name for name, its_task in self._tasks.items() if its_task == task]

    def chosen(self, order: Order, page: Page) -> str:
        """The name of the model that an order means for a picture."""
        if order.model is None and order.of.estimated and order.sigma is None and page.choice.model:
            return page.choice.model
        return order.model or order.of.defaults[colours_of(page.picture.pixels)]

    def check(self, order: Order) -> None:
        """Raise a RefusedError if the page has no model of the name in an order for its task."""
        if order.model is not None and order.model not in self.names(order.task):
            raise RefusedError("There is no such model on this page: choose one from the list.")

    def restorer(self, order: Order) -> Restorer:
        """The restorer for an order. It has buffers of its own, and works for one thread at a time.

        Raises:
            RefusedError: the page has no such model for the task.
        """
        self.check(order)
        model = None if order.model is None else self._own.get(order.model, order.model)
        return Restorer(order.task, Options(model=model, ensemble=order.ensemble, device=self.device))

    def measured(self, order: Order, page: Page, count: int, seconds: float) -> None:
        """So many pixels, counted in the result, took so long."""
        self._speeds[self._kind(order, page)] = count / max(1e-6, seconds)

    def speed(self, order: Order, page: Page) -> float | None:
        """Pixels a second, counted in the result, as last measured for such an order and picture."""
        return self._speeds.get(self._kind(order, page))

    def _kind(self, order: Order, page: Page) -> tuple[str, int, bool]:
        return self.chosen(order, page), colours_of(page.picture.pixels), order.ensemble


def open_picture(path: Path, place: Path) -> Opened:
    """Read an uploaded file and estimate its noise.

    Args:
        place: a folder where the pixels are kept, so that a page of many pictures needs no more memory than of one.

    Raises:
        RefusedError: it is no picture that can be read; it says so of the name alone, not of where it is kept here.
    """
    try:
        pictures = images.read_pages(path)
    except ImageFileError as error:
        raise RefusedError(str(error).replace(f"{path.parent}/", ""), 422) from None
    pages: list[Page] = []
    while pictures:
        picture = pictures.pop(0)  # not all of them in memory twice
        scene = whole(picture)
        sigma, choice = _estimated(scene), choose(scene)
        kept = keep(picture.pixels, place / f"page-{len(pages)}.npy")
        overview, reduction = shown(kept, span=scene.range)
        overview = keep(overview, place / f"overview-{len(pages)}.npy")
        pages.append(Page(replace(picture, pixels=kept), scene.range, sigma, choice, overview, reduction))
    return Opened(path, pages)


def deep(pixels: np.ndarray) -> np.ndarray:
    """[H, W] or [H, W, C] as [H, W, C]."""
    return pixels[..., None] if pixels.ndim == 2 else pixels


def whole(picture: Picture) -> Scene:
    """A picture as it is looked at."""
    scene = Scene(deep(np.asarray(picture.pixels)), quantization=picture.metadata.quantization)
    scene.find_hot()
    return scene


def _estimated(scene: Scene) -> float:
    if scene.has_alpha and not scene.pixels[..., -1].any():
        return 0.0  # there is nothing to be seen
    return estimated_sigma(scene)


def keep(pixels: np.ndarray, path: Path) -> np.ndarray:
    """The same pixels on the disk."""
    np.save(path, pixels)
    kept: np.ndarray = np.load(path, mmap_mode="r")
    return kept


def restore(page: Page, order: Order, models: Models, progress: Progress | None = None) -> np.ndarray:
    """A whole picture restored, as the command line does it.

    Args:
        progress: called with what is done and all there is to do, every few seconds at most; what it raises ends
            the work.

    Raises:
        RefusedError: the order cannot be carried out.
    """
    pixels = np.asarray(page.picture.pixels)
    started = time.perf_counter()
    restorer = models.restorer(order)
    if progress is not None:
        progress = _by_steps(restorer, order, pixels, progress)
    restored = restored_by(restorer, pixels, page.range, order, progress, as_found(page, order))
    models.measured(order, page, restored.shape[0] * restored.shape[1], time.perf_counter() - started)
    return restored


def _by_steps(restorer: Restorer, order: Order, pixels: np.ndarray, progress: Progress) -> Progress:
    """A progress of pieces, between which the steps of the network are told too: a large piece takes minutes.

    How large a piece is and how many steps it takes is guessed until the first is done.
    """
    piece, steps = min(1.0, _PIECE / (pixels.shape[0] * pixels.shape[1])), 0
    before, now = 0.0, 0

    def tell(share: float) -> None:
        with torch.inference_mode(False):  # another job may load its network in between
            progress(round(share * _PARTS), _PARTS)

    def on_step(step: int, of: int) -> None:
        nonlocal now
        now += 1
        tell(before + piece * min(1.0, now / (steps or of * (8 if order.ensemble else 1))) * 0.999)

    def on_piece(done: int, total: int) -> None:
        nonlocal before, piece, steps, now
        steps, now = now, 0
        before, piece = done / total, min(done / total - before, 1 - done / total)
        tell(before)

    restorer.on_step = on_step
    return on_piece


def is_gray(page: Page) -> bool:
    """Whether a picture has no colours."""
    return colours_of(page.picture.pixels) == 1


def as_found(page: Page, order: Order) -> Choice | None:
    """The findings about a picture and its file, for orders that go by that; None for the others."""
    if not order.of.estimated or order.sigma is not None or order.model not in (None, *BY_PLANES):
        return None
    return page.choice if order.model in (None, page.choice.model) else choose(whole(page.picture), order.model)


def why_nothing(page: Page, order: Order) -> str | None:
    """Why an order leaves a picture as it is, if it does."""
    if order.strength == 0:
        return "Left as it is: the strength is 0."
    if order.sigma == 0:
        return "Left as it is: the noise level is 0."
    if order.of.estimated and order.sigma is None and _finds_nothing(page, order):
        return "Left as it is: no noise to speak of was found. Set a noise level by hand to smooth it all the same."
    return None


def _finds_nothing(page: Page, order: Order) -> bool:
    if order.model is None:
        return page.choice.leaves_alone or page.level == 0
    return order.model not in BY_PLANES and page.sigma < NEGLIGIBLE


def restored_by(
    restorer: Restorer,
    pixels: np.ndarray,
    span: Range,
    order: Order,
    progress: Progress | None = None,
    choice: Choice | None = None,
) -> np.ndarray:
    """[H, W] or [H, W, C] restored, to as many axes.

    Args:
        span: where black and white are.
        choice: what was found in the picture, or in the one of which this is a part.

    Raises:
        RefusedError: the order cannot be carried out.
    """
    scene = Scene(deep(pixels), span)
    try:
        if order.of.enlarges:
            restored = restorer.upscale(scene, Size(order.scale), progress)
        else:
            sigma = span.in_units(order.sigma)
            restored = restorer.denoise(scene, sigma, progress, strength=order.strength, choice=choice)
    except (ValueError, UserError) as error:
        raise RefusedError(sentence(error), 422) from None
    return restored[..., 0] if pixels.ndim == 2 else restored


def sentence(error: Exception) -> str:
    """The message of an error as a sentence."""
    words = str(error)
    return words[:1].upper() + words[1:] + ("" if words.endswith(".") else ".")
