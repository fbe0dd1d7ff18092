"""What the page has done: pictures opened, restored whole or in pieces, explained. No web in here."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nlrn import images
from nlrn.color import Planes
from nlrn.explain import explain
from nlrn.heatmaps import draw
from nlrn.images import ImageFileError, Picture
from nlrn.kinds import colours_of, full_scale
from nlrn.models import DEFAULTS, list_models
from nlrn.network import NLRN
from nlrn.noise import estimate_sigma
from nlrn.restore import denoise, ready, upscale
from nlrn.web.order import Order
from nlrn.web.refused import RefusedError

Progress = Callable[[int, int], None]
Region = tuple[int, int, int, int]
"""Left, top, width and height, in pixels of the picture as it came."""

NEGLIGIBLE = 1.0
"""An estimated noise level below this, where white is 255, is left alone by ``nlrn denoise``."""
_SEEN_AROUND = 16  # pixels that the network sees around a piece: those beyond hardly show in it
_PIECES_KEPT = 256


@dataclass(frozen=True, eq=False)
class Page:
    """One of the pictures in a file."""

    picture: Picture
    """Its pixels lie on the disk."""
    sigma: float
    """The estimated noise level, where white is 255."""


@dataclass(frozen=True, eq=False)
class Opened:
    """A file that the page works on."""

    name: str
    pages: list[Page]

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
        self._cards: dict[str, dict[str, Any]] = list_models()
        self._tasks = {name: str(card["config"]["task"]) for name, card in self._cards.items()}
        self._tasks.update({name: network.config.task for name, network in self._own.items()})
        self.speeds: dict[tuple[str, bool], float] = {}
        """Pixels a second, counted in the result, as last measured, by model and whether the picture has colours."""

    def names(self, task: str) -> list[str]:
        """The models for a task."""
        return [name for name, its_task in self._tasks.items() if its_task == task]

    def chosen(self, order: Order, pixels: np.ndarray) -> str:
        """The name of the model that an order means for a picture."""
        return order.model or DEFAULTS[order.task, colours_of(pixels)]

    def speed(self, opened: Opened, order: Order) -> float | None:
        """Pixels a second, counted in the result, as last measured for such a picture."""
        pixels = opened.pages[0].picture.pixels
        return self.speeds.get((self.chosen(order, pixels), colours_of(pixels) > 1))

    def get(self, name: str, task: str) -> NLRN | str:
        """The network of that name, or its name where it ships.

        Raises:
            RefusedError: the page offers no such model for the task.
        """
        if name not in self.names(task):
            raise RefusedError("There is no such model on this page: choose one from the list.")
        return self._own.get(name, name)

    def network(self, name: str, task: str) -> NLRN:
        """The network of that name, on its device."""
        found = self.get(name, task)
        return ready(found, task, self.device)

    def cards(self) -> list[dict[str, Any]]:
        """What the page says of each model."""
        return [
            {"name": name, "task": task, **_described(self._cards.get(name) or _card(self._own[name]))}
            for name, task in self._tasks.items()
        ]


def _card(network: NLRN) -> dict[str, Any]:
    config = {"task": network.config.task, "channels": network.config.channels, "own": True}
    return {"config": config, "parameters": sum(p.numel() for p in network.parameters())}


def _described(card: dict[str, Any]) -> dict[str, Any]:
    config = card["config"]
    colours = "gray" if config["channels"] == 1 and config["task"] == "denoise" else "colour"
    small = card["parameters"] < 200_000
    if "own" in config:
        good = "Your own model."
    elif config["task"] == "sr":
        good = "Gray and colour pictures that came small and clean. "
        good += "The quick one." if small else "The sharper one, and slower."
    else:
        good = "Colour photographs. " if colours == "colour" else "Gray pictures: scans, microscopy, film. "
        good += "The quick one." if small else "The better one, and slower by far."
    return {"parameters": card["parameters"], "colours": colours, "good": card.get("good_for", good)}


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
        sigma = _estimate(picture.pixels)
        kept = keep(picture.pixels, place / f"page-{len(pages)}.npy")
        pages.append(Page(replace(picture, pixels=kept), sigma))
    return Opened(path.name, pages)


def keep(pixels: np.ndarray, path: Path) -> np.ndarray:
    """The same pixels on the disk."""
    np.save(path, pixels)
    kept: np.ndarray = np.load(path, mmap_mode="r")
    return kept


def restore(page: Page, order: Order, models: Models, progress: Progress | None = None) -> np.ndarray:
    """A whole picture restored, as the command line does it.

    Raises:
        RefusedError: the order cannot be carried out.
    """
    pixels = page.picture.pixels
    name = models.chosen(order, pixels)
    started = time.perf_counter()
    restored = _restored(np.asarray(pixels), order, models, order.sigma, progress)
    if order.task == "sr" or (order.sigma or page.sigma) >= NEGLIGIBLE:
        count = restored.shape[0] * restored.shape[1]
        models.speeds[name, colours_of(pixels) > 1] = count / max(1e-6, time.perf_counter() - started)
    return restored


def is_gray(page: Page) -> bool:
    """Whether a picture has no colours."""
    return colours_of(page.picture.pixels) == 1


def why_nothing(page: Page, order: Order) -> str | None:
    """Why an order leaves a picture as it is, if it does."""
    if order.task == "denoise" and order.strength == 0:
        return "Left as it is: the strength is 0."
    if order.task == "denoise" and order.sigma == 0:
        return "Left as it is: the noise level is 0."
    if order.task == "denoise" and order.sigma is None and page.sigma < NEGLIGIBLE:
        return "Left as it is: no noise to speak of was found. Set a noise level by hand to smooth it all the same."
    return None


def found(page: Page) -> str:
    """A sentence about the noise in a picture."""
    if min(page.picture.pixels.shape[:2]) < 24:
        return "Too small to tell its noise: set the level by hand."
    if page.sigma < NEGLIGIBLE:
        return f"Hardly any noise (level {page.sigma:.1f} of 255)."
    words = ((4, "A little noise"), (12, "Some noise"), (30, "Strong noise"), (75, "Very strong noise"))
    word = next((word for limit, word in words if page.sigma <= limit), "More noise than the models are made for")
    return f"{word} (level {page.sigma:.1f} of 255)."


def describe(page: Page) -> str:
    """One line: size, depth, colours, format."""
    pixels = page.picture.pixels
    depth = {"uint8": "8-bit", "uint16": "16-bit"}.get(str(pixels.dtype), "floating-point")
    kind = ("gray", "gray", "gray with alpha", "RGB", "RGB with alpha")[1 if pixels.ndim == 2 else pixels.shape[2]]
    return f"{pixels.shape[1]} x {pixels.shape[0]} pixels, {depth} {kind}, {page.picture.metadata.format}"


class Pieces:
    """Parts of pictures restored quickly, to be looked at while settings change.

    The last are remembered as the network gave them, so that another strength costs nothing.
    """

    def __init__(self, models: Models) -> None:
        self._models = models
        self._kept: OrderedDict[tuple[object, ...], np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def restore(self, page: Page, region: Region, order: Order) -> np.ndarray:
        """A part of a picture restored, nearly as in the whole.

        Raises:
            RefusedError: the region lies outside of the picture, or the order cannot be carried out.
        """
        left, top, width, height = region
        pixels = page.picture.pixels
        if not (0 <= left < left + width <= pixels.shape[1] and 0 <= top < top + height <= pixels.shape[0]):
            raise RefusedError("This part lies outside of the picture.")
        original = np.asarray(pixels[top : top + height, left : left + width])
        if why_nothing(page, order) is not None:
            return original
        key = (id(page), region, replace(order, strength=1.0))
        with self._lock:
            restored = self._kept.pop(key, None)
        if restored is None:
            restored = self._computed(page, region, replace(order, strength=1.0))
        with self._lock:
            self._kept[key] = restored
            while len(self._kept) > _PIECES_KEPT:
                self._kept.popitem(last=False)
        return blended(original, restored, order.strength) if order.task == "denoise" else restored

    def _computed(self, page: Page, region: Region, order: Order) -> np.ndarray:
        left, top, width, height = region
        pixels = page.picture.pixels
        first_row, first_col = max(0, top - _SEEN_AROUND), max(0, left - _SEEN_AROUND)
        seen = np.asarray(pixels[first_row : top + height + _SEEN_AROUND, first_col : left + width + _SEEN_AROUND])
        sigma = page.sigma if order.sigma is None else order.sigma
        restored = _restored(seen, order, self._models, min(sigma, 75.0), None)
        factor = order.scale if order.task == "sr" else 1
        row, col = (top - first_row) * factor, (left - first_col) * factor
        return restored[row : row + height * factor, col : col + width * factor].copy()


def blended(original: np.ndarray, restored: np.ndarray, strength: float) -> np.ndarray:
    """A picture restored only in part (strength below 1), or beyond what the network gave (above 1)."""
    if strength == 1 or restored is original:
        return restored
    out = np.empty_like(restored)
    full = full_scale(original.dtype)
    for row in range(0, len(out), 256):  # float copies of a large picture would need four times its memory
        rows = slice(row, row + 256)
        before = original[rows].astype(np.float32)
        mixed = before + np.float32(strength) * (restored[rows].astype(np.float32) - before)
        out[rows] = mixed if original.dtype.kind == "f" else np.floor(mixed.clip(0, full) + 0.5)
    return out


def explained(page: Page, x: int, y: int, order: Order, models: Models) -> np.ndarray:
    """The heat maps of a pixel, as one picture.

    Raises:
        RefusedError: the pixel lies outside of the picture, or the model has no neighbourhood to show.
    """
    pixels = page.picture.pixels
    network = models.network(models.chosen(order, pixels), order.task)
    sigma = page.sigma if order.sigma is None else order.sigma
    level = sigma * full_scale(pixels.dtype) / 255
    try:
        return draw(explain(network, pixels, x, y, sigma=level, scale=order.scale))
    except ValueError as error:
        raise RefusedError(_sentence(error), 422) from None


def _restored(
    pixels: np.ndarray, order: Order, models: Models, sigma: float | None, progress: Progress | None
) -> np.ndarray:
    axis = None if pixels.ndim == 2 else -1
    model = None if order.model is None else models.get(order.model, order.task)
    how: dict[str, Any] = {
        "channel_axis": axis,
        "model": model,
        "device": models.device,
        "ensemble": order.ensemble,
        "progress": progress,
    }
    try:
        if order.task == "sr":
            return upscale(pixels, order.scale, **how)
        level = None if sigma is None else sigma * full_scale(pixels.dtype) / 255
        return blended(pixels, denoise(pixels, level, **how), order.strength)
    except ValueError as error:
        raise RefusedError(_sentence(error), 422) from None


def _sentence(error: Exception) -> str:
    words = str(error)
    return words[:1].upper() + words[1:] + ("" if words.endswith(".") else ".")


def _estimate(pixels: np.ndarray) -> float:
    """The noise that ``nlrn denoise`` reports, where white is 255."""
    deep = pixels[..., None] if pixels.ndim == 2 else pixels
    colours = colours_of(pixels)
    planes = Planes(colours, colours)  # as the default models see it
    seen = deep[..., -1] > 0 if deep.shape[2] in (2, 4) else None
    if seen is not None and not seen.any():
        return 0.0
    levels = [estimate_sigma(planes.one(deep, i), seen) / gain for i, gain in enumerate(planes.gains)]
    return float(np.mean(levels)) * 255 / full_scale(pixels.dtype)
