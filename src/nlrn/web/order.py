"""Orders: what a person asks the page to do with a picture, read from what a browser sends."""

from dataclasses import dataclass
from typing import Any

from nlrn.config import SCALES, TASKS, Task
from nlrn.web.refused import RefusedError

MOST_SIGMA, MOST_STRENGTH = 75.0, 2.0
FACTORS = (1.5, *SCALES, 8)
"""By which the page enlarges; 1.5 is 2 reduced, 8 is 4 and then 2."""


@dataclass(frozen=True)
class Order:
    """One thing to do with a picture."""

    task: str
    """"denoise" or "sr", as in the configuration of a network."""
    model: str | None = None
    """A name that the page offers; None: the one that suits the picture."""
    sigma: float | None = None
    """The noise level, where white is 255; None: as estimated."""
    strength: float = 1.0
    """How many times as strong the noise is taken to be, 0 to 2; for denoising."""
    scale: float = 2
    """For enlarging."""
    ensemble: bool = False
    """Mean over eight flips and turns."""

    @property
    def of(self) -> Task:
        """The task, as a record."""
        return TASKS[self.task]

    @property
    def factor(self) -> float:
        """The height and width of the result, in those of the picture."""
        return self.scale if self.of.enlarges else 1


def order_of(value: Any) -> Order:
    """The order in a decoded JSON object.

    Raises:
        RefusedError: something in it is missing, or of another kind.
    """
    if not isinstance(value, dict):
        raise RefusedError("The settings must be an object.")
    task = value.get("task")
    if not (isinstance(task, str) and task in TASKS):
        raise RefusedError(f"The task must be {' or '.join(TASKS)}.")
    model, scale = value.get("model"), value.get("scale", 2)
    if not (model is None or isinstance(model, str)):
        raise RefusedError("The model must be a name.")
    if isinstance(scale, bool) or scale not in FACTORS:
        raise RefusedError(f"The scale must be one of {', '.join(map(str, FACTORS))}.")
    if not isinstance(value.get("ensemble", False), bool):
        raise RefusedError("The mean of eight must be on or off.")
    sigma = None if value.get("sigma") is None else number(value, "sigma", 0, MOST_SIGMA)
    if TASKS[task].enlarges:  # the other settings have no part in it, and must not tell two results apart
        return Order(task, model, scale=scale, ensemble=value.get("ensemble", False))
    strength = number({"strength": 1.0, **value}, "strength", 0, MOST_STRENGTH)
    return Order(task, model, sigma, strength, ensemble=value.get("ensemble", False))


def number(value: dict[str, Any], name: str, least: float, most: float) -> float:
    """A number in an object, within bounds.

    Raises:
        RefusedError: it is missing, no number, or outside.
    """
    given = value.get(name)
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        raise RefusedError(f"{name} must be a number.")
    if not least <= given <= most:  # NaN is not, either
        raise RefusedError(f"{name} must be from {least:g} to {most:g}.")
    return float(given)


def whole_number(value: dict[str, Any], name: str, least: int, most: int) -> int:
    """As :func:`number`, without a fraction."""
    given = value.get(name)
    if isinstance(given, bool) or not isinstance(given, int):
        raise RefusedError(f"{name} must be a whole number.")
    return int(number(value, name, least, most))
