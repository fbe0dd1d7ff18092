"""``nlrn denoise`` and ``nlrn upscale``: restore files and folders."""

import argparse
import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

from nlrn.batch.naming import Naming
from nlrn.batch.recipe import Recipe
from nlrn.cli.exits import DONE, MEANING, SOME_FAILED, WRONG_USE
from nlrn.cli.flags import add_flags, from_flags
from nlrn.cli.options import name
from nlrn.config import DENOISE, SUPER_RESOLUTION, Task
from nlrn.errors import UsageError

if TYPE_CHECKING:
    from nlrn.batch import Outcome
    from nlrn.cli.options import Commands


def add(commands: "Commands") -> None:
    _add(commands, DENOISE, "remove noise from images")
    _add(commands, SUPER_RESOLUTION, "enlarge images")


def _add(commands: "Commands", task: Task, about: str) -> None:
    parser = commands.add_parser(task.verb, help=about, epilog=MEANING)
    parser.add_argument(
        "inputs", type=name, nargs="+", metavar="INPUT", help="image files, folders of them, patterns, or - for stdin"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=name,
        metavar="OUT",
        help="a file for one input, a folder for several or for a folder, - for stdout; default beside each input",
    )
    others = [field.name for field in fields(Recipe) if field.metadata.get("task", task.name) != task.name]
    add_flags(parser, Recipe, skip=("task", *others))
    add_flags(parser, Naming)
    parser.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="ray: on the cluster of RAY_ADDRESS, or in several processes here; needs nlrn[ray]",
    )
    parser.add_argument(
        "--workers", type=int, metavar="N", help="processes of the engine ray; default one to a GPU or processor"
    )
    said = parser.add_mutually_exclusive_group()
    said.add_argument("-q", "--quiet", action="store_true", help="say nothing but what went wrong, and warnings")
    said.add_argument("-v", "--verbose", action="store_true", help="say more, for reports of errors")
    parser.add_argument(
        "--json",
        action="store_true",
        help="print a line of JSON for each picture: file, level, model, seconds, output, error",
    )
    defaults = {field.name: field.default for field in fields(Recipe) if field.name in others}
    parser.set_defaults(command=_run, task=task, **defaults)


def _run(options: argparse.Namespace) -> int:
    from nlrn.batch import run
    from nlrn.cli.saying import say
    from nlrn.cli.watching import json_line, summary, watching

    recipe = from_flags(Recipe, options, task=options.task.name)
    naming = from_flags(Naming, options)
    if options.json and (options.output == "-" or (options.inputs == ["-"] and options.output is None)):
        raise UsageError("--json and the picture would both go to standard output: give a file as --output")
    suffix = naming.suffix
    if suffix is None:
        suffix = "" if options.output or naming.replace else recipe.suffix
    with watching(quiet=options.quiet, verbose=options.verbose, as_json=options.json) as watch:
        try:
            outcome = run(
                recipe,
                list(_matched(options.inputs)),
                options.output,
                **{**vars(naming), "suffix": suffix},
                engine=options.engine,
                workers=options.workers,
                watch=watch,
            )
        except KeyboardInterrupt as stop:
            if watch.count:
                stop.args = (watch.stopped(),)
            raise
    if options.json:
        print(*map(json_line, outcome.failed), sep="\n", end="\n" * bool(outcome.failed))
    for line in summary(outcome, quiet=options.quiet):
        say(line)
    return _exit_code(outcome)


def _exit_code(outcome: "Outcome") -> int:
    if not outcome.failed:
        return DONE
    return SOME_FAILED if outcome.done or outcome.skipped or len(outcome.failed) > 1 else WRONG_USE


def _matched(inputs: Sequence[str]) -> Iterator[str]:
    """The inputs, with patterns that no shell has looked up replaced by what they match."""
    for given in inputs:
        if os.path.lexists(given) or not glob.has_magic(given):
            yield given
            continue
        found = sorted(glob.glob(given, recursive=True))
        if not found:
            raise UsageError(f"{given} matches no file: check the pattern and the folder")
        yield from found
