"""Builds the C++ cases of this folder against the scheduler's sources, and runs them by name.

Knows compilers and the CASE lines of the files. Does not know schedules.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gint.isa.generate import header
from tests.kernel.interpreter.cpp.math_loops import INTERPRETERS, compiler

HERE = Path(__file__).parent
SOURCES = INTERPRETERS / "cpp/src"
ROOMS = ("program", "layout", "schedule")
PROGRAM = "cases"


def names_in(file: str) -> list[str]:
    """The cases in `file`, as `CASE(name)` lists them."""
    return re.findall(r"^CASE\((\w+)\)", (HERE / file).read_text(), re.MULTILINE)


def build(folder: Path) -> None:
    """Into `folder`, the program that runs a case. Unoptimised, the sources as one unit: quick."""
    (folder / "isa.inc").write_text(header())
    sources = [file for room in ROOMS for file in sorted(SOURCES.glob(f"{room}/*.cpp"))]
    everything = folder / "scheduler.cpp"
    everything.write_text("".join(f'#include "{file}"\n' for file in sources))
    flags = os.environ.get("CXXFLAGS", "").split()  # sanitizers: scripts/sanitize.py
    command = [str(compiler()), "-std=c++20", "-O0", *flags, f"-I{SOURCES}", f"-I{folder}"]

    def compile(unit: Path) -> str:
        made = folder / f"{unit.stem}.o"
        subprocess.run([*command, "-c", str(unit), "-o", str(made)], check=True)
        return str(made)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(compile, [everything, *sorted(HERE.glob("*.cpp"))]))
    subprocess.run([str(compiler()), *flags, *objects, "-o", str(folder / PROGRAM)], check=True)


def run(program: Path, name: str) -> None:
    """Raises AssertionError with what the case says."""
    emulator = shlex.split(os.environ.get("GINT_RUN_BY", ""))  # scripts/arm.py
    done = subprocess.run([*emulator, program, name], capture_output=True, text=True)
    assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
