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
        """[C, H, W] in [0, 1], gray or RGB, saved and read again; clipped and rounded to 8 bits first."""
        return self.saved(image)[0]

    def saved(self, image: Tensor) -> tuple[Tensor, dict[int, list[int]]]:
        """The same, and the steps of the file: of the brightness (0) and of chroma (1); none of WebP."""
        pixels = image.clamp(0, 1).mul(255).add(0.5).to("cpu", torch.uint8).numpy().transpose(1, 2, 0)
        top, left = self.start
        whole = Image.fromarray(np.pad(pixels, ((top, 0), (left, 0), (0, 0)), mode="edge").squeeze())
        buffer = io.BytesIO()
        if self.format == "JPEG":
            colours = {"subsampling": "4:2:0" if self.half_colour else "4:4:4"} if len(image) == 3 else {}
            whole.save(buffer, "JPEG", quality=self.quality, **colours)
        else:
            whole.save(buffer, "WEBP", quality=self.quality, method=0)
        with Image.open(buffer) as file:
            read = np.asarray(file.convert(whole.mode), dtype=np.float32)[top:, left:] / 255
            steps = getattr(file, "quantization", {})
        return torch.from_numpy(np.moveaxis(np.atleast_3d(read), 2, 0).copy()).to(image), steps
