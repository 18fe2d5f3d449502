"""Tests mirror `src`: a module has a file of tests of its own name, in the folder of its room."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.checkout

ROOT = Path(__file__).resolve().parents[1]


def file_of(module: Path) -> Path:
    """The file of a module's tests: tests/host/test_memory.py for src/gint/host/memory.py."""
    package, *rooms = module.relative_to(ROOT / "src").parent.parts
    folder = Path(*rooms) if package == "gint" else Path(package, *rooms)
    return ROOT / "tests" / folder / f"test_{module.stem.removeprefix('_')}.py"


def test_every_module_has_tests_of_its_own_name():
    modules = [m for m in (ROOT / "src").rglob("*.py") if not m.stem.startswith("__")]
    without = {m.relative_to(ROOT / "src").as_posix() for m in modules if not file_of(m).exists()}
    assert not without, "write tests/.../test_<module>.py for these"
