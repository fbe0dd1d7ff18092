"""An explanation as one picture: heat maps over the image, a column for each step, a row for each propagation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from nlrn.explanation.attention import Attention, Explanation

# Dark violet over red to pale yellow: equal steps of the weight look like equal steps, also in gray and to the
# colour-blind (nine colours of "inferno" by N. Smith and S. van der Walt, public domain, with lines between).
_WARM = np.array(
    [
        (0, 0, 4),
        (31, 12, 72),
        (85, 15, 109),
        (136, 34, 106),
        (186, 54, 85),
        (227, 89, 51),
        (249, 140, 10),
        (249, 201, 50),
        (252, 255, 164),
    ],
    np.float32,
)
# negative weights, which networks without softmax have: from the same dark to pale blue
_COLD = np.array([(0, 0, 4), (16, 60, 110), (40, 120, 180), (110, 185, 225), (190, 235, 255)], np.float32)
_PAPER, _INK, _FAINT, _OUTSIDE = (255, 255, 255), (32, 32, 36), (112, 112, 120), (236, 236, 240)
_GAP, _WIDEST, _LARGEST, _SMALLEST = 14, 1240, 210, 126
_DIMMED = 0.55

_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class _View:
    """The square of the image that every panel shows, and how it is enlarged."""

    explanation: Explanation
    top: int
    left: int
    side: int
    zoom: int

    def box(self, rows: slice, cols: slice) -> list[int]:
        """Where pixels of the image lie in the panel: left, top, right, bottom, the last two within."""
        return [
            (cols.start - self.left) * self.zoom,
            (rows.start - self.top) * self.zoom,
            (cols.stop - self.left) * self.zoom - 1,
            (rows.stop - self.top) * self.zoom - 1,
        ]


def draw(explanation: Explanation) -> np.ndarray:
    """The picture of an explanation, uint8 [H, W, 3].

    On the left the image: near the pixel, which is marked, and as far as it has an influence, both with the
    outline of the pixel's window. Then one heat map for each step with a non-local block, above with propagation
    and below without. Each map is scaled to its own largest weight, which is written below it.
    """
    columns = 1 + len(explanation.propagated)
    side = explanation.window + 2 * max(2, explanation.window // 5)
    room = int(np.clip(_WIDEST // columns - _GAP, _SMALLEST, _LARGEST))
    zoom = max(room // side, -(-_SMALLEST // side))
    view = _View(explanation, explanation.row - side // 2, explanation.col - side // 2, side, zoom)
    return _sheet(view)


def colours(weights: np.ndarray) -> np.ndarray:
    """Weights from -1 to 1 to colours, float32 [..., 3] from 0 to 255."""
    out = np.empty((*weights.shape, 3), np.float32)
    for table, part in ((_WARM, weights >= 0), (_COLD, weights < 0)):
        places = np.linspace(0, 1, len(table))
        for channel in range(3):
            out[part, channel] = np.interp(np.abs(weights[part]), places, table[:, channel])
    return out


def _sheet(view: _View) -> np.ndarray:
    explanation, size = view.explanation, view.side * view.zoom
    title, small = ImageFont.load_default(15), ImageFont.load_default(12)
    head, foot, scale = 46, 40, 40
    width = (1 + len(explanation.propagated)) * (size + _GAP) + _GAP
    sheet = Image.new("RGB", (width, 2 * (head + size + foot) + scale), _PAPER)
    pen = ImageDraw.Draw(sheet)
    left_column = (
        (
            "the image",
            _panel(view, None),
            "the marked pixel,",
            f"its {explanation.window} x {explanation.window} window",
        ),
        ("around it", _surroundings(explanation, size), "all that has", "an influence"),
    )
    rows = (("with propagation", explanation.propagated), ("without propagation", explanation.alone))
    for row, (name, picture, *said) in enumerate(left_column):
        top = row * (head + size + foot)
        pen.text((_GAP, top + 7), name, _INK, title)
        sheet.paste(picture, (_GAP, top + head))
        _write(pen, _GAP, top + head + size + 5, said, small)
        how, maps = rows[row]
        pen.text((2 * _GAP + size, top + 7), how, _INK, title)
        for i, attention in enumerate(maps):
            left = _GAP + (i + 1) * (size + _GAP)
            _write(pen, left, top + 26, [f"step {attention.step}"], small)
            sheet.paste(_panel(view, attention), (left, top + head))
            _write(pen, left, top + head + size + 5, _measured(attention), small)
    _draw_scale(pen, _GAP, sheet.height - scale + 4, size, small)
    words = "Bright: neighbours whose features the pixel takes in. With propagation a step adds the correlation of "
    words += "the steps before it to its own; the weights of the network are the same."
    left = 2 * _GAP + size
    _write(pen, left, sheet.height - scale + 2, _wrapped(words, small, width - left - _GAP), small)
    return np.array(sheet)


def _write(pen: ImageDraw.ImageDraw, left: int, top: int, lines: Sequence[str], font: _Font) -> None:
    for i, line in enumerate(lines):
        pen.text((left, top + 15 * i), line, _FAINT, font)


def _surroundings(explanation: Explanation, size: int) -> Image.Image:
    """All of the image that the explanation has, fitted into a square, with the outline of the window."""
    whole = Image.fromarray(_in_colour(explanation.image))
    zoom = size / max(whole.size)
    panel = Image.new("RGB", (size, size), _OUTSIDE)
    fitted = whole.resize([max(1, round(side * zoom)) for side in whole.size], Image.Resampling.BICUBIC)
    panel.paste(fitted)
    rows, cols = _window(explanation)
    box = [round(zoom * place) for place in (cols.start, rows.start, cols.stop, rows.stop)]
    ImageDraw.Draw(panel).rectangle(box, outline=(255, 255, 255), width=2)
    return panel


def _in_colour(image: np.ndarray) -> np.ndarray:
    """[h, w] or [h, w, 3] in [0, 1] to uint8 [h, w, 3]."""
    pixels = np.rint(image.clip(0, 1) * 255).astype(np.uint8)
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, 2)


def _panel(view: _View, attention: Attention | None) -> Image.Image:
    """The image around the pixel, in colour, or in dim gray under a heat map."""
    image = view.explanation.image
    rows, cols = (
        slice(max(0, start), min(size, start + view.side))
        for start, size in ((view.top, image.shape[0]), (view.left, image.shape[1]))
    )
    shown = _in_colour(image[rows, cols]).astype(np.float32)
    if attention is not None:
        shown = np.repeat(shown.mean(2, keepdims=True), 3, 2) * np.float32(_DIMMED)
        inner = shown[
            attention.rows.start - rows.start : attention.rows.stop - rows.start,
            attention.cols.start - cols.start : attention.cols.stop - cols.start,
        ]
        relative = attention.weights / max(float(np.abs(attention.weights).max()), 1e-30)
        inner += (colours(relative) - inner) * (0.4 + 0.5 * np.abs(relative[..., None]))
    small = Image.fromarray(np.rint(shown).astype(np.uint8))
    panel = Image.new("RGB", (view.side * view.zoom, view.side * view.zoom), _OUTSIDE)
    left, top = view.box(rows, cols)[:2]
    enlarged = small.resize((small.width * view.zoom, small.height * view.zoom), Image.Resampling.NEAREST)
    panel.paste(enlarged, (left, top))
    pen = ImageDraw.Draw(panel)
    pen.rectangle(view.box(*_window(view.explanation)), outline=(255, 255, 255))
    at = view.explanation
    left, top, right, bottom = view.box(slice(at.row, at.row + 1), slice(at.col, at.col + 1))
    pen.rectangle([left - 2, top - 2, right + 2, bottom + 2], outline=(0, 0, 0))
    pen.rectangle([left - 1, top - 1, right + 1, bottom + 1], outline=(90, 255, 120))
    return panel


def _window(explanation: Explanation) -> tuple[slice, slice]:
    first = explanation.propagated[0]
    return first.rows, first.cols


def _measured(attention: Attention) -> list[str]:
    """The largest weight, and the number of pixels over which the weights spread: 1 if one has all."""
    size = np.abs(attention.weights)
    spread = float(size.sum() ** 2 / max(float(np.square(size).sum()), 1e-30))
    largest = float(attention.weights.flat[size.argmax()])
    return [
        f"largest {largest:.3g}" if largest < 0 else f"largest {largest:.1%}",
        f"over {spread:.0f} of {size.size} pixels",
    ]


def _draw_scale(pen: ImageDraw.ImageDraw, left: int, top: int, width: int, font: _Font) -> None:
    for x in range(width):
        colour = colours(np.array([x / (width - 1)]))[0]
        pen.line([left + x, top, left + x, top + 10], fill=tuple(int(c) for c in colour))
    pen.text((left, top + 14), "0", _FAINT, font)
    said = "largest of its map" if width > 150 else "largest"
    pen.text((left + width - pen.textlength(said, font), top + 14), said, _FAINT, font)


def _wrapped(text: str, font: _Font, width: int) -> list[str]:
    """The text in lines of so many pixels."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) > width and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
