"""The eight small models of the benchmarks run in a process that cannot import torch: on every
backend that reaches NumPy arrays, and on `cpp` by the loops of older processors too."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from tests.once import once
from tests.operators import saved_models

pytestmark = [pytest.mark.torch, pytest.mark.checkout]

#: Importing torch is an error.
RUNS = """
import sys
sys.modules["torch"] = None
from pathlib import Path
from tests.operators.saved_models import check
print(check(Path(sys.argv[1]), sys.argv[2]))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return once(tmp_path_factory, "models", saved_models.save)


@pytest.mark.parametrize(
    "backend", ["cpp", "python", pytest.param("opencl", marks=pytest.mark.opencl)]
)
def test_models_run_without_torch_and_equal_eager(folder: Path, backend: str) -> None:
    run(folder, backend)


def test_models_run_on_every_instruction_set(folder: Path) -> None:
    for name, supported in pytest.importorskip("gint.native._native").instruction_sets():
        if supported:
            run(folder, "cpp", {"GINT_CPP_ISA": name})


def run(folder: Path, backend: str, settings: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUNS, folder, backend],
        env=os.environ | (settings or {}), capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= saved_models.LEAST
