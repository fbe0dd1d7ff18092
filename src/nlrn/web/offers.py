"""The models as the page offers them, before any of them is loaded: nothing here needs torch."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nlrn.config import TASKS, Task
from nlrn.models.cards import list_models
from nlrn.web.order import FACTORS

if TYPE_CHECKING:
    from nlrn.network import NLRN

_QUICK = 40_000
"""Filters squared times steps, for each pixel: what takes no more is quick."""
_SMALL = 150_000
"""Parameters below which a network is small beside the others."""
_GOOD = {
    "denoise-photo": "For photographs: the coarse grain and the colour blotches of cameras, also saved as JPEG.",
    "denoise-jpeg": "For pictures that JPEG compressed strongly: takes blocks and rings away.",
}


def offers(own: "Mapping[str, NLRN]") -> dict[str, Any]:
    """The models with what each is good for, which one serves where none is chosen, and the scales.

    Args:
        own: further networks beside those that ship, by name.
    """
    models = [_offer(name, card["config"], card["parameters"], card) for name, card in list_models().items()]
    for name, network in own.items():
        config = {"task": network.config.task, "channels": network.config.channels}
        parameters = sum(p.numel() for p in network.parameters())
        models.append(_offer(name, config, parameters, {"good_for": "Your own model."}))
    defaults = {name: {"gray": task.defaults[1], "colour": task.defaults[3]} for name, task in TASKS.items()}
    return {"models": models, "defaults": defaults, "scales": FACTORS}


def _offer(name: str, config: dict[str, Any], parameters: int, card: dict[str, Any]) -> dict[str, Any]:
    task = TASKS[config["task"]]
    colours = "gray" if config["channels"] == 1 and not task.enlarges and name not in _GOOD else "colour"
    return {
        "name": name,
        "task": task.name,
        "parameters": parameters,
        "colours": colours,
        "good": card.get("good_for") or _GOOD.get(name) or f"{_for(task, colours)} {_kind(config, parameters)}",
    }


def _work(config: dict[str, Any]) -> float:
    return float(config["steps"] * config["filters"] ** 2 / config.get("unshuffle", 1) ** 2)


def _for(task: Task, colours: str) -> str:
    if task.enlarges:
        return "For pictures that came small and clean."
    return "For colour photographs." if colours == "colour" else "For gray pictures: scans, microscopy, film."


def _kind(config: dict[str, Any], parameters: int) -> str:
    if _work(config) > _QUICK:
        return "The best there is, and slow."
    return "The small one, a little less sharp." if parameters < _SMALL else "Quick and sharp."
