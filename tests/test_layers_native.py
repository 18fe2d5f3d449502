"""The rooms of the C++ sources: what each may include, read from its `#include` lines."""

from __future__ import annotations

import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

pytestmark = pytest.mark.checkout
GINT = Path(__file__).resolve().parent.parent / "src/gint"
INTERPRETERS = GINT / "kernel/interpreter"
CPP, PORTABLE, NATIVE = INTERPRETERS / "cpp/src", INTERPRETERS / "portable", GINT / "native/src"

#: Room: the rooms it may include, itself apart. The lowest first.
ROOMS = {
    "portable": set(),
    "cpu": set(),
    "program": set(),
    "layout": {"program"},
    "loops": {"portable"},
    "quantized": {"cpu", "loops", "portable"},
    "attention": {"cpu", "loops", "portable"},
    "scatter": {"cpu", "loops", "portable"},
    "row": {"cpu", "loops", "portable"},
    "copies": {"cpu", "loops"},
    "dense": {"cpu", "loops", "portable"},
    "schedule": {"layout", "program", "loops"},
    "run": {"schedule", "layout", "program", "cpu", "loops"},
    "native": {
        "run",
        "schedule",
        "layout",
        "program",
        "cpu",
        "loops",
        "quantized",
        "attention",
        "scatter",
        "row",
        "copies",
        "dense",
        "portable",
    },
}
#: Made by the build, below all rooms.
GENERATED = {"isa.inc", "isa_device.inc", "simd_units.inc"}
PYTHON = re.compile(r"Python\.h|structmember\.h|nanobind/|numpy/")


def files_of(room: str) -> list[Path]:
    folder = {"portable": PORTABLE, "native": NATIVE}.get(room, CPP / room)
    return sorted(file for end in ("*.h", "*.cpp") for file in folder.rglob(end))


def included(file: Path, quotes: str = '""') -> list[str]:
    """What `file` includes between these quotes."""
    line = rf"^\s*#\s*include\s+{quotes[0]}([^{quotes[1]}]+){quotes[1]}"
    return re.findall(line, file.read_text(), re.MULTILINE)


def room_of(name: str, file: Path) -> str:
    """The room that `file` means by `name`; fails where there is no such file."""
    if (CPP / name).is_file():
        return name.split("/")[0]
    found = [room for room, folder in (("portable", PORTABLE), ("native", NATIVE))
             if (folder / name).is_file()]  # fmt: skip
    assert found, f"{file} includes {name}, which does not exist"
    return found[0]


def test_every_folder_is_a_room():
    folders = {folder.name for folder in CPP.iterdir() if folder.is_dir()}
    assert folders == set(ROOMS) - {"portable", "native"}
    assert not list(CPP.glob("*.*")), "files of no room"


def test_the_rooms_stand_one_above_the_other():
    TopologicalSorter(ROOMS).prepare()  # raises CycleError


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_includes_no_other_than_it_may(room):
    files = files_of(room)
    assert files
    for file in files:
        for name in set(included(file)) - GENERATED:
            other = room_of(name, file)
            assert other == room or other in ROOMS[room], f"{file.name} ({room}) includes {name}"


def test_headers_do_not_include_each_other_in_a_circle():
    graph = {}
    for room in ROOMS:
        for file in files_of(room):
            own = f"{room}/{file.name}"
            names = set(included(file)) - GENERATED
            graph[own] = {f"{room_of(name, file)}/{Path(name).name}" for name in names} - {own}
    TopologicalSorter(graph).prepare()  # raises CycleError


def test_only_the_native_module_knows_python():
    knowing = [
        file
        for file in [*GINT.rglob("*.h"), *GINT.rglob("*.cpp")]
        if any(PYTHON.match(name) for name in included(file, "<>"))
    ]
    assert knowing
    assert all(NATIVE in file.parents for file in knowing), knowing
