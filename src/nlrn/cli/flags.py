"""Command-line flags from the fields of a dataclass: name, type, default, and the string under the field as help.

The metadata of a field may say more: its "choices", and its "metavar", what stands for its value in the help.
"""

import argparse
import ast
import inspect
import textwrap
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from nlrn.cli.options import path

T = TypeVar("T")


def add_flags(parser: argparse._ActionsContainer, kind: type[Any], *, skip: tuple[str, ...] = ()) -> None:
    """Add a flag ``--field-name`` for each field of the dataclass ``kind``."""
    helps, hints = _docstrings(kind), get_type_hints(kind)
    for field in fields(kind):
        if field.name not in skip:
            parser.add_argument("--" + field.name.replace("_", "-"), **_argument(field, hints[field.name], helps))


def from_flags(kind: type[T], arguments: argparse.Namespace, **given: Any) -> T:
    """The dataclass that the flags say; ``given`` are the fields that were skipped.

    Raises:
        ValueError: whatever the dataclass raises for values that do not fit.
    """
    values = {f.name: getattr(arguments, f.name) for f in fields(kind) if f.name not in given}  # type: ignore[arg-type]  # T is a dataclass
    return kind(**{n: tuple(v) if isinstance(v, list) else v for n, v in values.items()}, **given)


def _argument(field: "Field[Any]", hint: Any, helps: dict[str, str]) -> dict[str, Any]:
    help_text = helps.get(field.name, "").replace("%", "%%")
    # an optional field: the type that is not None
    plain = next((t for t in get_args(hint) if t is not type(None) and get_origin(hint) is not tuple), hint)
    if field.default is MISSING:
        options: dict[str, Any] = {"required": True, "help": help_text}
    else:
        shown = " ".join(map(str, field.default)) if isinstance(field.default, tuple) else field.default
        told = "" if shown is None else f" Default: {shown}."
        options = {"default": field.default, "help": help_text + told}
    if hint is bool:
        if field.default is True:
            return {**options, "action": argparse.BooleanOptionalAction}
        return {"help": help_text, "action": "store_true"}
    if "choices" in field.metadata:
        return {**options, "choices": field.metadata["choices"]}
    if get_origin(hint) is tuple:
        inner = get_args(hint)
        kind = path if inner[0] is Path else inner[0]
        return {**options, "type": kind, "nargs": "+" if inner[-1] is Ellipsis else len(inner)}
    kind = path if plain is Path else plain
    metavar = field.metadata.get("metavar", "DIR" if plain is Path else plain.__name__.upper())
    return {**options, "type": kind, "metavar": metavar}


def _docstrings(kind: type[Any]) -> dict[str, str]:
    """The strings that stand under the fields in the source, also in that of what the class is derived from."""
    said = {name: text for base in kind.__bases__ if is_dataclass(base) for name, text in _docstrings(base).items()}
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(body, ast.ClassDef)
    for above, below in zip(body.body, body.body[1:], strict=False):
        if (
            isinstance(above, ast.AnnAssign)
            and isinstance(above.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
        ):
            said[above.target.id] = inspect.cleandoc(str(below.value.value)).replace("\n", " ")
    return said
