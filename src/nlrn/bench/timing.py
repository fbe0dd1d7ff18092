"""The seconds that a call takes."""

import time
from collections.abc import Callable

import torch

CPU = torch.device("cpu")


def seconds(call: Callable[[], object], device: torch.device = CPU) -> float:
    """By the clock, until the device has done all that the call gave it."""
    finish(device)
    start = time.perf_counter()
    call()
    finish(device)
    return time.perf_counter() - start


def finish(device: torch.device) -> None:
    """Wait until a GPU has done all it was given; a processor has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
