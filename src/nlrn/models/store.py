"""Trained networks: the ones that ship with the package, and files of one's own.

A model is a folder with ``model.safetensors`` (the tensors) and ``config.json`` (its card: the network's
configuration, the hash of the tensors, how it was trained, how it scores). The tensors describe themselves too,
in the int64 tensor ``config_code``, so a bare ``.safetensors`` file can be loaded as well.
"""

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from nlrn.config import Config
from nlrn.errors import ModelError, did_you_mean
from nlrn.files import write_json, write_whole
from nlrn.models.cards import CARD, SHIPPED, TENSORS, list_models
from nlrn.network import NLRN

_log = logging.getLogger("nlrn")
_BEFORE = "sha256_before"
_MOST_BYTES = 2**31


def load(model: str | Path) -> NLRN:
    """A trained network, ready for inference on the CPU.

    Args:
        model: the name of a model that ships (see :func:`list_models`), a folder with ``model.safetensors``,
            or a ``.safetensors`` file. A folder of the same name as one that ships is ``./name``.

    Raises:
        ModelError: there is no such model, it is not a safetensors file of an NLRN, or it does not match its hash.

    >>> load("denoise-gray-lite").config.filters
    64
    """
    path = _place(model)
    if path.suffix != ".safetensors":
        raise ModelError(f"{path}: not a .safetensors file; other kinds can run code when opened and are not read")
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ModelError(f"{path}: has {path.stat().st_size / 2**30:.1f} GiB; no network of nlrn is so large")
        data = path.read_bytes()
        tensors = load_tensors(data)
    except ModelError:
        raise
    except Exception as error:  # safetensors meets damaged files with errors of many classes
        why = " ".join(str(error).split()) or type(error).__name__
        raise ModelError(f"{path}: cannot be read as safetensors ({why}); fetch or export it again") from error
    card = path.with_name(CARD)
    if path.name == TENSORS and card.is_file():
        expected = _hashes(card)
        if expected and hashlib.sha256(data).hexdigest() not in expected:
            raise ModelError(f"{path}: does not match the hash in {CARD} beside it; fetch it again")
    return _network(path, tensors)


def _place(model: str | Path) -> Path:
    """Where the tensors of a model are."""
    if not isinstance(model, (str, os.PathLike)) or not str(model):
        given = "an empty name" if isinstance(model, str) else type(model).__name__
        raise ModelError(f"a model is a name, a folder or a file, not {given}")
    path = Path(model)
    with suppress(OSError, ValueError):  # a name that no file can have
        if os.fspath(model) == path.name and (SHIPPED / model / TENSORS).is_file():
            if path.exists():
                _log.info("%s is the model that ships; what has this name here is ./%s", model, model)
            return SHIPPED / model / TENSORS
        if path.is_dir():
            path = path / TENSORS
        if path.is_file():
            return path
    shipped = list_models()
    guess = did_you_mean(str(model), shipped)
    raise ModelError(
        f"{model}: no such model{guess or '; it must be one of ' + ', '.join(shipped)}"
        f"{' It may also be' if guess else ','} a folder with model.safetensors, or a .safetensors file"
    )


def _hashes(card: Path) -> list[str]:
    """The hashes that the tensors beside a card may have; empty where it says nothing of it."""
    try:
        said = json.loads(card.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{card}: cannot be read as JSON ({error}); fetch it again, or delete it") from error
    found = [said.get("sha256"), said.get(_BEFORE)] if isinstance(said, dict) else [said]
    if not isinstance(said, dict) or not all(one is None or isinstance(one, str) for one in found):
        raise ModelError(f"{card}: is no card of a model; fetch it again, or delete it")
    return [one for one in found if one is not None]


def _network(path: Path, tensors: dict[str, Tensor]) -> NLRN:
    if "config_code" not in tensors:
        raise ModelError(f"{path}: these are not the weights of an NLRN (no tensor 'config_code')")
    try:
        config = Config.from_tensor(tensors["config_code"])
        with torch.device("meta"):  # takes no memory, whatever the configuration claims
            network = NLRN(config)
        network.load_state_dict(fitting(network.state_dict(), tensors), assign=True)
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"{path}: the weights do not fit their network: {error}") from error
    return network.eval()


def fitting(expected: Mapping[str, Tensor], given: Mapping[str, Any]) -> dict[str, Tensor]:
    """Weights from a file, copied to the types of those that are expected.

    Raises:
        ValueError: a name or shape is another one, numbers are of another kind, or not finite.
    """
    if expected.keys() != given.keys():
        missing, surplus = sorted(expected.keys() - given.keys()), sorted(map(str, given.keys() - expected.keys()))
        found = f"missing {', '.join(missing)[:100]}" if missing else f"not known {', '.join(surplus)[:100]}"
        raise ValueError(f"other tensors than the network has ({found})")
    made = {}
    for name, like in expected.items():
        tensor = given[name]
        if not isinstance(tensor, Tensor) or tensor.shape != like.shape or tensor.layout != torch.strided:
            shape = list(tensor.shape) if isinstance(tensor, Tensor) else type(tensor).__name__
            raise ValueError(f"{name} is {shape}, not {list(like.shape)}")
        if (
            tensor.is_floating_point() != like.is_floating_point()
            or tensor.is_complex()
            or tensor.dtype == torch.bool
        ):
            raise ValueError(f"{name} is of {tensor.dtype}, not {like.dtype}")
        # the networks of a program that works in float64 are of float32 all the same
        made[name] = tensor.to(torch.float32 if like.is_floating_point() else like.dtype, copy=True)
        if not made[name].isfinite().all():
            raise ValueError(f"{name} has numbers that are not finite")
    return made


def save(network: NLRN, folder: str | Path, card: dict[str, Any] | None = None) -> None:
    """Write a network as a folder that :func:`load` and the Hugging Face tools read.

    Whenever the process is killed, what lies there can be loaded.

    Args:
        network: what to save.
        folder: is made where missing; files of the same names in it are replaced.
        card: what to say of the model beside its configuration: training, protocol, scores.

    Raises:
        ModelError: it cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(load("denoise-gray-lite"), folder)
    ...     load(folder).config == load("denoise-gray-lite").config
    True
    """
    folder = Path(folder)
    data = _serialized(network)
    described = {
        "model_type": "nlrn",
        "config": asdict(network.config),
        "parameters": sum(p.numel() for p in network.parameters()),
        "sha256": hashlib.sha256(data).hexdigest(),
        **(card or {}),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / TENSORS).is_file():  # until the new tensors are there, the card is for the old ones too
            before = hashlib.sha256((folder / TENSORS).read_bytes()).hexdigest()
            write_json(folder / CARD, {**described, _BEFORE: before})
        write_whole(folder / TENSORS, data)
        write_json(folder / CARD, described)
    except OSError as error:
        raise ModelError(f"{folder}: the model cannot be written there ({error.strerror or error})") from error


def fingerprint(network: NLRN) -> str:
    """The hash of a network's weights, the "sha256" of its card."""
    return hashlib.sha256(_serialized(network)).hexdigest()


def _serialized(network: NLRN) -> bytes:
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    return save_tensors(tensors, {"format": "pt"})  # Hugging Face's tools refuse files that do not say so
