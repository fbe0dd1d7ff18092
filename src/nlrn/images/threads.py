"""How many threads compress an image."""

import os
from concurrent.futures import ThreadPoolExecutor


def pool() -> ThreadPoolExecutor:
    """As many as OMP_NUM_THREADS allows, which also bounds the network; without it one to a processor."""
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    return ThreadPoolExecutor(int(allowed) if allowed.isdigit() and int(allowed) else os.cpu_count())
