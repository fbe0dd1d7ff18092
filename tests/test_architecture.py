"""The house keeps its plan: imports downwards, no circle, every room on the map, no file that holds many ideas."""

import re
import sys
from pathlib import Path

import pytest

from nlrn.config import TASKS

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def rooms() -> dict[str, dict[str, set[Path]]]:
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        from rooms import imports

        return imports()
    finally:
        sys.path.remove(str(ROOT / "scripts"))


def test_no_room_imports_itself_by_way_of_others(rooms) -> None:
    settled: set[str] = set()

    def visit(room: str, way: tuple[str, ...]) -> None:
        assert room not in way, f"a circle: {' -> '.join([*way, room])}"
        if room not in settled:
            for other in rooms.get(room, {}):
                visit(other, (*way, room))
            settled.add(room)

    for room in rooms:
        visit(room, ())


def test_the_house_does_not_grow_doors_unseen(rooms) -> None:
    assert len(rooms) <= 25
    assert sum(map(len, rooms.values())) <= 90


def test_every_room_is_on_the_map(rooms) -> None:
    told = (ROOT / "ARCHITECTURE.md").read_text()
    unseen = {"__init__", "__main__", "scripts"}
    missing = [
        name for name in rooms if name not in unseen and f"`{name}/`" not in told and f"`{name}.py`" not in told
    ]
    assert missing == []


@pytest.mark.parametrize("name", ["correlation", "images", "pixels", "files", "errors", "config"])
def test_the_ground_floor_knows_nothing_of_what_stands_on_it(rooms, name: str) -> None:
    assert set(rooms[name]) <= {"files", "errors", "config"} - {name}


def test_a_file_holds_one_idea() -> None:
    long = {p.name: n for p in (ROOT / "src").rglob("*.py") if (n := len(p.read_text().splitlines())) > 300}
    assert long == {}


def test_a_task_is_asked_for_what_it_is_and_not_compared_by_name() -> None:
    """What a task is stands in ``nlrn.config``: a new one must not have to be found in twenty conditions."""
    name = f"""["']({"|".join(TASKS)})["']"""
    compared = re.compile(rf"[!=]=\s*{name}|{name}\s*[!=]=|\bin [(\[{{]\s*{name}")
    found = [
        f"{path.name}:{number}"
        for path in (ROOT / "src").rglob("*.py")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if compared.search(line)
    ]
    assert found == []
