"""Makes downloads: restored pictures as files of a chosen format, one by one or all in one."""

import itertools
import shlex
import shutil
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from nlrn import images
from nlrn.images import SUFFIXES, WRITABLE, ImageFileError, Picture
from nlrn.web.order import Order
from nlrn.web.refused import RefusedError

FORMATS = {"png": ".png", "tiff": ".tif", "jpeg": ".jpg", "webp": ".webp"}
"""What can be chosen beside the format that a picture came in."""
LOSSY = {"JPEG", "WEBP", "AVIF", "HEIF"}
_GRAIN = 1 << 20


@dataclass(frozen=True, eq=False)
class Result:
    """A file as restored."""

    path: Path
    """The file that came."""
    order: Order
    pages: list[Picture]
    """Their pixels lie on the disk."""
    seconds: float
    notes: list[str]
    """A remark on it, such as why nothing was done."""
    made: list[Path]
    """Files of pixels that are its own."""
    version: int = field(default_factory=itertools.count(1).__next__)
    """Another for each result."""

    @property
    def name(self) -> str:
        """Of the file that came."""
        return self.path.name

    def suffix(self, wanted: str) -> str:
        """The ending that it gets.

        Args:
            wanted: a key of :data:`FORMATS`, or "same". Where that cannot hold the pictures, the nearest that can.
        """
        came = Path(self.name).suffix
        suffix = FORMATS.get(wanted) or (came if came.lower() in WRITABLE else ".png")
        if self._fits(suffix):
            return suffix
        return ".tif" if len(self.pages) > 1 or self.pages[0].pixels.dtype.kind == "f" else ".png"

    def file_name(self, wanted: str) -> str:
        """The name that it gets, as the command line would give it."""
        behind = self.order.of.suffix.format(f"x{self.order.scale:g}")
        return Path(self.name).stem + behind + self.suffix(wanted)

    def discard(self) -> None:
        """Remove the pixels that were made for it."""
        for path in self.made:
            path.unlink(missing_ok=True)

    def save(self, folder: Path, wanted: str, quality: int | None) -> Path:
        """Write it into a folder.

        Raises:
            RefusedError: it cannot be written.
        """
        path = folder / self.file_name(wanted)
        lossy = SUFFIXES[path.suffix.lower()] in LOSSY
        if not self.made and quality is None and images.loses(path, self.pages):
            return Path(shutil.copyfile(self.path, path))  # nothing was changed
        try:
            images.write_pages(path, self.pages, quality=quality if lossy else None)
        except ImageFileError as error:
            raise RefusedError(str(error).replace(f"{folder}/", ""), 422) from None
        return path

    def _fits(self, suffix: str) -> bool:
        """Whether a format holds these pictures without loss of depth, transparency or pages."""
        kind, pixels = SUFFIXES[suffix.lower()], self.pages[0].pixels
        if kind == "TIFF":
            return True
        channels = 1 if pixels.ndim == 2 else pixels.shape[2]
        depth = {"PNG": ("uint8", "uint16"), "PNM": ("uint8", "uint16")}.get(kind, ("uint8",))
        alpha_fits = channels in (1, 3) or kind not in ("JPEG", "BMP", "PNM")
        colour_fits = channels == 1 or suffix.lower() != ".pgm"
        side_fits = max(pixels.shape[:2]) <= {"JPEG": 65500, "WEBP": 16383}.get(kind, 65535)
        return len(self.pages) == 1 and pixels.dtype.name in depth and alpha_fits and colour_fits and side_fits


def command(result: Result) -> str:
    """The words that do the same on the command line."""
    order = result.order
    words = ["nlrn", order.of.verb]
    if order.of.enlarges:
        words += ["--scale", f"{order.scale:g}"]
    if order.sigma is not None:
        words += ["--sigma", f"{order.sigma:g}"]
    if order.strength != 1:
        words += ["--strength", f"{order.strength:g}"]
    if order.model is not None:
        words += ["--model", order.model]
    if order.ensemble:
        words += ["--ensemble"]
    return shlex.join([*words, result.name])


def zipped(results: Iterable[Result], place: Path, wanted: str, quality: int | None) -> Iterator[bytes]:
    """All results as one file, made while it is sent: nothing waits for the last picture.

    Args:
        place: a folder to write in, one picture at a time.
    """
    stream = _Stream()
    names: set[str] = set()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for result in results:
            with TemporaryDirectory(dir=place) as folder:
                path = result.save(Path(folder), wanted, quality)
                info = zipfile.ZipInfo.from_file(path, _unused(path.name, names))
                with archive.open(info, "w", force_zip64=True) as into, open(path, "rb") as file:
                    while piece := file.read(_GRAIN):
                        into.write(piece)
                        yield stream.taken()
            yield stream.taken()
    yield stream.taken()


def _unused(name: str, names: set[str]) -> str:
    """The name, with a number where it is there already; to some systems capitals make no other name."""
    stem, suffix, number = Path(name).stem, Path(name).suffix, 1
    while name.lower() in names:
        number += 1
        name = f"{stem} ({number}){suffix}"
    names.add(name.lower())
    return name


class _Stream:
    """A file whose contents wait to be taken; it cannot be gone back in."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def write(self, data: bytes, /) -> int:
        self._waiting += data
        return len(data)

    def flush(self) -> None:
        """As a file has it."""

    def close(self) -> None:
        """As a file has it."""

    def taken(self) -> bytes:
        data = bytes(self._waiting)
        self._waiting.clear()
        return data
