"""Names of a package that are imported when they are first used."""

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any


def lazy(
    package: str,
    homes: Mapping[str, str],
    others: Iterable[str] = (),
    moved: Mapping[str, str] = MappingProxyType({}),
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The ``__getattr__`` and ``__dir__`` of a package.

    Args:
        package: its name.
        homes: for each public name the module that it lives in.
        others: public names that the package has already.
        moved: modules that are still found under the names that they once had.
    """

    def get(name: str) -> Any:
        if name in moved:
            return import_module(moved[name])
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(homes[name]), name)

    return get, lambda: sorted({*homes, *others})
