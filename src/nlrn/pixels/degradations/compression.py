"""Saves pictures as JPEG or WebP and reads them again, also with blocks that begin elsewhere than they do."""

import io
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor


@dataclass(frozen=True)
class Compression:
    """One way of saving."""

    format: str
    """"JPEG" or "WEBP"."""
    quality: int
    """On the scale of the format, 1 to 100."""
    half_colour: bool
    """Whether chroma is kept at half the resolution (4:2:0); WebP always does."""
    start: tuple[int, int] = (0, 0)
    """Where in the first block the picture begins: other than 0 where it was cropped after it was saved."""

    @classmethod
    def draw(cls, lowest: int, generator: torch.Generator) -> "Compression":
        """One of the ways that pictures meet, of quality ``lowest`` to 100, high ones more often."""
        random = torch.rand(6, generator=generator, device=generator.device).tolist()
        cropped = random[3] < 0.5
        return cls(
            format="WEBP" if random[0] < 0.08 else "JPEG",
            quality=round(100 - (100 - lowest) * random[1] ** 1.5),
            half_colour=random[2] < 0.6,
            start=(int(8 * random[4]), int(8 * random[5])) if cropped else (0, 0),
        )

    def __call__(self, image: Tensor) -> Tensor:
        """[3, H, W] in [0, 1] saved and read again; clipped and rounded to 8 bits first."""
        pixels = image.clamp(0, 1).mul(255).add(0.5).to("cpu", torch.uint8).numpy().transpose(1, 2, 0)
        top, left = self.start
        whole = np.pad(pixels, ((top, 0), (left, 0), (0, 0)), mode="edge")
        buffer = io.BytesIO()
        if self.format == "JPEG":
            sampling = "4:2:0" if self.half_colour else "4:4:4"
            Image.fromarray(whole).save(buffer, "JPEG", quality=self.quality, subsampling=sampling)
        else:
            Image.fromarray(whole).save(buffer, "WEBP", quality=self.quality, method=0)
        with Image.open(buffer) as file:
            read = np.asarray(file.convert("RGB"), dtype=np.float32)[top:, left:] / 255
        return torch.from_numpy(read.transpose(2, 0, 1).copy()).to(image)
