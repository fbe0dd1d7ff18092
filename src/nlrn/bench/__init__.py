"""Measures speed on this machine: the correlation, whole networks, training; ratios within one run."""
