"""Training an NLRN. Needs the extra ``nlrn[train]``."""

from nlrn.training.loop import train
from nlrn.training.settings import Settings

__all__ = ["Settings", "train"]
