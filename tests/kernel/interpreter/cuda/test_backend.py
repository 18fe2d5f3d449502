"""The backend on a real device, without torch.compile: memory, streams, foreign arrays, errors."""

import subprocess
import sys

import numpy as np
import pytest

from gint.backend import registry
from gint.host import executor
from gint.program import assemble
from tests.programs import DOUBLE

pytestmark = pytest.mark.gpu

SCALE = assemble(DOUBLE)


@pytest.fixture
def cuda():
    return registry.backend("cuda")


def test_arrays_are_carried_there_and_back():
    x = np.arange(1_000_003, dtype=np.float32)
    (y,) = executor.run(SCALE, backend="cuda", x=x)
    assert np.array_equal(y, x * 2)


def test_strided_arrays():
    x, y = np.arange(40, dtype=np.float32)[::-2], np.zeros(60, np.float32)
    executor.run(SCALE, backend="cuda", x=x, y=y[::3])
    assert np.array_equal(y[::3], x * 2)
    assert not y[1::3].any()


def test_arrays_of_cupy_are_used_in_place():
    cupy = pytest.importorskip("cupy")
    x = cupy.arange(100, dtype=cupy.float32)
    y = cupy.zeros(100, cupy.float32)
    executor.run(SCALE, backend="cuda", x=x, y=y)
    assert cupy.array_equal(y, x * 2)
    (z,) = executor.run(SCALE, backend="cuda", x=x)
    assert cupy.array_equal(cupy.asarray(z), x * 2)


def test_memory_that_runs_out_names_the_device(cuda):
    with pytest.raises(MemoryError, match="has not enough free memory"):
        cuda.memory.allocate((1 << 50,), np.dtype(np.uint8))
    assert executor.run(SCALE, backend="cuda", x=np.ones(2, np.float32))[0].tolist() == [2, 2]


FAULT = """
import numpy as np
from gint.host import executor
from gint.program import assemble, verify
from gint.backend import registry
program = assemble('''{program}''')
cuda = registry.backend("cuda")
ready = cuda.load(verify(program)).prepare((1 << 20,), (), ((4 << 20, 0, (1,)),) * 2, device=0)
nowhere = lambda: ready(1 << 40, 2 << 40)
for call in (nowhere, cuda.memory.synchronize, cuda.memory.synchronize):
    try:
        call()
    except Exception as error:
        print(error)
print(executor.run(program, backend="python", x=np.ones(2, np.float32))[0])
"""


def test_a_kernel_that_faults_leaves_other_backends():
    text = """
axis n parallel
slot x f32 in (n)
slot y f32 out (n)
map
  load.f32 r[0] <- s[x]
  store.f32 s[y] <- r[0]
"""
    done = subprocess.run(
        [sys.executable, "-c", FAULT.format(program=text)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "CUDA device 0" in done.stdout
    assert "cannot be used any more in this process" in done.stdout
    assert "[1. 1.]" in done.stdout
