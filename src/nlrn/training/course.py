"""Whether a run keeps its course: which steps are not taken, and when it has to go back."""

import math
from collections import deque
from statistics import median
from typing import Any

_STEPS = 200
"""Iterations that say what is usual."""
_ENOUGH = 20
"""Iterations before anything is."""
_FAR = 10.0
"""A gradient of so many times the usual norm makes no step."""
_HIGH = 3.0
"""A loss of so many times the usual one is off the course."""
_LONG = 20
"""Iterations off the course, or steps not taken, in a row, after which the run goes back."""
_TRIES = 4
"""Times to go back from one place before the run is given up."""


class Course:
    """Judges every iteration of a run by those before it.

    One batch can have a gradient far above the usual, and one step along it can undo an hour: such steps are not
    taken. A run whose loss stays far above the usual, or whose gradients all are, has left its course: it must go
    back to where it was, and on at half the rate.
    """

    def __init__(self) -> None:
        self.norms: deque[float] = deque(maxlen=_STEPS)
        self.losses: deque[float] = deque(maxlen=_STEPS)
        self.rate = 1.0
        """What the learning rate is multiplied by: half for each time that the run went back."""
        self.skipped = 0
        """Steps that were not taken, since the run began."""
        self.off = 0
        """Iterations in a row that were not as they should be."""
        self.tries = 0
        """Times that the run went back without getting on since."""

    def takes(self, loss: float, norm: float) -> bool:
        """Whether the step of an iteration is to be taken, by its loss and the norm of its gradient."""
        finite = math.isfinite(loss) and math.isfinite(norm)
        takes = finite and norm <= _FAR * self._usual(self.norms)
        keeps = takes and loss <= _HIGH * self._usual(self.losses)
        self.off = 0 if keeps else self.off + 1
        self.skipped += not takes
        if finite:
            self.norms.append(norm)
        if keeps:
            self.losses.append(loss)
        return takes

    @property
    def steady(self) -> bool:
        """Whether the last iteration was as it should be, so that its state is worth keeping."""
        return self.off == 0

    @property
    def lost(self) -> bool:
        """Whether the run has left its course."""
        return self.off >= _LONG

    def gets_on(self) -> None:
        """The run has come further than where it would go back to."""
        self.tries = 0

    def goes_back(self) -> None:
        """From here on at half the rate.

        Raises:
            FloatingPointError: it went back too often; the message says what to do.
        """
        if self.tries == _TRIES:
            raise FloatingPointError(
                f"the run leaves its course even at {self.rate:g} of the learning rate, after going back {_TRIES} "
                "times: its gradients or losses are far above the usual or not finite; lower --rate"
            )
        self.rate, self.tries, self.off = self.rate / 2, self.tries + 1, 0
        self.norms.clear()

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {**vars(self), "norms": list(self.norms), "losses": list(self.losses)}

    def load(self, state: dict[str, Any]) -> None:
        """The inverse of :meth:`state`."""
        vars(self).update(state, norms=deque(state["norms"], _STEPS), losses=deque(state["losses"], _STEPS))

    @staticmethod
    def _usual(values: deque[float]) -> float:
        return median(values) if len(values) >= _ENOUGH else math.inf
