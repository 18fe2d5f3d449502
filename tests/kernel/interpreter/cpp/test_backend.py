"""Whether the `cpp` backend can be used, and why not."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from gint.kernel.interpreter.cpp.backend import _why_no_set

pytestmark = pytest.mark.cpp
_ASKS = "from gint.backend import registry; print(registry.probe('cpp').reason)"


@pytest.mark.parametrize("name", ["none such", "v4 "])
def test_an_instruction_set_that_there_is_not(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _ASKS], env=os.environ | {"GINT_CPP_ISA": name},
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.startswith(f"GINT_CPP_ISA names {name!r}; built in, and of this CPU: ")


def test_a_cpu_that_has_none_is_told_what_is_built_in() -> None:
    sets = [("v4", False), ("v3", False)]
    assert _why_no_set(sets, None) == "this CPU has none of the instruction sets built in: v4, v3"
    assert _why_no_set(sets, "v4") == "GINT_CPP_ISA names 'v4'; built in, and of this CPU: none"
