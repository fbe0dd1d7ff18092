"""The checkpoint of a training run as a file: written whole, and read as what a stranger may have damaged."""

import hashlib
import io
import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nlrn.errors import UserError
from nlrn.files import write_whole
from nlrn.models.store import fitting
from nlrn.network import NLRN
from nlrn.training.course import Course

_HASH = "sha256"


class CheckpointError(UserError, ValueError):
    """A checkpoint cannot be read, used or written; the message names it and says what to do."""


def write(path: Path, state: Mapping[str, Any]) -> None:
    """Put a state in the place of the one before.

    Args:
        state: plain values and tensors, in dictionaries and lists.

    Raises:
        CheckpointError: it cannot be written; the one before is as it was.
    """
    buffer = io.BytesIO()
    torch.save({**state, _HASH: _digest(state)}, buffer)
    try:
        write_whole(path, buffer.getvalue())
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be written ({error.strerror or error}); the one before is kept: make room and start again"
        ) from error


def read(path: Path, network: NLRN, optimizers: Sequence[torch.optim.Optimizer]) -> dict[str, Any]:
    """The state that was written for this network and these optimizers.

    Raises:
        CheckpointError: it is damaged, or of another network.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > 2 * path.stat().st_size:
                raise ValueError("it unpacks to more than it is")
        state = torch.load(path, weights_only=True, map_location="cpu")
        if not isinstance(state, dict) or not isinstance(state.get("config"), dict):
            raise ValueError("it is no checkpoint of nlrn")
        if state["config"] != asdict(network.config):
            raise CheckpointError(
                f"{path} is the checkpoint of another network ({str(state['config'])[:300]}); use another --out"
            )
        if _elements(state) > path.stat().st_size:
            raise ValueError("it says to hold more than it is")
        if _HASH in state and state.pop(_HASH) != _digest(state):
            raise ValueError("it does not match its hash")
        _check(state, network, optimizers)
    except CheckpointError:
        raise
    except Exception as error:  # zip, pickle and torch meet damaged files with errors of every class
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise CheckpointError(f"{path} is damaged ({why}); move it away to start anew") from error
    return state


def _check(state: dict[str, Any], network: NLRN, optimizers: Sequence[torch.optim.Optimizer]) -> None:
    """Raises ValueError or KeyError where something is not as it was written."""
    for name in ("network", "average"):
        state[name] = fitting(network.state_dict(), state[name])
    _whole_number(state, "iteration", 0, 10**12)
    _whole_number(state, "average_count", 0, 10**12)
    _whole_number(state, "steps", 1, network.config.steps)
    if not isinstance(state["best"], (int, float)) or not math.isfinite(state["best"]):
        raise ValueError(f"its best score is {state['best']!r}")
    _check_course(state["course"])
    if not isinstance(state.get("settings", {}), dict):
        raise ValueError("its settings are none")
    if not isinstance(state["optimizers"], list) or len(state["optimizers"]) != len(optimizers):
        raise ValueError("its optimizers are others")
    for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
        _check_optimizer(optimizer, saved)


def _check_course(course: Any) -> None:
    usual = Course().state()
    if course.keys() != usual.keys():
        raise ValueError("its course is none")
    for name, value in usual.items():
        if type(course[name]) is not type(value) or not _finite(course[name]):
            raise ValueError(f"{name} of its course is {str(course[name])[:50]}")
    if not 0 < course["rate"] <= 1 or not all(type(v) is float for v in (*course["norms"], *course["losses"])):
        raise ValueError("its course is none")


def _whole_number(state: dict[str, Any], name: str, least: int, most: int) -> None:
    if type(state[name]) is not int or not least <= state[name] <= most:
        raise ValueError(f"its {name} is {state[name]!r}")


def _check_optimizer(optimizer: torch.optim.Optimizer, saved: Any) -> None:
    ours, theirs = optimizer.state_dict()["param_groups"], saved["param_groups"]
    if len(ours) != len(theirs):
        raise ValueError("its optimizers are others")
    for group, given in zip(ours, theirs, strict=True):
        if group.keys() != given.keys() or group["params"] != given["params"]:
            raise ValueError("its optimizers are others")
        for name, value in group.items():
            if type(value) is not type(given[name]) or not _finite(given[name]):
                raise ValueError(f"{name} of its optimizers is {str(given[name])[:50]}")
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for place, values in saved["state"].items():
        if type(place) is not int or not 0 <= place < len(parameters):
            raise ValueError("its optimizers are of other parameters")
        for name, value in values.items():
            fits = not isinstance(value, Tensor) or value.dim() == 0 or value.shape == parameters[place].shape
            if not fits or not _finite(value):
                raise ValueError(f"{name} of its optimizers is damaged")


def _finite(value: Any) -> bool:
    if isinstance(value, Tensor):
        return not value.is_complex() and bool(value.isfinite().all())
    if isinstance(value, (list, tuple)):
        return all(map(_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def _elements(value: Any) -> int:
    """Elements of all tensors in a state: few bytes can claim to be billions."""
    if isinstance(value, Mapping):
        return sum(map(_elements, value.values()))
    if isinstance(value, (list, tuple)):
        return sum(map(_elements, value))
    return value.numel() if isinstance(value, Tensor) else 0


def _digest(value: Any) -> str:
    found = hashlib.sha256()
    _feed(found, value)
    return found.hexdigest()


def _feed(found: Any, value: Any) -> None:
    if isinstance(value, Mapping):
        for name, one in value.items():
            found.update(f"{name!r}:".encode())
            _feed(found, one)
    elif isinstance(value, (list, tuple)):
        found.update(f"{len(value)}".encode())
        for one in value:
            _feed(found, one)
    elif isinstance(value, Tensor):
        found.update(f"{value.dtype}{list(value.shape)}".encode())
        found.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    else:
        found.update(f"{value!r};".encode())
