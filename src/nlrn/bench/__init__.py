"""How fast it is on this machine: the correlation, whole networks, training; ratios within one run."""
