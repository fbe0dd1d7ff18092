"""Print the rooms of the house and what each imports.

    python scripts/rooms.py

A room is a file or a folder of src/nlrn, or a folder of code beside it. Imports are read from the source, also those
inside functions.
"""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "nlrn"


def sources() -> dict[str, Path]:
    """Every module of the package by its name."""
    names = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        names[".".join(parts).removesuffix(".__init__")] = path
    return names


def room(path: Path) -> str:
    """The room that a file lies in."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts if path.is_relative_to(PACKAGE) else ("scripts",)
    return parts[0]


def imports() -> dict[str, dict[str, set[Path]]]:
    """For each room the rooms it imports, and the files that do it."""
    modules = sources()
    found: dict[str, dict[str, set[Path]]] = {room(path): {} for path in modules.values()}
    for path in [*modules.values(), *(ROOT / "scripts").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            else:
                continue
            for name in names:
                while name and name not in modules:
                    name = name.rpartition(".")[0]
                if name and room(modules[name]) != room(path):
                    found.setdefault(room(path), {}).setdefault(room(modules[name]), set()).add(path)
    return found


def main() -> None:
    found = imports()
    for name, others in sorted(found.items(), key=lambda item: (-len(item[1]), item[0])):
        print(f"{name:12} {len(others):2}  {' '.join(sorted(others))}")
    print(f"{len(found)} rooms, {sum(map(len, found.values()))} imports between them")


if __name__ == "__main__":
    main()
