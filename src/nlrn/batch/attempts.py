"""A count that outlives the processes whose attempts it counts; alone here, as it must start without torch."""

from collections import Counter


class Attempts:
    """How often each of the images was begun, by any worker."""

    def __init__(self) -> None:
        self.begun: Counter[int] = Counter()

    def begin(self, number: int) -> int:
        """Count one more attempt; returns the number of them."""
        self.begun[number] += 1
        return self.begun[number]
