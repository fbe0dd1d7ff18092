"""Reading TIFF: tifffile, then Pillow for what it has no decoder for, and OpenCV for what is deeper than 8 bits."""

import io
import struct
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image, TiffImagePlugin

from nlrn.images import cmyk, directories, exif
from nlrn.images.alpha import straight
from nlrn.images.formats import opencv, pillow, tiff_tags
from nlrn.images.formats.record import Source
from nlrn.images.limits import MAX_PAGES, check_pages
from nlrn.images.picture import ImageFileError, Metadata, Picture, mode_of

Array = npt.NDArray[np.generic]

# The most that a byte can stand for with no compression, LZW and deflate (which has two numbers).
_LARGEST_RATIO = {1: 1, 5: 4096, 8: 1100, 32946: 1100}
_PREDICTED = (5, 8, 32946)  # LZW and deflate: for these OpenCV knows what a predictor is
_GRAY, _RGB, _PALETTE, _SEPARATED = (0, 1), 2, 3, 5  # photometric interpretations; 0 is gray with white at zero
_ASSOCIATED, _UNASSOCIATED = 1, 2


def read(source: Source) -> list[Picture]:
    """Every page as it is stored; of a page with channels that are no alpha, these follow as gray pictures.

    Raises ImageFileError for what the user can change, and whatever the decoders raise on damaged files.
    """
    data, name = source.data, source.name
    form = directories.layout(data)
    if form is None:
        raise ValueError("the file ends early")
    count = len(directories.chain(data, form, MAX_PAGES))
    check_pages(name, count)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        pages = {
            number: page
            for number in range(count)
            if isinstance(page := file.pages[number], tifffile.TiffPage) and not page.is_reduced
        }
        if not pages:
            raise ValueError("it holds no image")
        if len(pages) > 1 and not source.several:
            raise ImageFileError(f"{name} has several pages: save each of them as a TIFF of its own.")
        source.check(max(page.imagewidth for page in pages.values()), sum(p.imagelength for p in pages.values()))
        for page in pages.values():
            _refuse_unfit(page, data, name)
        # only what is not compressed can lie behind a directory that does not tell of it
        if not file.is_ome and file.pages.first.compression == 1 and not file.pages.first.is_reduced:
            planes = _planes_of_one_directory(file, source, len(pages))
            if planes is not None:
                return planes
        decoder = _Decoder(_with_orientation_1(data, list(pages.values()), file.byteorder), name)
        found: list[Picture] = []
        for number, page in pages.items():
            pixels, mode = decoder.pixels(page, number)
            metadata = replace(tiff_tags.metadata_of(page, data), mode=mode, pages=len(pages))
            found += _parted(pixels, metadata, page) if source.several else [_whole(pixels, metadata, page, name)]
        return found


class _Decoder:
    """The pixels of the pages of one file."""

    def __init__(self, data: bytes, name: str) -> None:
        self.data, self.name = data, name
        self._image: TiffImagePlugin.TiffImageFile | None = None  # opened once: it finds a page by way of all before

    def pixels(self, page: tifffile.TiffPage, number: int) -> tuple[Array, str]:
        """The pixels of a page as they are meant, and their mode in the file."""
        shallow = page.bitspersample <= 8
        if int(page.photometric) not in (*_GRAY, _RGB, _PALETTE, _SEPARATED) and shallow:
            return self._by_pillow(number)
        try:
            stored: Array = page.asarray()
        except (KeyError, ValueError, NotImplementedError, ImportError) as error:
            if isinstance(error, ValueError) and _has_decoder(page):
                raise  # it is damaged
            planes_apart = page.planarconfig == tifffile.PLANARCONFIG.SEPARATE and page.samplesperpixel > 1
            refusal = (
                f"{self.name} is compressed by {tifffile.COMPRESSION(page.compression).name} at {page.bitspersample} "
                "bits: install nlrn[tiff] to read it."
            )
            try:
                if shallow and not (planes_apart and page.samplesperpixel == 2):
                    return self._by_pillow(number)
                predicted = page.predictor == 1 or int(page.compression) in _PREDICTED
                if shallow or planes_apart or not predicted:
                    raise ImageFileError(refusal)  # which the others take for something else, and say nothing
                stored = self._by_opencv(page, number)
            except (OSError, ValueError, KeyError, SyntaxError):
                raise ImageFileError(refusal) from None
        else:
            if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE and page.samplesperpixel > 1:
                stored = np.moveaxis(stored, 0, -1)
        if stored.ndim == 3 and stored.shape[2] == 1:
            stored = stored[..., 0]
        if int(page.photometric) == _SEPARATED and shallow and stored.shape[2:] == (4,):
            icc = page.tags.valueof(34675)
            return cmyk.to_srgb(Image.fromarray(stored, "CMYK"), icc if isinstance(icc, bytes) else None), "CMYK"
        if int(page.photometric) == _PALETTE:
            return _looked_up(stored, page), "P"
        meant = _in_our_terms(stored, page, self.name)
        return meant, "1" if stored.dtype == bool else "" if meant.shape[2:] > (4,) else mode_of(meant)

    def _by_pillow(self, number: int) -> tuple[Array, str]:
        if self._image is None:
            image = pillow.opened(TiffImagePlugin.TiffImageFile, self.data)
            assert isinstance(image, TiffImagePlugin.TiffImageFile)
            self._image = image
        with pillow.quietly():
            if number != self._image.tell():
                self._image.info.clear()  # a page without a profile would be given that of the one before
                self._image.seek(number)
        return pillow.pixels_of(self._image), self._image.mode

    def _by_opencv(self, page: tifffile.TiffPage, number: int) -> Array:
        """ValueError where it has no decoder either."""
        pixels = opencv.decoded(self.data, number)
        if pixels.dtype != page.dtype or page.samplesperpixel != (1 if pixels.ndim == 2 else pixels.shape[2]):
            raise ValueError("it is decoded to something else")
        return np.asarray(pixels, np.uint16) >> (16 - page.bitspersample) if page.bitspersample < 16 else pixels


def _has_decoder(page: tifffile.TiffPage) -> bool:
    """Whether tifffile has all that it takes for a page."""
    return page.compression in tifffile.TIFF.DECOMPRESSORS and page.predictor in tifffile.TIFF.UNPREDICTORS


def _planes_of_one_directory(file: tifffile.TiffFile, source: Source, pages: int) -> list[Picture] | None:
    """All planes of a stack that has one directory, as ImageJ writes it above 4 GB; None where each has its own.

    Raises:
        ImageFileError: several planes where one picture is wanted, or too many, or of several such stacks.
        ValueError: the planes are not whole.
    """
    page = file.pages.first
    with_samples = page.imagewidth * page.imagelength * page.samplesperpixel
    series = file.series[0]
    count = series.size // with_samples
    if count <= 1 or series.size % with_samples or len(series.pages) > 1:
        return None
    if pages > 1:
        raise ImageFileError(f"{source.name} keeps planes behind one directory and others beside it: split it.")
    if not source.several:
        raise ImageFileError(f"{source.name} has several pages: save each of them as a TIFF of its own.")
    check_pages(source.name, count)
    source.check(page.imagewidth, page.imagelength * count)
    if series.dataoffset is None or series.dataoffset + series.nbytes > len(source.data):
        raise ValueError("the file ends early")
    planes = series.asarray().reshape(count, *page.shape)
    if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE and page.samplesperpixel > 1:
        planes = np.moveaxis(planes, 1, -1)
    first = replace(tiff_tags.metadata_of(page, source.data), pages=count)
    others = replace(first, tags=(), exif=None)
    found: list[Picture] = []
    for number, plane in enumerate(planes):
        pixels = _in_our_terms(plane, page, source.name)
        mode = "" if pixels.shape[2:] > (4,) else mode_of(pixels)
        found += _parted(pixels, replace(others if number else first, mode=mode), page)
    return found


def _refuse_unfit(page: tifffile.TiffPage, data: bytes, name: str) -> None:
    """ImageFileError for a kind that cannot be kept, ValueError where the page is damaged."""
    if page.imagedepth > 1:
        raise ImageFileError(f"{name} holds a volume in one page: save its slices as pages.")
    if not page.imagewidth or not page.imagelength or not page.samplesperpixel:
        raise ValueError("its size is missing")
    sample = page.dtype
    if sample is None or sample.kind not in "ufb" or sample.itemsize > (8 if sample.kind == "f" else 2):
        kind = "unknown" if sample is None else sample.name
        raise ImageFileError(f"{name} has samples of type {kind}: convert it to 8 or 16 bit or to float32.")
    _refuse_missing_data(page, len(data))


def _refuse_missing_data(page: tifffile.TiffPage, size: int) -> None:
    """ValueError where a piece of the image lies beyond the end of the file; a decoder may fill in zeros."""
    if not page.dataoffsets or len(page.dataoffsets) != len(page.databytecounts):
        raise ValueError("the table of its pieces is damaged")
    for start, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        if count <= 0 or start <= 0 or start + count > size:
            raise ValueError("the file ends early")
    bits = page.imagewidth * page.imagelength * page.samplesperpixel * page.bitspersample
    ratio = _LARGEST_RATIO.get(int(page.compression))
    if ratio is not None and bits > 8 * ratio * sum(page.databytecounts):
        raise ValueError("it claims more pixels than it can contain")


def _looked_up(stored: Array, page: tifffile.TiffPage) -> Array:
    """The colours of a palette, gray where all of them are."""
    colours = np.moveaxis(np.asarray(page.colormap), 0, -1)[stored.astype(np.intp)]
    colours = (colours >> 8).astype(np.uint8)
    return np.ascontiguousarray(colours[..., 0]) if (colours == colours[..., :1]).all() else colours


def _in_our_terms(pixels: Array, page: tifffile.TiffPage, name: str) -> Array:
    """uint8, uint16 or float32 with white at the top and alpha not premultiplied; refuses all other kinds."""
    pixels = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    photometric = int(page.photometric)
    if photometric == _SEPARATED:
        raise ImageFileError(f"{name} holds printing inks of more than 8 bits: convert it to RGB.")
    if not (photometric in _GRAY and channels <= 2) and not (photometric == _RGB and channels >= 3):
        kind = tifffile.PHOTOMETRIC(photometric).name
        raise ImageFileError(f"{name} has {channels} channels of kind {kind}: convert it to gray or RGB.")
    values: Array
    full = 1.0
    if pixels.dtype.kind == "f":
        values = pixels.astype(np.float32)
        if not np.isfinite(values).all():
            raise ImageFileError(f"{name} contains NaN or infinite values: replace them by numbers.")
        if photometric == 0:
            raise ImageFileError(f"{name} is a negative in floating point: convert it to gray with black at zero.")
    else:
        top = 2**page.bitspersample - 1
        dtype, full = (np.uint8, 255.0) if page.bitspersample <= 8 else (np.uint16, 65535.0)
        values = pixels if top == full else (pixels.astype(np.float64) * (full / top)).round()
        values = values.astype(dtype)
    if page.extrasamples[:1] == (_ASSOCIATED,):
        values = straight(values, full)
    if photometric == 0:
        gray = (..., 0) if values.ndim == 3 else ...
        values[gray] = np.subtract(dtype(full), values[gray], dtype=dtype)
    return values


def _kinds(page: tifffile.TiffPage, channels: int) -> tuple[int, int]:
    """The number of channels that make the picture, with its alpha, and of those that follow."""
    colours = 3 if int(page.photometric) == _RGB else 1
    # where nothing is said of the one channel more, it is alpha: many programs leave the tag out
    alpha = page.extrasamples[:1] in ((_ASSOCIATED,), (_UNASSOCIATED,)) or not page.extrasamples
    shown = min(colours + alpha, channels)
    return shown, channels - shown


def _parted(pixels: Array, metadata: Metadata, page: tifffile.TiffPage) -> list[Picture]:
    """The picture, and behind it as gray pictures the channels that are no alpha."""
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    if int(page.photometric) not in (*_GRAY, _RGB) or channels <= 1:
        return [Picture(pixels, metadata)]
    shown, extra = _kinds(page, channels)
    if not extra:
        return [Picture(pixels, metadata)]
    picture = np.ascontiguousarray(pixels[..., 0] if shown == 1 else pixels[..., :shown])
    further = Metadata(format="TIFF", mode="L", extra=True, exif=_turned_alike(metadata))
    return [
        Picture(picture, replace(metadata, mode=mode_of(picture))),
        *(Picture(np.ascontiguousarray(pixels[..., shown + number]), further) for number in range(extra)),
    ]


def _turned_alike(metadata: Metadata) -> bytes | None:
    """The EXIF block of a picture, where it tells how it is to be turned: its further channels are turned alike."""

    return metadata.exif if exif.orientation(metadata.exif) else None


def _whole(pixels: Array, metadata: Metadata, page: tifffile.TiffPage, name: str) -> Picture:
    """The picture with all its channels; mode LX or RGBX where the last is no alpha."""
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    if channels > 4:
        raise ImageFileError(f"{name} has {channels} channels: open it with nlrn.images.read_pages.")
    if int(page.photometric) in (*_GRAY, _RGB) and channels > 1 and _kinds(page, channels)[1]:
        return Picture(pixels, replace(metadata, mode="LX" if channels == 2 else "RGBX"))
    return Picture(pixels, metadata)


def _with_orientation_1(data: bytes, pages: Sequence[tifffile.TiffPage], order: str) -> bytes:
    """The file with the tags reset: some decoders apply them by themselves, and one fails at it."""
    turned = [tag for page in pages if (tag := page.tags.get(tiff_tags.ORIENTATION)) is not None and tag.value != 1]
    if not turned:
        return data
    changed = bytearray(data)
    for tag in turned:
        struct.pack_into(order + "H", changed, tag.valueoffset, 1)
    return bytes(changed)
