"""Corrects what a file says of its size and scale once the picture is another one: turned, or enlarged."""

from dataclasses import replace
from typing import Any

from nlrn.images import exif
from nlrn.images.formats import tiff_tags
from nlrn.images.picture import Metadata, TiffTag

_PIXEL_IS_POINT = (1025, 2)


def turned(metadata: Metadata, height: int, width: int) -> Metadata:
    """Of a picture that was stored lying on its side, once it is upright and has this height and width."""
    tags = tuple(
        _described(tag, (width, height), (height, width), (1, 1)) if tag.code == tiff_tags.DESCRIPTION else tag
        for tag in metadata.tags
        if tag.code != tiff_tags.IJ_METADATA
    )
    return replace(
        metadata,
        dpi=metadata.dpi and metadata.dpi[::-1],
        density=metadata.density and metadata.density[::-1],
        tags=tags,
    )


def resized(metadata: Metadata, height: int, width: int, *, keep_dpi: bool = False) -> Metadata:
    """Of the picture with this height and width that was made of the one that the metadata was read with.

    Where no side is shorter than it was, the picture was enlarged, by whatever factor: it is as large as before on
    paper, under the microscope and on the map, and resolution and coordinates say so. A part that was cut out leaves
    them.

    Args:
        keep_dpi: leave the resolution in dots per inch, so that a print becomes larger.
    """
    changed = replace(metadata, size=(height, width))
    if metadata.exif:
        changed = replace(changed, exif=exif.sized(metadata.exif, height, width))
    if metadata.size is None or metadata.size == (height, width):
        return changed
    rows, columns = height / metadata.size[0], width / metadata.size[1]
    if rows < 1 or columns < 1:
        rows = columns = 1.0
    if changed.exif and not keep_dpi:
        changed = replace(changed, exif=exif.scaled(changed.exif, columns, rows))
    if metadata.dpi and not keep_dpi:
        changed = replace(changed, dpi=(metadata.dpi[0] * columns, metadata.dpi[1] * rows))
    if metadata.density:
        changed = replace(changed, density=(metadata.density[0] * columns, metadata.density[1] * rows))
    point = any(tag.code == tiff_tags.GEO_KEYS and _pixel_is_point(tag.value) for tag in metadata.tags)
    tags = []
    for tag in metadata.tags:
        if tag.code == tiff_tags.DESCRIPTION:
            tags.append(_described(tag, metadata.size, (height, width), (rows, columns)))
        elif tag.code in (tiff_tags.PIXEL_SCALE, tiff_tags.TIE_POINTS, tiff_tags.TRANSFORMATION):
            tags.append(replace(tag, value=_on_the_map(tag, rows, columns, 0.5 if point else 0.0)))
        elif tag.code != tiff_tags.IJ_METADATA:  # its regions are drawn in the old pixels
            tags.append(tag)
    chunks = tuple(
        (name, _offset(content, rows, columns) if name == "oFFs" else content) for name, content in changed.chunks
    )
    return replace(changed, tags=tuple(tags), chunks=chunks)


def _described(tag: TiffTag, old: tuple[int, int], new: tuple[int, int], scale: tuple[float, float]) -> TiffTag:
    text = tag.value if isinstance(tag.value, str) else ""
    return replace(tag, value=tiff_tags.description_of_size(text, old, new, scale), count=0)


def _pixel_is_point(keys: Any) -> bool:
    """Whether coordinates are those of the middles of pixels, by the key directory of GeoTIFF."""
    if not isinstance(keys, tuple):
        return False
    return any((keys[n], keys[n + 3]) == _PIXEL_IS_POINT for n in range(4, len(keys) - 3, 4))


def _on_the_map(tag: TiffTag, rows: float, columns: float, middle: float) -> Any:
    """The figures of GeoTIFF for pixels that are smaller by these factors."""
    if not isinstance(tag.value, tuple):
        return tag.value
    values = list(tag.value)
    if tag.code == tiff_tags.PIXEL_SCALE and len(values) >= 2:
        values[:2] = [values[0] / columns, values[1] / rows]
    elif tag.code == tiff_tags.TIE_POINTS:
        for n in range(0, len(values) - 5, 6):
            values[n] = (values[n] + middle) * columns - middle
            values[n + 1] = (values[n + 1] + middle) * rows - middle
    elif tag.code == tiff_tags.TRANSFORMATION and len(values) == 16:
        # place = matrix times (column, row, 0, 1): the old column is (new + middle) / columns - middle
        for n in range(0, 16, 4):
            across, down = values[n] / columns, values[n + 1] / rows
            values[n + 3] += (across - values[n]) * middle + (down - values[n + 1]) * middle
            values[n], values[n + 1] = across, down
    return tuple(values)


def _offset(content: bytes, rows: float, columns: float) -> bytes:
    """The place of a PNG on its page, where that is told in pixels."""
    if len(content) != 9 or content[8]:
        return content
    x, y = (int.from_bytes(content[at : at + 4], "big", signed=True) for at in (0, 4))
    moved = (round(x * columns), round(y * rows))
    return b"".join(max(-(2**31), min(value, 2**31 - 1)).to_bytes(4, "big", signed=True) for value in moved) + b"\0"
