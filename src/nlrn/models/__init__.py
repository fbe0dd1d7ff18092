"""Trained networks: the ones that ship, as their cards tell of them, and files of one's own, loaded and saved."""

from typing import TYPE_CHECKING, Any

from nlrn.errors import ModelError
from nlrn.models.cards import CARD, SHIPPED, TENSORS, list_models, task_of

if TYPE_CHECKING:
    from nlrn.models.store import fingerprint, load, save

__all__ = ["CARD", "SHIPPED", "TENSORS", "ModelError", "fingerprint", "list_models", "load", "save", "task_of"]


def __getattr__(name: str) -> Any:
    """The names that need torch, when they are first used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from nlrn.models import store

    return getattr(store, name)


def __dir__() -> list[str]:
    return sorted(__all__)
