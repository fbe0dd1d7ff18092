"""The examples in docstrings are run, and no public name is without one."""

import doctest
from importlib import import_module

import pytest

import nlrn

PUBLIC = [name for name in nlrn.__all__ if name != "__version__"]
MODULES = [
    "nlrn.images.alpha",
    "nlrn.images.exif",
    "nlrn.images.formats",
    "nlrn.images.photoshop",
    "nlrn.images.picture",
    "nlrn.images.reading",
    "nlrn.images.writing",
    "nlrn.models.cards",
    "nlrn.errors",
    "nlrn.pixels.arrays",
]


def run(examples: list[doctest.DocTest]) -> int:
    """The number of examples that were run; fails where one gives something else than it says."""
    runner = doctest.DocTestRunner(optionflags=doctest.IGNORE_EXCEPTION_DETAIL | doctest.ELLIPSIS)
    for example in examples:
        runner.run(example)
    assert runner.failures == 0
    return runner.tries


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_has_an_example_that_holds(name: str) -> None:
    thing = getattr(nlrn, name)
    assert run(doctest.DocTestFinder(recurse=False).find(thing, name)) > 0


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_hold(name: str) -> None:
    assert run(doctest.DocTestFinder().find(import_module(name), name)) > 0
