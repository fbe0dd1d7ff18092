"""The command line. What a command needs is imported when it runs: ``nlrn --help`` must not wait for torch."""

import argparse
import sys
from collections.abc import Callable, Sequence

import nlrn
from nlrn.cli import benching, evaluating, explaining, exporting, looking, restoring, serving, training
from nlrn.cli.exits import INTERRUPTED, WRONG_USE
from nlrn.errors import UserError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 0 done, 1 some inputs failed, 2 wrong use or bad input."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = make_parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except KeyboardInterrupt:
        print("nlrn: interrupted; finished files are whole, and --skip-existing goes on from them", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        if not isinstance(error, (UserError, ValueError, OSError, FloatingPointError)):
            raise
        print(f"nlrn: {error}", file=sys.stderr)
        return WRONG_USE


def make_parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="nlrn", description="Denoise and upscale images, offline.")
    top.add_argument("--version", action="version", version=f"nlrn {nlrn.__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    restoring.add(commands)
    looking.add(commands)
    explaining.add(commands)
    serving.add(commands)
    evaluating.add(commands)
    benching.add(commands)
    exporting.add(commands)
    training.add(commands)
    return top
