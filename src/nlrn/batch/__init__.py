"""Many image files, on this machine or on a cluster.

from nlrn import batch

outcome = batch.run(batch.Recipe("denoise", sigma=12), ["scans/"], "restored/", skip_existing=True)
outcome = batch.run(batch.Recipe("sr", scale=2), ["scans/"], "large/", engine="ray", workers=8)
for failure in outcome.failed:
    print(failure.reason)
"""

from typing import TYPE_CHECKING

from nlrn._lazy import lazy

if TYPE_CHECKING:
    from nlrn.batch.jobs import Done, Job, plan_jobs
    from nlrn.batch.recipe import Recipe
    from nlrn.batch.running import ENGINES, Outcome, Watch, run
    from nlrn.errors import UsageError

__all__ = ["ENGINES", "Done", "Job", "Outcome", "Recipe", "UsageError", "Watch", "plan_jobs", "run"]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "ENGINES": "nlrn.batch.running",
        "Done": "nlrn.batch.jobs",
        "Job": "nlrn.batch.jobs",
        "Outcome": "nlrn.batch.running",
        "Recipe": "nlrn.batch.recipe",
        "UsageError": "nlrn.errors",
        "Watch": "nlrn.batch.running",
        "plan_jobs": "nlrn.batch.jobs",
        "run": "nlrn.batch.running",
    },
)
