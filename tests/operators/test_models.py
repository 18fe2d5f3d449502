"""The eight small models of the benchmarks run in a process that cannot import torch: on every
backend that reaches NumPy arrays, and on `cpp` by the loops of older processors too."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

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
    made = tmp_path_factory.mktemp("models")
    saved_models.save(made)
    return made


@pytest.mark.parametrize(
    ("backend", "isa"),
    [
        ("cpp", ""), ("cpp", "x86-64-v2"), ("cpp", "x86-64-v3"), ("python", ""),
        pytest.param("opencl", "", marks=pytest.mark.opencl),
    ],
)  # fmt: skip
def test_models_run_without_torch_and_equal_eager(folder: Path, backend: str, isa: str) -> None:
    command = [sys.executable, "-c", RUNS, folder, backend]
    environment = os.environ | ({"GINT_CPP_ISA": isa} if isa else {})
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= saved_models.LEAST
