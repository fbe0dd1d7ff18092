"""A Sphinx extension of this site's own: makes what its pages show, in the folder ``_made``, before they are read."""

from pathlib import Path

from commands import commands_page
from figures import draw_all
from sphinx.application import Sphinx

from nlrn.cli import make_parser

HERE = Path(__file__).parent
MADE = HERE / "_made"
NO_RESULTS = """No table has been made in this checkout. It is written by

    nlrn evaluate --all --data DIR --markdown docs/results.md

where `DIR` holds the test sets, each in a folder of its usual name. The scores of each model also stand in its card
and in `nlrn models`.
"""


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", _make)
    return {"parallel_read_safe": True}


def _make(app: Sphinx) -> None:
    MADE.mkdir(exist_ok=True)
    _write("commands.md", commands_page(make_parser()))
    results = HERE / "results.md"
    _write("results.md", results.read_text() if results.exists() else NO_RESULTS)
    for name, text in draw_all(MADE).items():
        _write(f"{name}.md", text)


def _write(name: str, text: str) -> None:
    # files that did not change keep their time, so that the pages around them are not built again
    path = MADE / name
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
