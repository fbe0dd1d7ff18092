"""The table of docs/formats.md: what each format keeps is tried, and what it loses is named.

NLRN_UPDATE_DOCS=1 writes the table anew.
"""

import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from nlrn import images
from nlrn.images import Metadata, Picture, exif, photoshop
from nlrn.images.formats import FEATURES, FORMATS, Format
from nlrn.images.picture import TiffTag

DOCS = Path(__file__).parents[1] / "docs" / "formats.md"
START, END = "<!-- table -->\n", "<!-- end of table -->\n"
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
NOTES = b"camera notes whose offsets count from the start of the block"
GAMMA = (("gAMA", struct.pack(">I", 100000)), ("cICP", bytes([9, 16, 0, 1])))
RDF = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">%s'
XMP = RDF % (b'<rdf:Description dc:source="%s"/></rdf:RDF></x:xmpmeta>' % (b"long " * 20_000))
SHAPED = '{"shape": [24, 32, 3]}'


@pytest.fixture(autouse=True, scope="module")
def _no_wait_for_the_disk() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield


def smooth(channels: int, dtype: str = "uint8") -> np.ndarray:
    """[24, 32] or [24, 32, channels] that a lossy format keeps well."""
    rows, columns = np.mgrid[:24, :32]
    planes = np.stack([128 + 90 * np.sin(rows / (9 + k) + columns / (13 - k)) for k in range(channels)], -1)
    white = {"uint8": 1.0, "uint16": 257.0, "float32": 1 / 255}[dtype]
    found = (planes * white).astype(dtype)
    return found[..., 0] if channels == 1 else found


def block() -> bytes:
    made = Image.Exif()
    made[0x0132] = "2020:01:02 03:04:05"
    made.get_ifd(0x8769).update({0x927C: NOTES, 0x829A: 0.01})
    made.get_ifd(0x8825).update({1: "N", 2: (47.0, 22.0, 33.5)})
    found = exif.bare(made.tobytes())
    assert found is not None
    return found


class Trip:
    """Into a file of a format and out again."""

    def __init__(self, folder: Path, form: Format) -> None:
        self.path = folder / f"x{form.writable_endings[0]}"

    def pages(self, *pages: Picture) -> list[Picture]:
        images.write_pages(self.path, pages)
        return images.read_pages(self.path)

    def pixels(self, pixels: np.ndarray) -> np.ndarray:
        return np.asarray(self.pages(Picture(pixels))[0].pixels)

    def metadata(self, **fields: object) -> Metadata:
        told = Metadata(**{"mode": "RGB", "size": (24, 32), **fields})  # type: ignore[arg-type]
        return self.pages(Picture(smooth(3), told))[0].metadata


def close(found: np.ndarray, given: np.ndarray) -> bool:
    same = found.shape == given.shape and found.dtype == given.dtype
    return same and bool(np.abs(found.astype(float) - given).mean() <= (4 if given.dtype == np.uint8 else 0))


def keeps_extra(trip: Trip) -> bool:
    infrared = Picture(smooth(1), Metadata(extra=True))
    found = trip.pages(Picture(smooth(3)), infrared)
    return [page.metadata.extra for page in found] == [False, True] and close(found[1].pixels, infrared.pixels)


def keeps_frames(trip: Trip) -> bool:
    frames = [Picture(np.roll(smooth(3), n, 0), Metadata(duration=70.0 + 50 * n, loop=3)) for n in range(3)]
    found = [(page.metadata.duration, page.metadata.loop) for page in trip.pages(*frames)]
    return found == [(70.0, 3), (120.0, 3), (170.0, 3)]


def keeps_exif(trip: Trip) -> bool:
    found = trip.metadata(exif=block()).exif or b""
    return NOTES in found and b"2020:01:02 03:04:05" in found


def keeps_geotiff(trip: Trip) -> bool:
    tags = (TiffTag(33550, 12, 3, (10.0, 10.0, 0.0)), TiffTag(42113, 2, 0, "-9999"))
    return {tag.code: tag.value for tag in trip.metadata(tags=tags).tags} == {tag.code: tag.value for tag in tags}


def comment(keyword: str) -> Callable[[Trip], bool]:
    return lambda trip: (keyword, "Grüße") in trip.metadata(text=((keyword, "Grüße"),)).text


TRIED: dict[str, Callable[[Trip], bool]] = {
    "16 bit": lambda trip: close(trip.pixels(smooth(3, "uint16")), smooth(3, "uint16")),
    "float": lambda trip: close(trip.pixels(smooth(3, "float32")), smooth(3, "float32")),
    "gray": lambda trip: close(trip.pixels(smooth(1)), smooth(1)),
    "alpha": lambda trip: close(trip.pixels(smooth(4)), smooth(4)),
    "extra": keeps_extra,
    "pages": lambda trip: len(trip.pages(Picture(smooth(3)), Picture(smooth(1)))) == 2,
    "frames": keeps_frames,
    "CMYK": lambda trip: trip.metadata(mode="CMYK").mode == "CMYK",
    "ICC": lambda trip: trip.metadata(icc=PROFILE).icc == PROFILE,
    "gAMA": lambda trip: set(GAMMA) <= set(trip.metadata(chunks=GAMMA).chunks),
    "EXIF": keeps_exif,
    "XMP": lambda trip: trip.metadata(xmp=XMP).xmp == XMP,
    "IPTC": lambda trip: (
        photoshop.iptc(trip.metadata(photoshop=photoshop.block(0x0404, b"x" * 9)).photoshop) == b"x" * 9
    ),
    "comment": comment("Comment"),
    "text": comment("Title"),
    "dpi": lambda trip: trip.metadata(dpi=(300.0, 150.0)).dpi == pytest.approx((300, 150), abs=0.02),
    "density": lambda trip: trip.metadata(density=(10.0, 20.0)).density == (10.0, 20.0),
    "description": lambda trip: [t.value for t in trip.metadata(tags=(TiffTag(270, 2, 0, SHAPED),)).tags] == [SHAPED],
    "GeoTIFF": keeps_geotiff,
}


WRITTEN = [form for form in FORMATS if form.write is not None]


@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize("form", WRITTEN, ids=lambda form: form.name)
def test_a_format_keeps_what_the_table_says(tmp_path: Path, form: Format, feature: str) -> None:
    if form.name == "HEIF":
        pytest.importorskip("pillow_heif", exc_type=ImportError)
    lost = form.loses.get(feature, "")
    trip = Trip(tmp_path, form)
    if lost.startswith("refused"):
        with pytest.raises(images.ImageFileError, match=r"x\."):
            TRIED[feature](trip)
        assert not trip.path.exists()
    else:
        assert TRIED[feature](trip) == (not lost)


def table() -> str:
    lines = ["| | " + " | ".join(form.name for form in WRITTEN) + " |"]
    lines.append("|---" * (len(WRITTEN) + 1) + "|")
    for feature, meaning in FEATURES.items():
        cells = [form.loses.get(feature, "kept") for form in WRITTEN]
        lines.append(f"| {meaning} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def test_the_table_in_the_docs_is_that_of_the_records() -> None:
    before, rest = DOCS.read_text().split(START)
    _, after = rest.split(END)
    if os.environ.get("NLRN_UPDATE_DOCS"):
        DOCS.write_text(before + START + table() + END + after)
    assert table() in DOCS.read_text()
