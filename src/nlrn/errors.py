"""Errors that are the user's to mend: the command line prints their sentence and exits with 2."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class UserError(Exception):
    """Something that was given cannot be used; the message is one sentence that names it and the remedy."""


class UsageError(UserError):
    """A request that makes no sense; the message says why and what to do."""


class ModelError(UserError):
    """A model cannot be found, read or used; the message says which and what to do.

    >>> import nlrn
    >>> nlrn.load("no-such-model")
    Traceback (most recent call last):
    nlrn.errors.ModelError: no-such-model: no such model ...
    """


class NoiseWarning(UserWarning):
    """A picture that looks noisy was left as it is, because its noise cannot be estimated; the message says why.

    >>> import warnings
    >>> warnings.simplefilter("error", NoiseWarning)  # for whoever wants to be stopped
    """


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Around imports that an optional extra brings.

    Raises:
        UsageError: one of them is not installed.

    >>> with needs("web"):
    ...     import a_module_that_is_not_there
    Traceback (most recent call last):
    nlrn.errors.UsageError: this needs a_module_that_is_not_there; install nlrn[web]
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise UsageError(f"this needs {error.name}; install nlrn[{extra}]") from error


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """A question for the end of a sentence; empty where nothing is like what was given.

    >>> did_you_mean("denoise-grey", ["denoise-gray", "sr"])
    ': did you mean denoise-gray?'
    """
    from difflib import get_close_matches  # only where something went wrong

    close = get_close_matches(given, list(known), 1)
    return f": did you mean {close[0]}?" if close else ""
