"""HEIC and HEIF, through the optional package pillow-heif."""

from typing import IO, Any

from PIL import Image, ImageFile


def plugin() -> type[ImageFile.ImageFile]:
    """The class that opens HEIC; ImportError where the plug-in is not installed."""
    from pillow_heif import HeifImageFile

    found: type[ImageFile.ImageFile] = HeifImageFile
    return found


def save(image: Image.Image, file: IO[bytes], **options: Any) -> None:
    """Write a picture, its colour at full resolution; ImportError where the plug-in is not installed."""
    from pillow_heif import from_pillow

    from_pillow(image).save(file, chroma=444, **options)
