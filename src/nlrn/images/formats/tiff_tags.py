"""Reads the metadata in the tags of a TIFF."""

import json
import logging
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nlrn.images import exif, photoshop, xmp
from nlrn.images.directories import FOLDERS
from nlrn.images.picture import Metadata, TiffTag

if TYPE_CHECKING:
    import tifffile

# Where no log is set up, tifffile's remarks on odd tags would be printed.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

DESCRIPTION = 270
IJ_METADATA = 50839
PIXEL_SCALE, TIE_POINTS, TRANSFORMATION, GEO_KEYS = 33550, 33922, 34264, 34735
ORIENTATION = exif.ORIENTATION
_X, _Y, _UNIT, _XMP, _ICC, _IPTC, _PHOTOSHOP = 282, 283, 296, 700, 34675, 33723, 34377
_CENTIMETRE, _NO_UNIT = 3, 1

# What the first directory of a TIFF says about the picture as such, and not about how its pixels are stored:
# names, description, camera, program, date, people, rights, captions, rating, position.
DESCRIPTIVE = frozenset(
    {
        *(269, DESCRIPTION, 271, 272, 285, 286, 287, 297, 305, 306, 315, 316, 18246, 18249, 33432),
        # exposure, as TIFF/EP has it here and not in a folder
        *(33434, 33437, 34850, 34855, 36867, *range(37377, 37387)),
        *(40091, 40092, 40093, 40094, 40095, *FOLDERS),
    }
)
# What only programs for maps and microscopes look for, and only in a TIFF.
_OWN = {PIXEL_SCALE, TIE_POINTS, TRANSFORMATION, GEO_KEYS, 34736, 34737, 42112, 42113, 50844, IJ_METADATA}


def metadata_of(page: "tifffile.TiffPage", data: bytes) -> Metadata:
    """All of a page, the orientation still in the EXIF block."""

    def value(code: int) -> Any:
        tag = page.tags.get(code)
        return None if tag is None else tag.value

    icc, packet, caption, blocks = value(_ICC), value(_XMP), value(DESCRIPTION), value(_PHOTOSHOP)
    resolution = _resolution(value(_X), value(_Y))
    unit = value(_UNIT)
    dpi = density = None
    if resolution and unit in (None, 2, _CENTIMETRE):
        scale = 2.54 if unit == _CENTIMETRE else 1.0
        dpi = (scale * resolution[0], scale * resolution[1])
    elif resolution:
        density = resolution
    own = set(_OWN)
    if isinstance(caption, str) and is_of_a_program(caption):
        own.add(DESCRIPTION)
    packet = bytes(packet) if isinstance(packet, bytes) else None
    resources = photoshop.kept(blocks if isinstance(blocks, bytes) else None)
    record = value(_IPTC)
    if photoshop.iptc(resources) is None and isinstance(record, bytes):
        resources = photoshop.block(photoshop.IPTC, record) + (resources or b"")
    return Metadata(
        format="TIFF",
        icc=icc if isinstance(icc, bytes) else None,
        # the tag decides, and is set upright with the pixels
        xmp=xmp.upright(packet) if ORIENTATION in page.tags else packet,
        dpi=dpi,
        density=density,
        exif=exif.gathered(data, page.offset, DESCRIPTIVE - own),
        photoshop=resources,
        tags=tuple(
            TiffTag(tag.code, int(tag.dtype), tag.count, tag.value)
            for tag in page.tags
            if tag.code in own and not (tag.code == IJ_METADATA and not isinstance(tag.value, dict))
        ),
    )


def is_of_a_program(description: str) -> bool:
    """Whether a description is one that ImageJ, OME or tifffile reads again: it tells the shape of the pixels."""
    return description.startswith(("ImageJ=", '{"shape":')) or "<OME " in description[:2000]


def description_of_size(
    description: str, old: tuple[int, int], new: tuple[int, int], scale: tuple[float, float]
) -> str:
    """A program's description that tells another height and width.

    Args:
        description: of ImageJ (which tells neither), OME or tifffile.
        old, new: height and width.
        scale: by how much rows and columns were multiplied, 1 where the size changed in another way.
    """
    if description.startswith('{"shape":'):
        return _shaped(description, old, new)
    if description.startswith("ImageJ="):
        return description

    def physical(found: re.Match[str]) -> str:
        return f"{found[1]}{float(found[3]) / scale[0 if found[2] == 'Y' else 1]:.12g}{found[4]}"

    told = re.sub(
        r"(\sSize([XY])=[\"'])(\d+)([\"'])",
        lambda found: f"{found[1]}{new[0 if found[2] == 'Y' else 1]}{found[4]}",
        description,
    )
    return re.sub(r"(\sPhysicalSize([XY])=[\"'])([0-9.eE+-]+)([\"'])", physical, told)


def still_described(metadata: Metadata, shape: tuple[int, ...], pages: int) -> Metadata:
    """The metadata less a program's description that is not one of a file of so many pages of that shape.

    Programs would look for planes that are not there, and fail to open the file at all.
    """
    caption = next((tag.value for tag in metadata.tags if tag.code == DESCRIPTION), "")
    told = metadata.pages == pages
    if told and caption.startswith('{"shape":'):
        told = _shape_in(caption)[-len(shape) :] == list(shape)
    if told or not caption:
        return metadata
    return replace(metadata, tags=tuple(tag for tag in metadata.tags if tag.code not in (DESCRIPTION, IJ_METADATA)))


def _shape_in(description: str) -> list[int]:
    """The shape in tifffile's JSON; empty where there is none."""
    try:
        return [int(side) for side in json.loads(description)["shape"]]
    except (ValueError, TypeError, KeyError):
        return []


def _shaped(description: str, old: tuple[int, int], new: tuple[int, int]) -> str:
    """tifffile's JSON, whose shape has height and width somewhere."""
    shape = _shape_in(description)
    if not shape:
        return description
    for place in reversed(range(len(shape) - 1)):
        if (shape[place], shape[place + 1]) == old:
            shape[place : place + 2] = new
            break
    # the planes that lay behind one directory have one each now
    told = {key: value for key, value in json.loads(description).items() if key != "truncated"}
    return json.dumps({**told, "shape": shape})


def _resolution(x: Any, y: Any) -> tuple[float, float] | None:
    """Both figures, which are fractions; None where one of them makes no sense."""
    if not (isinstance(x, tuple) and isinstance(y, tuple) and len(x) == len(y) == 2 and x[1] and y[1]):
        return None
    found = (x[0] / x[1], y[0] / y[1])
    return found if min(found) > 0 else None
