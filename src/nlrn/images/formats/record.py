"""The record of an image format: all that the rest of the package knows of one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from nlrn.images import limits
from nlrn.images.picture import Picture

FEATURES = {
    "16 bit": "samples of 16 bits",
    "float": "samples of 32-bit floating point",
    "gray": "gray stays one channel",
    "alpha": "transparency",
    "extra": "channels that are no alpha, such as near infrared",
    "pages": "several pages",
    "frames": "the frames and the timing of an animation",
    "CMYK": "printing inks",
    "ICC": "the colour profile",
    "gAMA": "gamma, primaries and transfer without a profile: gAMA, cHRM, sRGB, cICP",
    "EXIF": "camera, exposure, dates, position and the camera's own notes",
    "XMP": "XMP, also of more than 64 KiB",
    "IPTC": "captions, keywords and credits of the press",
    "comment": "the comment",
    "text": "texts under other keywords",
    "dpi": "resolution",
    "density": "resolution without a unit",
    "description": "descriptions of ImageJ, OME and tifffile",
    "GeoTIFF": "where a map lies, and which value means no data",
}
"""What a file can say or hold, and what is meant by it; the columns of docs/formats.md."""


@dataclass(frozen=True)
class Source:
    """A file that is to be read."""

    data: bytes
    name: str
    """What it is called in messages."""
    several: bool
    """All pages or frames are wanted; otherwise a file of several is refused."""
    max_pixels: int = limits.MAX_PIXELS

    def check(self, width: int, height: int) -> None:
        """Raise ImageFileError where so many columns and rows, of all pages together, are too many."""
        limits.check_pixels(self.name, width, height, self.max_pixels)


@dataclass(frozen=True)
class Options:
    """The choices in writing a file."""

    ending: str
    """Of its name, in small letters, with the dot."""
    quality: int | None = None
    """1 to 100; None: fine enough to lose nothing that can be seen."""


@dataclass(frozen=True)
class Format:
    """Recognizes, reads and writes files of one kind."""

    name: str
    endings: tuple[str, ...]
    """Of file names, with the dot, the usual one first."""
    matches: Callable[[bytes], bool]
    """Whether the first bytes of a file are those of the format."""
    read: Callable[[Source], list[Picture]]
    """Every page as it is stored: not turned yet, the orientation still in the EXIF block. Raises ImageFileError for
    what the user can change, MissingExtra where an optional package is needed, and whatever the decoders raise."""
    write: Callable[[Sequence[Picture], Options], bytes] | None = None
    """The file as bytes; None where the format is only read. The pixels are of the samples and channels below."""
    samples: tuple[str, ...] = ("uint8",)
    channels: tuple[int, ...] = (1, 2, 3, 4)
    longest_side: int | None = None
    holds_pages: bool = False
    holds_frames: bool = False
    holds_inks: bool = False
    """A picture that came as CMYK goes back to its inks."""
    turned: bool = False
    """The decoder has set the picture upright by itself: what EXIF and XMP say about it is past."""
    read_only_endings: tuple[str, ...] = ()
    written_as: str = ""
    """The ending of results, where files of this format are only read."""
    ending_decides: bool = False
    """A file is of this format by its ending: its first bytes are those of TIFF."""
    gray_endings: tuple[str, ...] = ()
    """Of files that hold no colour."""
    loses: Mapping[str, str] = field(default_factory=dict)
    """What it does not keep of :data:`FEATURES`, each with what becomes of it; docs/formats.md is made of it."""

    @property
    def writable_endings(self) -> tuple[str, ...]:
        if self.write is None:
            return ()
        return tuple(ending for ending in self.endings if ending not in self.read_only_endings)
