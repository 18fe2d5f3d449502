"""The native loops of every instruction set this CPU has, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gint.native.loader import NativeMissingError, load_native

pytestmark = pytest.mark.cpp
ROOT = Path(__file__).resolve().parents[5]


@pytest.fixture(scope="module")
def native():
    try:
        return load_native()
    except NativeMissingError as error:
        if "cpp" in os.environ.get("GINT_REQUIRE", "").split(","):
            raise
        pytest.skip(str(error))


def test_every_instruction_set(native):
    """The tests of the products once more for each, those that take a moment left out."""
    sets = [name for name, supported in native.instruction_sets() if supported]
    if native.instruction_set() in sets:
        sets.remove(native.instruction_set())  # what all other tests run on
    for name in sets:
        environment = {**os.environ, "GINT_CPP_ISA": name}
        chosen = "not written_out and (cpp or alone or odd)"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider"]
        done = subprocess.run(
            [*command, "tests/quantized/test_products.py", "-k", chosen],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{name}:\n{done.stdout}\n{done.stderr}"
        assert "passed" in done.stdout
