"""Finds out how much memory there is to work in."""

from pathlib import Path

import psutil
import torch

MOST = 1_900_000_000
"""Bytes that a tile may take in main memory at most; with torch and a large photograph that stays below 3 GB."""
_MOST_ON_GPU = 8_000_000_000  # the borders that tiles share are a hundredth of the work by then
_SHARE, _SHARE_ON_GPU = 0.5, 0.8

_CGROUPS = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
)


def budget(device: torch.device) -> int:
    """Bytes that the work on a tile may take: a safe share of what is free, and never so much that others suffer."""
    if device.type == "cuda":
        # what torch holds without using it is free as well
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return min(_MOST_ON_GPU, int(_SHARE_ON_GPU * (torch.cuda.mem_get_info(device)[0] + unused)))
    return min(MOST, int(_SHARE * free_memory()))


def free_memory(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes of main memory that a program can still have, within the limits of its container."""
    return min([psutil.virtual_memory().available, *_free_in_container(cgroup)])


def _free_in_container(cgroup: Path) -> list[int]:
    free = []
    for limit, usage, cache in _CGROUPS:
        try:
            most, used = (cgroup / limit).read_text().strip(), int((cgroup / usage).read_text())
            lines = (cgroup / usage).with_name("memory.stat").read_text().splitlines()
        except (OSError, ValueError):
            continue
        if most != "max":
            # the page cache gives way
            gives = sum(int(line.split()[1]) for line in lines if line.startswith(cache + " "))
            free.append(max(0, int(most) - used + gives))
    return free
