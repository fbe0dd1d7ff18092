"""The models that ship, as their cards tell of them. Nothing here needs torch."""

import json
from pathlib import Path
from typing import Any

from nlrn.errors import ModelError, did_you_mean

SHIPPED = Path(__file__).parents[1] / "weights"
TENSORS, CARD = "model.safetensors", "config.json"


def list_models() -> dict[str, dict[str, Any]]:
    """The cards of the models that ship with the package, by name.

    >>> "denoise-gray-lite" in list_models()
    True
    """
    return {card.parent.name: json.loads(card.read_text()) for card in sorted(SHIPPED.glob(f"*/{CARD}"))}


def task_of(name: str) -> str:
    """The task of a model that ships: "denoise" or "sr".

    Raises:
        ModelError: there is no model of that name.
    """
    cards = list_models()
    if name not in cards:
        guess = did_you_mean(name, cards) or f"; the models that ship are {', '.join(cards)}"
        raise ModelError(f"{name}: no such model{guess}")
    return str(cards[name]["config"]["task"])
