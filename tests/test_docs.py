"""The documentation names what there is."""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nlrn.cli import make_parser

sys.path.insert(0, str(Path(__file__).parents[1] / "docs"))
from commands import commands_page

DOCS = Path(__file__).parents[1] / "docs"


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield from parsers(child)


def test_every_command_and_option_is_on_the_page() -> None:
    whole = make_parser()
    lines = commands_page(whole).splitlines()
    found = [p for p in parsers(whole) if p is not whole]
    assert {p.prog for p in found} >= {"nlrn denoise", "nlrn export", "nlrn train sr"}
    for parser in found:
        start = next(i for i, line in enumerate(lines) if line.lstrip("# ") == parser.prog)
        part = []
        for line in lines[start + 1 :]:
            if line.startswith("#"):
                break
            part.append(line)
        text = "\n".join(part)
        for action in parser._actions:
            if not isinstance(action, (argparse._HelpAction, argparse._SubParsersAction)):
                assert f"`{(action.option_strings or [action.metavar or action.dest])[0]}`" in text


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda path: path.stem)
def test_every_page_is_reached(page: Path) -> None:
    others = "".join(p.read_text() for p in DOCS.glob("*.md") if p != page)
    assert page.stem in ("index", "results") or page.stem in others


def test_every_yes_of_the_expectations_names_a_test() -> None:
    tests, found = DOCS.parent / "tests", 0
    for line in (DOCS / "expectations.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != 4 or cells[0] in ("expected", "---"):
            continue
        named = re.findall(r"`(\w+)::(\w+)`", cells[3])
        assert bool(named) == cells[2].startswith("yes"), line
        found += len(named)
        for file, name in named:
            assert f"def {name}(" in (tests / f"{file}.py").read_text(), f"{file}::{name}"
    assert found > 50
