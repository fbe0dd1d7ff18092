"""Many image files, on this machine or on a cluster.

from nlrn import batch

outcome = batch.run(batch.Recipe("denoise", sigma=12), ["scans/"], "restored/", skip_existing=True)
outcome = batch.run(batch.Recipe("sr", scale=2), ["scans/"], "large/", engine="ray", workers=8)
for failure in outcome.failed:
    print(failure.reason)
"""

from nlrn.batch.jobs import Done, Job, plan_jobs
from nlrn.batch.recipe import Recipe
from nlrn.batch.running import ENGINES, Outcome, Watch, run
from nlrn.errors import UsageError

__all__ = ["ENGINES", "Done", "Job", "Outcome", "Recipe", "UsageError", "Watch", "plan_jobs", "run"]
