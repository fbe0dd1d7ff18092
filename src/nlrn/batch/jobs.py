"""Plans the work on image files: which there are, and where their restored forms go."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from nlrn.batch.finding import images_below
from nlrn.batch.job import Done, Job, Restored
from nlrn.batch.naming import Naming
from nlrn.batch.originals import is_the_same
from nlrn.batch.streams import STDIN, STDOUT, is_stream
from nlrn.errors import UsageError, UserError, did_you_mean
from nlrn.images import SUFFIXES, WRITABLE, writable_ending

_log = logging.getLogger("nlrn")


@dataclass
class Plan:
    """The jobs to do, and what is not done."""

    jobs: list[Job] = field(default_factory=list)
    passed_over: list[Done] = field(default_factory=list)
    """What was found in folders and may have been meant, each with its reason."""
    earlier: list[Path] = field(default_factory=list)
    """Results of earlier runs, which are no inputs."""


def plan_jobs(inputs: Sequence[Path], out: Path | None, suffix: str = "") -> list[Job]:
    """Pair every input with its output; see :func:`plan`."""
    return plan(inputs, out, Naming(suffix=suffix)).jobs


def plan(inputs: Sequence[Path], out: Path | None, naming: Naming, *, folder: bool = False) -> Plan:
    """Pair every input with its output, each once.

    Args:
        inputs: image files, and folders that are searched recursively. Hidden and junk files and folders are
            passed over; so is ``out`` where it lies in one of them, and what is named as the result of another.
        out: a file for one input file; a folder for several or for a folder, whose tree is kept; None for the
            place of each input.
        naming: of the outputs.
        folder: ``out`` is one, whatever its name looks like.

    Raises:
        UsageError: the outputs cannot be laid out like that.
    """
    naming.check(out)
    naming = replace(naming, format=_ending(naming.format)[1:] or None)
    inputs = list({_entry(given): given for given in reversed(inputs)}.values())[::-1]
    if STDIN in inputs and len(inputs) > 1:
        raise UsageError("- stands for the one picture that comes through standard input: give no other with it")
    if len(inputs) == 1 and not os.path.isdir(inputs[0]):
        whole = _whole_name(inputs[0], out, naming, folder)
        if whole is not None:
            return Plan(_without_clashes([whole]))
    _refuse_file(out, folder)
    planned = Plan()
    chosen: dict[str, tuple[Path, Path, bool]] = {}
    for given in inputs:
        root, searched = (given, True) if os.path.isdir(given) else (given.parent, False)
        if is_stream(given):
            raise UsageError(f"{given} is a pipe, which has no name of its own: give --output for it alone")
        place = root if out is None else out
        if searched:
            found = images_below(given, out, follow_links=naming.follow_links)
            sources = found.images
            planned.passed_over += [
                Done(Job(path, place / path.relative_to(root)), reason, 0) for path, reason in found.passed_over
            ]
        else:
            sources = [given]
        for source in sources:
            key = os.path.realpath(source) if naming.replace else _entry(source)
            chosen.setdefault(key, (source, place / source.relative_to(root).parent, searched))
    earlier = _results(chosen, naming)
    planned.earlier = [source for key, (source, _, _) in chosen.items() if key in earlier]
    jobs = [_job(source, place, naming) for key, (source, place, _) in chosen.items() if key not in earlier]
    planned.jobs = _without_clashes(jobs)
    if not planned.jobs and not planned.passed_over:
        raise UsageError(f"{', '.join(map(str, inputs))}: no image files in there")
    return planned


def is_done(job: Job) -> bool:
    """Whether the output is there. Of a run that replaces inputs it is the backup that tells."""
    if is_stream(job.target):
        return False
    if job.backup is None:
        return os.path.exists(job.target)
    return job.backup.exists() and not (job.target.exists() and is_the_same(job.target, job.backup))


def reason_of(job: Job, error: Exception) -> str:
    """The sentence for the user about a job that failed; it names the file."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return f"{job.source}: not enough memory; use --device cpu or a smaller image"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or job.target}: {error.strerror}"
    if isinstance(error, (UserError, ValueError)):
        said = str(error)
        named = job.source == STDIN or str(job.source) in said or str(job.target) in said
        return said if named else f"{job.source}: {said}"
    return (
        f"{job.source}: {type(error).__name__}: {' '.join(str(error).split())} (an error of nlrn: please report it)"
    )


def outcome_of(job: Job, made: Restored | Exception) -> Done:
    """The record of a job that is over, from what was made of it or what went wrong."""
    if isinstance(made, Exception):
        _log.debug("%s", job.source, exc_info=made)
        return Done(job, reason_of(job, made), 0)
    return Done(job, None, made.pixels, level=made.level, model=made.model, seconds=made.seconds)


def _entry(path: Path) -> str:
    """One name for all ways to write it; a link is another than what it leads to."""
    return os.path.join(os.path.realpath(path.parent), path.name)


def _whole_name(source: Path, out: Path | None, naming: Naming, folder: bool) -> Job | None:
    """The job where the output is named in full or is a pipe; None where its name follows from the input's."""
    out = STDOUT if out is None and source == STDIN else out
    if out is None or folder or os.path.isdir(out) or not (out.suffix or is_stream(out)):
        return None
    ending = f".{naming.format}" if naming.format else ""
    if is_stream(out):
        return Job(source, out, ending=ending)
    if naming.suffix:
        raise UsageError(f"{out} is the whole name of the output; give a folder as --output, or no --suffix")
    if ending and SUFFIXES.get(out.suffix.lower()) != SUFFIXES[ending]:
        raise UsageError(f"{out} is the whole name of the output, and its ending its format; leave out --format")
    return Job(source, out)


def _refuse_file(out: Path | None, folder: bool) -> None:
    """Raise UsageError where a folder is needed and no folder is named."""
    if out is None or os.path.isdir(out):
        return
    if os.path.lexists(out) or is_stream(out):
        raise UsageError(f"{out} is a file; several images, or a folder of them, need a folder as --output")
    if out.suffix.lower() in SUFFIXES and not folder:
        raise UsageError(
            f"{out} is the name of one picture; several, or a folder of them, need a folder as --output "
            "(a slash at its end says that it is one)"
        )


def _ending(given: str | None) -> str:
    """The file ending of a format, with its dot; empty for none."""
    if given is None:
        return ""
    ending = f".{given.lower().lstrip('.')}"
    if ending not in WRITABLE:
        known = [one[1:] for one in WRITABLE]
        guess = did_you_mean(ending[1:], known) or f", only {', '.join(known)}"
        raise UsageError(f"--format {given} cannot be written{guess}")
    return ending


def _job(source: Path, place: Path, naming: Naming) -> Job:
    if not naming.replace:
        return Job(source, naming.target(source, place, writable_ending(source.suffix)))
    real = Path(os.path.realpath(source))
    return Job(source, real, real.with_name(real.name + naming.backup))


def _results(chosen: dict[str, tuple[Path, Path, bool]], naming: Naming) -> set[str]:
    """The keys of those that are named as results of others: of any run, if they were found in a folder."""
    stems = {(source.parent, source.stem) for source, _, _ in chosen.values()}
    return {
        key
        for key, (source, _, searched) in chosen.items()
        if (source.parent, naming.original_of(source.stem, any_run=searched)) in stems
    }


def _without_clashes(jobs: list[Job]) -> list[Job]:
    """The same jobs; UsageError where one would overwrite its input, or two would write one file."""
    seen: dict[str, Path] = {}
    sources = {os.path.realpath(job.source) for job in jobs if job.backup is None}
    for job in jobs:
        if is_stream(job.target):
            continue
        target = os.path.realpath(job.target)
        if job.backup is None and target == os.path.realpath(job.source):
            raise UsageError(
                f"{job.source} would be overwritten by its restored form; name another --output, or give --replace"
            )
        if target in sources:
            raise UsageError(f"{job.target} is an input too and would be overwritten; name another --output")
        if target in seen:
            raise UsageError(f"{seen[target]} and {job.source} would both become {job.target}; rename one")
        seen[target] = job.source
    return jobs
