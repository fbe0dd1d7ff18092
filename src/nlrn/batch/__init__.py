"""Many image files, on this machine or on a cluster.

from nlrn import batch

outcome = batch.run(batch.Recipe("denoise", sigma=12), ["scans/"], "restored/", skip_existing=True)
outcome = batch.run(batch.Recipe("sr", scale=2), ["scans/"], "large/", engine="ray", workers=8)
for failure in outcome.failed:
    print(failure.reason)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nlrn.batch.job import Done, Job
    from nlrn.batch.jobs import plan_jobs
    from nlrn.batch.recipe import Recipe
    from nlrn.batch.running import ENGINES, Outcome, Watch, run
    from nlrn.errors import UsageError

__all__ = ["ENGINES", "Done", "Job", "Outcome", "Recipe", "UsageError", "Watch", "plan_jobs", "run"]

# the parser of the command line needs the records of this room alone, and must not wait for what reads images
_HOMES = {
    "Recipe": "nlrn.batch.recipe",
    "UsageError": "nlrn.errors",
    **dict.fromkeys(("Done", "Job"), "nlrn.batch.job"),
    "plan_jobs": "nlrn.batch.jobs",
    **dict.fromkeys(("ENGINES", "Outcome", "Watch", "run"), "nlrn.batch.running"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'nlrn.batch' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
