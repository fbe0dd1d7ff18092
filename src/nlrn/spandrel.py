"""NLRN for programs that load models with spandrel (chaiNNer, ComfyUI and others); needs ``nlrn[spandrel]``.

    import nlrn.spandrel
    nlrn.spandrel.register()
    model = spandrel.ModelLoader().load_from_file("model.safetensors")
    restored = model(image)  # [1, 3, H, W] in [0, 1]

What is restored is what :func:`nlrn.denoise` and :func:`nlrn.upscale` restore: colour with networks of one channel
too, in bounded memory whatever the size. Two things spandrel cannot say. It has no place for the noise level: it is
estimated for each image, and a clean image is left as it is. A model has one scale, while a network for
super-resolution serves x2, x3 and x4: the scale is chosen when the architecture is registered.

This module is imported only when asked for: importing spandrel fails where torchvision does not fit torch.
"""

import torch
from torch import Tensor

from nlrn import NLRN, denoise, upscale
from nlrn.config import SCALES, Config

try:
    from spandrel import (  # type: ignore[import-untyped]  # it has types, but does not say so
        MAIN_REGISTRY,
        Architecture,
        ArchRegistry,
        ArchSupport,
        ImageModelDescriptor,
        ModelTiling,
        StateDict,
    )
except (ImportError, RuntimeError) as error:  # RuntimeError: torchvision was built for another torch
    raise ImportError(
        f"spandrel cannot be imported ({error}); install nlrn[spandrel], with the torchvision that belongs to torch"
    ) from error

_KEYS = ("head.weight", "bodies.0.conv1.weight", "norms.0.conv1.weight", "tail.weight")


class NLRNArch(Architecture[NLRN]):  # type: ignore[misc]  # untyped for the same reason
    """Detects and loads the weights of an :class:`nlrn.NLRN` by its tensor ``config_code``.

    Args:
        scale: 2, 3 or 4, what networks for super-resolution enlarge by.
    """

    def __init__(self, scale: int = 2) -> None:
        if scale not in SCALES:
            raise ValueError(f"scale must be 2, 3 or 4, not {scale!r}")
        super().__init__(id="NLRN", detect=_is_ours)
        self.scale = scale

    def load(self, state_dict: StateDict) -> ImageModelDescriptor[NLRN]:
        """The model of a state dict that was detected. Raises ValueError where its configuration is unknown."""
        config = Config.from_tensor(state_dict["config_code"])
        scale = self.scale if config.enlarges else 1

        def restored(network: NLRN, image: Tensor) -> Tensor:
            if config.enlarges:
                return upscale(image, scale, model=network, precision="fp32")
            return denoise(image, model=network, precision="fp32")

        return ImageModelDescriptor(
            NLRN(config).eval(),
            state_dict,
            architecture=self,
            purpose="SR" if config.enlarges else "Restoration",
            tags=[f"{config.filters}nf", f"{config.steps}steps", f"window{config.window}"],
            supports_half=False,
            supports_bfloat16=False,
            scale=scale,
            # also for networks of one channel: the planes of a colour image are restored one by one
            input_channels=3,
            output_channels=3,
            tiling=ModelTiling.INTERNAL,
            call_fn=restored,
        )


def register(registry: ArchRegistry = MAIN_REGISTRY, *, scale: int = 2) -> None:
    """Add the architecture to a registry of spandrel; once, for a second time spandrel refuses it."""
    registry.add(ArchSupport.from_architecture(NLRNArch(scale)))


def _is_ours(state_dict: StateDict) -> bool:
    code = state_dict.get("config_code")
    return isinstance(code, Tensor) and code.dtype == torch.int64 and all(key in state_dict for key in _KEYS)
