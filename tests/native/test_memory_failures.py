"""Every allocation of every kind of call failing in turn, in a process of its own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kernel.interpreter.cpp.math_loops import compiler

pytestmark = [
    pytest.mark.cpp,
    pytest.mark.skipif(sys.platform != "linux" or compiler() is None, reason="needs LD_PRELOAD"),
]
HERE = Path(__file__).parent
ROOT = HERE.parent.parent


def test_a_failed_allocation_is_a_memory_error_and_leaves_nothing(tmp_path):
    library = tmp_path / "failing_new.so"
    command = [compiler(), "-std=c++20", "-O1", "-shared", "-fPIC", HERE / "failing_new.cpp"]
    subprocess.run([*command, "-o", library, "-ldl"], check=True)
    paths = os.pathsep.join([*(p for p in sys.path if p), str(ROOT)])
    torch = ["torch"] if _runs_hold_torch() else []
    done = subprocess.run(
        [sys.executable, "-m", "tests.native.failing_calls", *torch],
        cwd=ROOT, env=os.environ | {"LD_PRELOAD": str(library), "PYTHONPATH": paths},
        capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("allocations failed") == (24 if torch else 20)


def _runs_hold_torch() -> bool:
    """Whether native runs call torch's operators: there is a torch, and it has a C shim."""
    if importlib.util.find_spec("torch") is None:
        return False
    from gint.runtime.tensors.torch_shim import native_with_torch

    return native_with_torch() is not None
