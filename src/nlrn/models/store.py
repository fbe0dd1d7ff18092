"""Trained networks: the ones that ship with the package, and files of one's own.

A model is a folder with ``model.safetensors`` (the tensors) and ``config.json`` (its card: the network's
configuration, the hash of the tensors, how it was trained, how it scores). The tensors describe themselves too,
in the int64 tensor ``config_code``, so a bare ``.safetensors`` file can be loaded as well.
"""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from nlrn.config import Config
from nlrn.errors import ModelError, did_you_mean
from nlrn.files import write_json, write_whole
from nlrn.models.cards import CARD, SHIPPED, TENSORS, list_models
from nlrn.network import NLRN


def load(model: str | Path) -> NLRN:
    """A trained network, ready for inference on the CPU.

    Args:
        model: the name of a model that ships (see :func:`list_models`), a folder with ``model.safetensors``,
            or a ``.safetensors`` file.

    Raises:
        ModelError: there is no such model, it is not a safetensors file of an NLRN, or it does not match its hash.

    >>> load("denoise-gray-lite").config.filters
    64
    """
    path = Path(model)
    if (SHIPPED / model / TENSORS).is_file():
        path = SHIPPED / model / TENSORS
    elif path.is_dir():
        path = path / TENSORS
    if not path.is_file():
        shipped = list_models()
        guess = did_you_mean(str(model), shipped)
        raise ModelError(
            f"{model}: no such model{guess or '; it must be one of ' + ', '.join(shipped)}"
            f"{' It may also be' if guess else ','} a folder with model.safetensors, or a .safetensors file"
        )
    if path.suffix != ".safetensors":
        raise ModelError(f"{path}: not a .safetensors file; other kinds can run code when opened and are not read")
    try:
        data = path.read_bytes()
        tensors = load_tensors(data)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: cannot be read as safetensors ({error}); fetch or export it again") from error
    card = path.with_name(CARD)
    if path.name == TENSORS and card.is_file():
        expected = json.loads(card.read_text()).get("sha256")
        if expected not in (None, hashlib.sha256(data).hexdigest()):
            raise ModelError(f"{path}: does not match the hash in {CARD} beside it; fetch it again")
    return _network(path, tensors)


def _network(path: Path, tensors: dict[str, Tensor]) -> NLRN:
    if "config_code" not in tensors:
        raise ModelError(f"{path}: these are not the weights of an NLRN (no tensor 'config_code')")
    try:
        network = NLRN(Config.from_tensor(tensors["config_code"]))
        network.load_state_dict(tensors)
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"{path}: the weights do not fit their network: {error}") from error
    return network.eval()


def save(network: NLRN, folder: str | Path, card: dict[str, Any] | None = None) -> None:
    """Write a network as a folder that :func:`load` and the Hugging Face tools read.

    Args:
        network: what to save.
        folder: is made where missing; files of the same names in it are replaced.
        card: what to say of the model beside its configuration: training, protocol, scores.

    Raises:
        OSError: the folder cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(load("denoise-gray-lite"), folder)
    ...     load(folder).config == load("denoise-gray-lite").config
    True
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    data = _serialized(network)
    described = {
        "model_type": "nlrn",
        "config": asdict(network.config),
        "parameters": sum(p.numel() for p in network.parameters()),
        "sha256": hashlib.sha256(data).hexdigest(),
        **(card or {}),
    }
    write_whole(folder / TENSORS, data)
    write_json(folder / CARD, described)


def fingerprint(network: NLRN) -> str:
    """The hash of a network's weights, the "sha256" of its card."""
    return hashlib.sha256(_serialized(network)).hexdigest()


def _serialized(network: NLRN) -> bytes:
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    return save_tensors(tensors, {"format": "pt"})  # Hugging Face's tools refuse files that do not say so
