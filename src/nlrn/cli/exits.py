"""What the exit codes mean."""

DONE, SOME_FAILED, WRONG_USE, INTERRUPTED = 0, 1, 2, 130
