"""The rooms of `src`, and which of them each may import. Imports point one way.

Every import counts: those inside functions, which only put off the cost of a library, and those for
type checkers, which a reader follows all the same. There is no list of exceptions.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

pytestmark = pytest.mark.checkout

SOURCE = Path(__file__).resolve().parents[1] / "src"

_INTERPRETER = "gint.kernel.interpreter"
_PROGRAMS = ("gint.isa", "gint.program")

#: How classes are made: for every room.
_BELOW_ALL = "gint.dataclass"

#: Room -> the rooms it imports, besides itself. Of several names the longest is a module's room.
ROOMS: dict[str, tuple[str, ...]] = {
    _BELOW_ALL: (),
    "gint.isa": (),
    "gint.program": ("gint.isa",),
    "gint.quantized": (),
    "gint.backend": (*_PROGRAMS, "gint.quantized"),
    "gint.native": (),
    f"{_INTERPRETER}.numpy": (*_PROGRAMS, "gint.quantized", "gint.backend"),
    f"{_INTERPRETER}.device": (*_PROGRAMS, "gint.quantized", f"{_INTERPRETER}.numpy"),
    f"{_INTERPRETER}.cpp": (*_PROGRAMS, "gint.quantized", "gint.backend", "gint.native"),
    f"{_INTERPRETER}.opencl": (
        "gint.program", "gint.quantized", "gint.backend", f"{_INTERPRETER}.device",
    ),
    f"{_INTERPRETER}.cuda": (
        *_PROGRAMS, "gint.quantized", "gint.backend", f"{_INTERPRETER}.device",
    ),
    _INTERPRETER: (),
    "gint.kernel": (),
    "gint.host": (*_PROGRAMS, "gint.quantized", "gint.backend", "gint.native"),
    "gint.operators": ("gint.quantized", "gint.backend", "gint.host"),
    "gint.plan": ("gint.program",),
    "gint.runtime": (
        "gint.program", "gint.backend", "gint.host", "gint.operators", "gint.plan",
        "gint.runtime.tensors",
    ),
    "gint.runtime.tensors": (
        "gint.program", "gint.backend", "gint.native", "gint.host", "gint.operators", "gint.plan",
    ),
    "gint.precompile": ("gint.plan", "gint.runtime", "gint.runtime.tensors"),
    "gint.conductor.graph": ("gint.isa", "gint.host", "gint.plan"),
    "gint.conductor.trace": (),
    "gint.conductor.lowering": (*_PROGRAMS, "gint.backend", "gint.host", "gint.conductor.graph"),
    "gint.conductor.partition": (*_PROGRAMS, "gint.conductor.graph", "gint.conductor.lowering"),
    "gint.conductor.plan": (
        "gint.program", "gint.backend", f"{_INTERPRETER}.device", "gint.host", "gint.plan",
        "gint.runtime.tensors", "gint.conductor.graph", "gint.conductor.lowering",
        "gint.conductor.partition",
    ),
    "gint.conductor.weights": (
        "gint.quantized", "gint.host", "gint.runtime.tensors", "gint.conductor.trace",
    ),
    "gint.conductor.freeze": (
        "gint.runtime.tensors", "gint.conductor.graph", "gint.conductor.trace",
    ),
    "gint.conductor": (
        "gint.program", "gint.quantized", "gint.backend", "gint.host", "gint.operators",
        "gint.plan", "gint.runtime.tensors", "gint.precompile", "gint.conductor.graph",
        "gint.conductor.trace", "gint.conductor.lowering", "gint.conductor.partition",
        "gint.conductor.plan", "gint.conductor.weights", "gint.conductor.freeze",
    ),
    "gint.measuring": ("gint.runtime", "gint.conductor"),
    "gint.demo": ("gint.measuring",),
    "gint": ("gint.backend", "gint.native", "gint.host", "gint.runtime"),
    "airllm": ("gint.backend", "gint.host"),
    "airllm.tensor_ops": ("gint.quantized", "gint.host", "gint.operators", "airllm"),
    "airllm.checkpoint": ("gint.quantized",),
    "airllm.generation": ("gint.host", "airllm.tensor_ops"),
    "airllm.model": (
        "gint.program", "gint.quantized", "gint.host", "airllm.tensor_ops", "airllm.checkpoint",
        "airllm.generation",
    ),
    "airllm.cli": (
        "gint.native", "gint.host", "gint", "airllm.tensor_ops", "airllm.checkpoint",
        "airllm.generation", "airllm.model",
    ),
    "airllm.cpp_ext": (
        "gint.backend", "gint.native", f"{_INTERPRETER}.cuda", "gint.host", "airllm",
        "airllm.tensor_ops",
    ),
}  # fmt: skip

#: Libraries that only some rooms may import. Standard library and NumPy are for all but the lowest.
LIBRARIES: dict[str, tuple[str, ...]] = {
    "torch": (
        "gint.conductor", "gint.precompile", "gint.runtime.tensors", "gint.measuring", "gint.demo",
        "airllm.tensor_ops", "airllm.cpp_ext",
    ),
    "pyopencl": (f"{_INTERPRETER}.opencl",),
    "cuda": (f"{_INTERPRETER}.cuda",),
    "transformers": ("airllm.cli", "gint.conductor", "gint.measuring"),
    "tokenizers": ("airllm.cli",),
    "gguf": ("gint.quantized", "airllm.checkpoint", "airllm.model", "gint.conductor"),
    "ml_dtypes": ("gint.runtime",),
    "numpy": (
        "gint.quantized", "gint.kernel", "gint.host", "gint.operators", "gint.runtime",
        "gint.conductor", "gint.measuring", "airllm",
    ),
}  # fmt: skip


@cache
def modules() -> dict[str, Path]:
    """Dotted name -> file, of all modules and packages in `src`."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def room_of(module: str) -> str:
    """The room a module belongs to."""
    return max((r for r in ROOMS if f"{module}.".startswith(f"{r}.")), key=len)


@cache
def imports_of(module: str) -> frozenset[str]:
    """The modules a module imports, ours by their full names, others by that of their package."""
    path = modules()[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.update(_named(node, package))
    return frozenset(name if name in modules() else name.partition(".")[0] for name in found)


def _named(node: ast.ImportFrom, package: str) -> Iterator[str]:
    base = node.module or ""
    if node.level:
        parts = package.split(".")[: len(package.split(".")) - node.level + 1]
        base = ".".join([*parts, *([base] if base else [])])
    for alias in node.names:
        inner = f"{base}.{alias.name}"
        yield inner if inner in modules() else base


def rooms_of(module: str) -> set[str]:
    """The rooms that a module imports."""
    return {room_of(name) for name in imports_of(module) if name in modules()}


def test_every_module_belongs_to_a_room():
    assert all(any(f"{m}.".startswith(f"{r}.") for r in ROOMS) for m in modules())


@pytest.mark.parametrize("module", modules())
def test_a_room_imports_those_below_it(module):
    room = room_of(module)
    assert rooms_of(module) <= {room, _BELOW_ALL, *ROOMS[room]}


@pytest.mark.parametrize("room", ROOMS)
def test_no_room_may_import_what_it_does_not(room):
    used = set().union(*[rooms_of(m) for m in modules() if room_of(m) == room])
    assert set(ROOMS[room]) <= used


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_is_imported_where_the_page_says(library):
    users = {m for m in modules() if library in imports_of(m) and not _only_for_types(m, library)}
    rooms = {m: [r for r in LIBRARIES[library] if f"{m}.".startswith(f"{r}.")] for m in users}
    assert [m for m, of in rooms.items() if not of] == []
    assert set(LIBRARIES[library]) == {r for of in rooms.values() for r in of}


def _only_for_types(module: str, library: str) -> bool:
    """Whether a library is imported for type checkers alone, which costs nobody anything."""
    tree = ast.parse(modules()[module].read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = [ast.Pass()]
    left = {alias.name.partition(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import)
            for alias in n.names}  # fmt: skip
    left |= {
        (n.module or "").partition(".")[0]
        for n in ast.walk(tree)
        if isinstance(n, ast.ImportFrom) and not n.level
    }
    return library not in left


def test_no_modules_import_each_other():
    assert [sorted(c) for c in circles(modules(), imports_of)] == []


def test_no_rooms_import_each_other():
    assert [sorted(c) for c in circles(ROOMS, ROOMS.__getitem__)] == []


def circles(names, imports) -> list[set[str]]:
    """Sets of modules of which each imports, directly or not, every other."""
    reach = {name: set(imports(name)) & set(names) - {name} for name in names}
    for middle in names:  # Warshall's closure
        for name in names:
            if middle in reach[name]:
                reach[name] |= reach[middle]
    found: list[set[str]] = []
    for name in names:
        circle = {other for other in reach[name] if name in reach[other]} | {name}
        if len(circle) > 1 and circle not in found:
            found.append(circle)
    return found


def test_circles_are_found():
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}
    assert circles(graph, graph.__getitem__) == [{"a", "b", "c"}]
