"""The command line. What a command needs is imported when it runs: ``nlrn --help`` must not wait for torch."""

import argparse
import signal
import sys
from collections.abc import Callable, Sequence

import nlrn
from nlrn.cli import benching, completing, evaluating, explaining, exporting, looking, restoring, serving, training
from nlrn.cli.exits import INTERRUPTED, MEANING, STOPPED, WRONG_USE
from nlrn.cli.parsing import Parser
from nlrn.cli.saying import lasting_streams, say
from nlrn.cli.stopping import Stopped, stoppable
from nlrn.errors import UserError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 0 done, 1 some inputs failed, 2 wrong use or bad input.

    >>> main(["models", "--json"]) # doctest: +ELLIPSIS
    {...
    0
    """
    with lasting_streams():
        options = make_parser().parse_args(sys.argv[1:] if arguments is None else arguments)
        command: Callable[[argparse.Namespace], int] = options.command
        try:
            with stoppable():
                code = command(options)
            sys.stdout.flush()
        except KeyboardInterrupt as stop:
            code, how = INTERRUPTED, "interrupted"
            if isinstance(stop, Stopped):
                code = STOPPED + stop.number
                how = "interrupted" if code == INTERRUPTED else f"ended by {signal.Signals(stop.number).name}"
            say(f"{how}; {stop if stop.args else 'what was finished is whole'}")
        except Exception as error:
            if not isinstance(error, (UserError, ValueError, OSError, FloatingPointError)):
                raise
            say(str(error))
            code = WRONG_USE
        return code


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    top = Parser(prog="nlrn", description="Denoise and upscale images, offline.", epilog=MEANING)
    top.add_argument("--version", action="version", version=f"nlrn {nlrn.__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    for part in (
        restoring,
        looking,
        explaining,
        serving,
        evaluating,
        benching,
        exporting,
        training,
        completing,
    ):
        part.add(commands)
    return top
