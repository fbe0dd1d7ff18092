"""Networks that are ready to run: the right one for a task, on its device, out of its wrappings."""

import os
from pathlib import Path

import torch

from nlrn import models
from nlrn.errors import ModelError
from nlrn.inference.device import choose_device
from nlrn.inference.options import Model
from nlrn.models import cards
from nlrn.network import NLRN


def ready(model: Model, task: str, device: "str | torch.device" = "auto") -> NLRN:
    """The network for a task, on its device; a network that is passed in stays where it is.

    Raises:
        ModelError: there is no such model, or it is made for another task.
        ValueError: the device is not there.
    """
    model = unwrapped(model)
    network = model if isinstance(model, NLRN) else models.load(model).to(choose_device(device))
    if network.config.task != task:
        fitting = [name for name, card in cards.list_models().items() if card["config"]["task"] == task]
        named = "the network" if isinstance(model, NLRN) else model
        raise ModelError(f"{named} is made for {network.config.task}, not {task}; for that: {', '.join(fitting)}")
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]  # torch's stub


def anywhere(model: Model | None) -> Model | None:
    """A model's file or folder by its whole name, for a process in another working folder; names stay names."""
    if isinstance(model, NLRN) or model is None or str(model) in cards.list_models() or not os.path.exists(model):
        return model
    return os.path.abspath(model)


def unwrapped(model: object) -> Model:
    """The network in what torch.compile, DataParallel and DistributedDataParallel make of it."""
    while not isinstance(model, NLRN) and isinstance(model, torch.nn.Module):
        inner = getattr(model, "_orig_mod", getattr(model, "module", None))
        if inner is None:
            break
        model = inner
    if not isinstance(model, (NLRN, str, Path)):
        raise ModelError(f"a model is a name, a file or a network of nlrn, not {type(model).__name__}")
    return model
