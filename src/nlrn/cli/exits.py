"""The exit codes and their meaning."""

DONE, SOME_FAILED, WRONG_USE, INTERRUPTED = 0, 1, 2, 130
STOPPED = 128
"""And the number of the signal: 143 for SIGTERM, 129 for SIGHUP."""

MEANING = (
    "Exit codes: 0 all done; 1 something that was asked for could not be done, the rest is; 2 wrong use, or the one "
    "input cannot be used; 130 ended by Ctrl-C, 143 by SIGTERM, 129 by SIGHUP."
)
