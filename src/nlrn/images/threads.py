"""The number of threads that compress an image."""

import os


def count() -> int:
    """As many as OMP_NUM_THREADS allows, which also bounds the network; without it one to a processor."""
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    return int(allowed) if allowed.isdigit() and int(allowed) else os.cpu_count() or 1
