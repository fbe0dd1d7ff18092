"""The size that an image shall have, and the scale of a network that gets it there. Nothing here needs torch."""

from dataclasses import dataclass
from itertools import combinations_with_replacement
from math import prod
from numbers import Real

from nlrn.config import SCALES

LARGEST = 16
"""Times that an image can be enlarged."""


@dataclass(frozen=True)
class Size:
    """The size of an enlarged image, said in one of several ways.

    Raises:
        ValueError: it is said in none of them, in two that may contradict each other, or with numbers that no
            enlarged image can have.

    >>> Size(scale=1.5).of(100, 201)
    (150, 302)
    >>> Size(width=640).of(100, 200)
    (320, 640)
    """

    scale: float | None = None
    """So many times the height and width of the image, above 1 and at most 16."""
    width: int | None = None
    """In pixels; the height follows where it is not given."""
    height: int | None = None
    """In pixels; the width follows where it is not given."""

    def __post_init__(self) -> None:
        sides = [side for side in (self.width, self.height) if side is not None]
        if (self.scale is None) == (not sides):
            raise ValueError("the size of the result is its scale, or its width, its height or both")
        for side in (self.scale, self.width, self.height):
            if side is not None and (not isinstance(side, Real) or isinstance(side, bool)):
                raise ValueError(f"scale, width and height are numbers, not {side!r}")
        if self.scale is not None and not 1 < self.scale <= LARGEST:
            raise ValueError(f"scale must be above 1 and at most {LARGEST}, not {self.scale:g}")
        if any(side < 1 or side % 1 for side in sides):
            raise ValueError(f"width and height are whole numbers above 0, not {', '.join(map(str, sides))}")
        for name in ("width", "height"):
            side = getattr(self, name)
            object.__setattr__(self, name, None if side is None else int(side))

    def __str__(self) -> str:
        """As names of files tell it: x2, 640w, 480h or 640x480."""
        if self.scale is not None:
            return f"x{self.scale:g}"
        if self.width is None or self.height is None:
            return f"{self.height}h" if self.width is None else f"{self.width}w"
        return f"{self.width}x{self.height}"

    def of(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of what an image of that height and width becomes.

        Raises:
            ValueError: it would be smaller, or more than 16 times as large.
        """
        if self.scale is not None:
            wanted = round(height * self.scale), round(width * self.scale)
        elif self.width is None:
            assert self.height is not None
            wanted = self.height, round(width * self.height / height)
        else:
            wanted = self.height or round(height * self.width / width), self.width
        if not (height <= wanted[0] <= LARGEST * height and width <= wanted[1] <= LARGEST * width):
            raise ValueError(
                f"an image of {width} x {height} cannot be enlarged to {wanted[1]} x {wanted[0]}: both sides must "
                f"stay or grow, up to {LARGEST} times"
            )
        return wanted


def scales_for(factor: float) -> tuple[int, ...]:
    """The scales, one after another, that enlarge by the least that is at least ``factor``; of several, the fewest.

    >>> scales_for(2), scales_for(1.5), scales_for(8), scales_for(5)
    ((2,), (2,), (4, 2), (3, 2))
    """
    ways = (way for turns in (1, 2) for way in combinations_with_replacement(sorted(SCALES, reverse=True), turns))
    return min((way for way in ways if prod(way) >= factor), key=lambda way: (prod(way), len(way)))
