"""Limits on what is taken of a file, checked before anything is decoded."""

from nlrn.images.picture import ImageFileError

MAX_PIXELS = 2**29
"""Larger images are refused before anything is decoded. It is 536 megapixels: above the 400 of the largest
multi-shot cameras, and small enough that a crafted file of a few kilobytes costs 1.6 GB in 8-bit RGB and not
all the memory there is."""

MAX_PAGES = 10_000
"""More pages or frames are refused: a stack of ten thousand planes is a long time series."""

MAX_BYTES = 2**33
"""Larger files are refused before they are read: 8 GiB hold every image of MAX_PIXELS that is not compressed."""

MAX_METADATA = 2**27
"""What the compressed texts and the profile of one file may become together: 128 MiB."""


def check_pixels(name: str, width: int, height: int, limit: int = MAX_PIXELS) -> None:
    """Raise ImageFileError where a picture, or all pages of a file together, would have more pixels."""
    if width * height > limit:
        raise ImageFileError(
            f"{name} claims {width * height / 1e6:.0f} megapixels, and at most {limit / 1e6:.0f} are opened: "
            "cut it into parts."
        )


def check_pages(name: str, count: int) -> None:
    """Raise ImageFileError where a file has more pages."""
    if count > MAX_PAGES:
        raise ImageFileError(f"{name} has more than {MAX_PAGES} pages: split it into several files.")


def check_bytes(name: str, count: int) -> None:
    """Raise ImageFileError where a file is larger."""
    if count > MAX_BYTES:
        raise ImageFileError(f"{name} has more than {MAX_BYTES >> 30} GiB: split it into several files.")
