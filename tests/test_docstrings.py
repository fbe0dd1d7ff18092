"""The examples in docstrings are run, and no public name is without one."""

import ast
import doctest
from importlib import import_module
from pathlib import Path

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
    "nlrn.pixels.compression",
    "nlrn.pixels.range",
    "nlrn.pixels.tint",
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


def test_a_docstring_says_what_a_thing_does_and_not_what_about_it() -> None:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    begun = [
        f"{path.name}: {said}"
        for path in Path(nlrn.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, documented)
        and (said := ast.get_docstring(node) or "").startswith(("What ", "How ", "Which "))
    ]
    assert begun == []
