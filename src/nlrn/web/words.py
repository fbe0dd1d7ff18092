"""Sentences about a picture, as the page says them."""

from nlrn.inference.choice import JPEG, PHOTO
from nlrn.pixels.compression import quality_of
from nlrn.web.work import NEGLIGIBLE, Page


def found(page: Page) -> str:
    """A sentence about the noise in a picture."""
    if min(page.picture.pixels.shape[:2]) < 24:
        return "Too small to tell its noise: set the level by hand."
    level = page.level
    if level == 0:
        return f"Hardly any noise (level {min(page.sigma, NEGLIGIBLE):.1f} of 255)."
    if page.choice.model == JPEG:
        return f"Blocks and rings of JPEG (quality about {quality_of(page.choice.levels.luma):.0f})."
    words = ((4, "A little"), (12, "Some"), (30, "Strong"), (75, "Very strong"))
    word = next((word for limit, word in words if level <= limit), "Very strong")
    blotches = 255 * page.choice.levels.chroma
    kind = "grain of a camera" if page.choice.model == PHOTO else "noise"
    more = f" and blotches of colour ({blotches:.1f})" if blotches >= NEGLIGIBLE else ""
    return f"{word} {kind} (level {level:.1f} of 255){more}."


def describe(page: Page) -> str:
    """One line: size, depth, colours, format."""
    pixels = page.picture.pixels
    depth = {"uint8": "8-bit", "uint16": "16-bit"}.get(str(pixels.dtype), "floating-point")
    kind = ("gray", "gray", "gray with alpha", "RGB", "RGB with alpha")[1 if pixels.ndim == 2 else pixels.shape[2]]
    return f"{pixels.shape[1]} x {pixels.shape[0]} pixels, {depth} {kind}, {page.picture.metadata.format}"
