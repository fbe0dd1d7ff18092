"""An image as the networks see it: which of its pixels count, and where black and white are."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from nlrn.pixels.arrays import colours_of, full_scale
from nlrn.pixels.color import filled
from nlrn.pixels.compression import compression_level
from nlrn.pixels.degrade import resize_bicubic
from nlrn.pixels.range import DataRange, outer_values, range_of


class Scene:
    """Pixels with what has to be known of them.

    Pixels that are masked, not finite, or far beyond black and white (hot ones) are not seen by the networks: their
    surroundings take their place, and what comes out of them is what went in. What is transparent is not seen either.

    Args:
        pixels: [H, W, C] of a real type; C is 1 (gray), 2 (gray, alpha), 3 or 4 (RGB, alpha).
        data_range: where black and white are; None: by the rule of :mod:`nlrn.pixels.range`.
        masked: [H, W], pixels that hold no part of the picture.
        quantization: the steps of the brightness, then those of chroma, of the JPEG that it came from.

    Raises:
        ValueError: nobody says where white is.

    >>> counts = np.linspace(100, 600, 1024).astype(np.uint16).reshape(32, 32, 1)
    >>> scene = Scene(counts)
    >>> round(scene.range.black), round(scene.range.white)
    (102, 597)
    """

    def __init__(
        self,
        pixels: np.ndarray,
        data_range: DataRange = None,
        masked: np.ndarray | None = None,
        quantization: Sequence[Sequence[int]] = (),
    ) -> None:
        self.compression = tuple(compression_level(quantization[i]) for i in (0, -1)) if quantization else ()
        """What JPEG did to the brightness and to chroma, as levels where white is 1; empty: nothing is known."""
        self.pixels, self.colours = pixels, colours_of(pixels)
        self.has_alpha = pixels.shape[2] in (2, 4)
        colour = pixels[..., : self.colours]
        self.kept = masked
        """[H, W], what is masked or not finite; None: nothing."""
        self.hot: np.ndarray | None = None
        """[H, W], what lies outside the limits, once :meth:`find_hot` has looked; None: nothing."""
        if pixels.dtype.kind == "f" and not np.isfinite(colour.sum(dtype=np.float64)):
            self._keep(~np.isfinite(colour).all(2))
        self.range = range_of(colour, data_range, self.known)
        self.limits: tuple[float, float] | None = None
        """In units of white: what lies outside is no part of the picture. None: nothing can."""
        if pixels.dtype.kind == "f" or self.range.own or data_range is not None:
            low, high = self.units(np.array(outer_values(colour, self.known)))
            margin = max(0.5, high - low)
            self.limits = float(min(0.0, low) - margin), float(max(1.0, high) + margin)

    @property
    def known(self) -> np.ndarray | None:
        """[H, W], the pixels that count; None: all."""
        visible = self.pixels[..., -1] > 0 if self.has_alpha else None
        lost = self.lost
        if lost is None:
            return visible
        return ~lost if visible is None else visible & ~lost

    @property
    def lost(self) -> np.ndarray | None:
        """[H, W], what is masked, not finite or hot; None: nothing."""
        if self.kept is None or self.hot is None:
            return self.hot if self.kept is None else self.kept
        lost: np.ndarray = self.kept | self.hot
        return lost

    def find_hot(self) -> None:
        """From here on pixels outside the limits do not count."""
        if self.limits is None:
            return
        low, high = (self.range.black + limit * self.range.span for limit in self.limits)
        colour = self.pixels[..., : self.colours]
        outside = np.any((colour < low) | (colour > high), axis=2)
        if self.kept is not None:
            outside &= ~self.kept
        if outside.any():
            self.hot = outside

    def _keep(self, more: np.ndarray) -> None:
        self.kept = more if self.kept is None else self.kept | more

    def units(self, values: np.ndarray) -> np.ndarray:
        """Numbers of the picture as float32 with black at 0 and white at 1."""
        black, white = self.range.black, self.range.white
        if black == 0 and values.dtype.itemsize <= 4:
            return values.astype(np.float32) / np.float32(white)
        return ((values.astype(np.float64) - black) / (white - black)).astype(np.float32)

    def tensor(self, rows: slice, cols: slice) -> Tensor:
        """The colours there, float32 [n, h, w] with black at 0 and white at 1, what does not count filled in."""
        piece = self.pixels[rows, cols]
        colour = piece[..., : self.colours]
        lost = None if self.lost is None else self.lost[rows, cols]
        known = piece[..., -1] > 0 if self.has_alpha else None
        if lost is not None:
            colour = np.where(lost[..., None], self._middle(), colour)
            known = ~lost if known is None else known & ~lost
        if known is not None:
            colour = filled(colour, known)
        return torch.from_numpy(np.ascontiguousarray(self.units(colour))).permute(2, 0, 1)

    def _middle(self) -> np.ndarray:
        return np.asarray((self.range.black + self.range.white) / 2).astype(self.pixels.dtype)

    def excess(self) -> Tensor:
        """The excess of hot pixels over their surroundings, as :meth:`tensor` gives these, [n, H, W]; else 0."""
        assert self.hot is not None
        colour = self.units(np.where(self.hot[..., None], self.pixels[..., : self.colours], self._middle()))
        more = torch.from_numpy(colour).permute(2, 0, 1) - self.tensor(slice(None), slice(None))
        return more * torch.from_numpy(self.hot)

    @property
    def plain(self) -> bool:
        """Whether white is that of the type, and every pixel counts that is to be seen."""
        return (
            self.lost is None
            and (self.pixels.dtype.kind == "f" or (self.pixels.dtype.itemsize <= 2 and self.pixels.dtype.kind == "u"))
            and (self.range.black, self.range.white) == (0, full_scale(self.pixels.dtype))
        )

    def seen(self) -> np.ndarray:
        """The whole image as :meth:`tensor` and its transparency give it, [H, W, C] with white by the type."""
        if self.plain:
            return self.pixels
        whole = self.tensor(slice(None), slice(None)).permute(1, 2, 0).numpy()
        if not self.has_alpha:
            return whole
        return np.concatenate([whole, self.pixels[..., -1:].astype(np.float32) / self._opaque], 2)

    def enlarged(self, large: np.ndarray) -> np.ndarray:
        """An enlarged :meth:`seen` in the numbers of the image; what is lost is enlarged without it."""
        if self.plain:
            return large
        colour = torch.from_numpy(large[..., : self.colours]).permute(2, 0, 1)
        height, width = large.shape[:2]
        if self.hot is not None:
            colour = colour + resize_bicubic(self.excess(), height, width)
        out = np.empty(large.shape, self.pixels.dtype)
        out[..., : self.colours] = self.to_pixels(colour)
        if self.has_alpha:
            alpha = large[..., -1:] * self._opaque
            out[..., -1:] = alpha if self.pixels.dtype.kind == "f" else np.floor(alpha + 0.5)
        if self.kept is not None:
            rows, cols = (np.arange(n) * m // n for n, m in zip((height, width), self.kept.shape, strict=True))
            kept = self.kept[np.ix_(rows, cols)]
            out[..., : self.colours][kept] = self.pixels[..., : self.colours][np.ix_(rows, cols)][kept]
        return out

    @property
    def _opaque(self) -> np.float32:
        try:
            full = full_scale(self.pixels.dtype)
        except ValueError:
            full = 1.0
        return np.float32(max(full, float(self.pixels[..., -1].max())))

    def to_pixels(self, colours: Tensor) -> np.ndarray:
        """[n, h, w] with black at 0 and white at 1 to [h, w, n] of the type that came in; integers are rounded, and
        clipped to black and white or to what was there beyond them."""
        values = colours.permute(1, 2, 0).numpy()
        black, span, dtype = self.range.black, self.range.span, self.pixels.dtype
        if dtype.kind == "f":
            if (black, span) == (0.0, 1.0):
                return values.astype(dtype)
            return (values.astype(np.float64) * span + black).astype(dtype)
        plain = black == 0 and dtype.itemsize <= 2
        scaled: np.ndarray = values * np.float32(span) if plain else values.astype(np.float64) * span + black
        return np.floor(scaled.clip(*self._ends()) + 0.5).astype(dtype)

    def _ends(self) -> tuple[float, float]:
        limits = np.iinfo(self.pixels.dtype)
        if (self.range.black, self.range.white) == (limits.min, limits.max):
            return self.range.black, self.range.white
        if not hasattr(self, "_clipped"):
            seen = self.pixels[..., : self.colours]
            self._clipped = (
                max(float(limits.min), min(self.range.black, float(seen.min()))),
                min(float(limits.max), max(self.range.white, float(seen.max()))),
            )
        return self._clipped

    def put_back(self, out: np.ndarray) -> None:
        """Give what is lost its values again, in a result [H, W, C]."""
        if (lost := self.lost) is not None:
            out[..., : self.colours][lost] = self.pixels[..., : self.colours][lost]
