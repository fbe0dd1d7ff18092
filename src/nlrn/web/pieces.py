"""Parts of pictures, restored or explained while somebody looks at them."""

import time
from collections import OrderedDict
from dataclasses import replace

import numpy as np

from nlrn.explanation.attention import explain
from nlrn.explanation.heatmaps import draw
from nlrn.inference.choice import BY_PLANES, Choice
from nlrn.inference.restorer import Restorer
from nlrn.inference.size import scales_for
from nlrn.pixels.arrays import colours_of
from nlrn.pixels.levels import STRONGEST, WEAKEST
from nlrn.web.order import Order
from nlrn.web.refused import RefusedError
from nlrn.web.work import Models, Page, Progress, as_found, restored_by, sentence, why_nothing

Region = tuple[int, int, int, int]
"""Left, top, width and height, in pixels of the picture as it came."""

_AROUND, _AROUND_PLANES = 16, 40  # pixels that the network sees around a piece: those beyond hardly show in it
_UNIT = 4  # pieces begin at multiples of this, so that networks unshuffle the same squares as in the whole
_KEPT_BYTES = 256 << 20
_RESTORERS_KEPT = 6


class Pieces:
    """Parts of pictures restored quickly, to be looked at while settings change.

    The last are remembered, so that settings that were tried before cost nothing.
    """

    def __init__(self, models: Models) -> None:
        self._models = models
        self._kept: OrderedDict[tuple[object, ...], np.ndarray] = OrderedDict()
        self._found: dict[tuple[int, str | None], Choice | None] = {}
        self._restorers: OrderedDict[Order, Restorer] = OrderedDict()

    def restore(self, page: Page, region: Region, order: Order, progress: Progress | None = None) -> np.ndarray:
        """A part of a picture restored, nearly as in the whole.

        Args:
            progress: called between the steps of the network; what it raises ends the work.

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
        key = (page.number, region, order)
        restored = self._kept.pop(key, None)
        if restored is None:
            restored = self._computed(page, region, order, progress)
        self._kept[key] = restored
        while sum(piece.nbytes for piece in self._kept.values()) > _KEPT_BYTES:
            self._kept.popitem(last=False)
        return restored

    def _computed(self, page: Page, region: Region, order: Order, progress: Progress | None) -> np.ndarray:
        left, top, width, height = region
        pixels = page.picture.pixels
        around = _AROUND_PLANES if self._models.chosen(order, page) in BY_PLANES else _AROUND
        first_row, first_col = (max(0, at - around) // _UNIT * _UNIT for at in (top, left))
        seen = np.asarray(pixels[first_row : top + height + around, first_col : left + width + around])
        order, choice = self._as_found(page, order)
        restorer = self._restorer(order)
        restorer.on_step = progress
        started = time.perf_counter()
        restored = restored_by(restorer, seen, page.range, order, choice=choice)
        factor = order.factor
        if self._models.speed(order, page) is None:  # that of a whole picture is better known
            self._models.measured(order, page, restored.shape[0] * restored.shape[1], time.perf_counter() - started)
        row, col, height, width = (round(factor * n) for n in (top - first_row, left - first_col, height, width))
        return restored[row : row + height, col : col + width].copy()

    def _as_found(self, page: Page, order: Order) -> tuple[Order, Choice | None]:
        """An order for a part of a picture: what was found in the whole holds there."""
        if not order.of.estimated or order.sigma is not None:
            return order, None
        asked = page.number, order.model
        if asked not in self._found:
            self._found[asked] = as_found(page, order)
        choice = self._found[asked]
        if choice is not None and (choice.model or choice.tint is not None or any(choice.told)):
            return order, choice
        return replace(order, sigma=min(page.sigma, STRONGEST)), None

    def _restorer(self, order: Order) -> Restorer:
        key = Order(order.task, order.model, ensemble=order.ensemble)
        restorer = self._restorers.pop(key, None) or self._models.restorer(order)
        self._restorers[key] = restorer
        if len(self._restorers) > _RESTORERS_KEPT:
            self._restorers.popitem(last=False)
        return restorer

    def explain(self, page: Page, x: int, y: int, order: Order) -> np.ndarray:
        """The heat maps of a pixel, as one picture.

        Raises:
            RefusedError: the pixel lies outside of the picture, or the model has no neighbourhood to show.
        """
        pixels = page.picture.pixels
        serving = order if order.of.enlarges else replace(order, model=self._models.chosen(order, page))
        network = self._restorer(serving).network(colours_of(pixels)).network
        sigma = page.level if order.sigma is None else order.sigma
        level = page.range.in_units(0.0 if sigma < WEAKEST else min(sigma, STRONGEST))
        try:
            return draw(explain(network, pixels, x, y, sigma=level, scale=scales_for(order.scale)[0]))
        except ValueError as error:
            raise RefusedError(sentence(error), 422) from None
