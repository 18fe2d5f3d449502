"""Units compiled for different instruction sets share no function.

The linker keeps one copy of a symbol that several objects define (an inline function, a template of
the standard library). Were it the AVX-512 copy, an older CPU would meet an unknown instruction.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = [pytest.mark.checkout, pytest.mark.cpp]


def defined(objects: list[Path]) -> set[str]:
    """The functions these objects define for others, global (T) or weak (W)."""
    lines = subprocess.check_output(["nm", "--defined-only", "-gC", *map(str, objects)], text=True)
    return set(re.findall(r"^[0-9a-f]+ [TW] (.+)$", lines, re.MULTILINE))


@pytest.fixture(scope="module")
def units(root, native) -> dict[str, set[str]]:
    """Symbols by unit, of the build that the loaded module came from."""
    if shutil.which("nm") is None:
        pytest.skip("nm is not installed")
    folders = sorted(root.glob("build/*/CMakeFiles/loops_*.dir"))
    found = {folder.name: defined(list(folder.rglob("*.o"))) for folder in folders}
    if not any(found.values()):
        pytest.skip("the object files are not there")
    return found


def test_every_function_is_in_the_units_own_namespace(units):
    for unit, symbols in units.items():
        own = "simd_" + unit.removeprefix("loops_").removesuffix(".dir")
        assert symbols
        foreign = {symbol for symbol in symbols if f"gint::{own}::" not in symbol}
        assert not foreign, f"{unit} defines functions that other units may define too"
