"""Nodes for ComfyUI: remove noise, enlarge. They need nothing but the package nlrn in ComfyUI's environment."""

from typing import Any

import torch

import nlrn

_AUTOMATIC = "automatic"
"""The entry of the list of models that leaves the choice to nlrn."""


def _models(task: str) -> list[str]:
    return [_AUTOMATIC, *(name for name, card in nlrn.list_models().items() if card["config"]["task"] == task)]


def _named(model: str) -> str | None:
    return None if model == _AUTOMATIC else model


def _restored(images: torch.Tensor, function: Any, *arguments: Any, **options: Any) -> tuple[torch.Tensor]:
    """ComfyUI's images are [B, H, W, C] in [0, 1]; alpha, where there is one, goes through as in nlrn."""
    done = [torch.from_numpy(function(one.cpu().numpy(), *arguments, channel_axis=-1, **options)) for one in images]
    return (torch.stack(done).clamp(0, 1),)


class Denoise:
    """Remove noise, as much as was measured or as is asked for."""

    CATEGORY = "image/nlrn"
    FUNCTION = "run"
    RETURN_TYPES = ("IMAGE",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802  # ComfyUI's name
        """The fields of the node."""
        return {
            "required": {
                "image": ("IMAGE",),
                "model": (_models("denoise"),),
                "strength": ("FLOAT", {"default": 1.0, "min": 0.0, "max": 2.0, "step": 0.05}),
                "sigma": ("FLOAT", {"default": 0.0, "min": 0.0, "max": 75.0, "step": 0.5}),
            }
        }

    def run(self, image: torch.Tensor, model: str, strength: float, sigma: float) -> tuple[torch.Tensor]:
        """The image with less noise; sigma is where white is 255, and 0 measures it."""
        return _restored(image, nlrn.denoise, sigma / 255 or None, model=_named(model), strength=strength)


class Upscale:
    """Enlarge a picture."""

    CATEGORY = "image/nlrn"
    FUNCTION = "run"
    RETURN_TYPES = ("IMAGE",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802  # ComfyUI's name
        """The fields of the node."""
        return {
            "required": {
                "image": ("IMAGE",),
                "model": (_models("sr"),),
                "scale": ("INT", {"default": 2, "min": 2, "max": 4}),
            }
        }

    def run(self, image: torch.Tensor, model: str, scale: int) -> tuple[torch.Tensor]:
        """The image with ``scale`` times as many pixels each way."""
        return _restored(image, nlrn.upscale, scale, model=_named(model))


NODE_CLASS_MAPPINGS = {"NLRNDenoise": Denoise, "NLRNUpscale": Upscale}
NODE_DISPLAY_NAME_MAPPINGS = {"NLRNDenoise": "Remove noise (NLRN)", "NLRNUpscale": "Enlarge (NLRN)"}
