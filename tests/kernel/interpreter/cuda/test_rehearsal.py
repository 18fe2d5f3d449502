"""The backend on the rehearsal driver: the CUDA source on the host, behind NVIDIA's bindings."""

import re

import pytest

from tests.kernel.interpreter.cuda.rehearsal.start import START

pytestmark = [pytest.mark.checkout]

SUITE = (
    "tests/kernel/interpreter/test_differential.py", "tests/program/test_fuzz.py",
    "tests/host/test_executor.py", "tests/quantized/test_products.py",
    "tests/kernel/interpreter/test_gathers.py",
)  # fmt: skip


@pytest.mark.slow
def test_what_every_backend_must_do(rehearsal):
    """Generated programs, mutated ones, arrays of all kinds: the suite that a GPU runs."""
    out = rehearsal(
        "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", "-p", "no:randomly", *SUITE
    )
    passed = int(re.search(r"(\d+) passed", out)[1])
    assert passed > 60
    assert "skipped" not in out.splitlines()[-1]


def test_division_by_zero_is_raised_when_the_results_are_there(rehearsal):
    code = START + (
        "said(lambda: executor.run(DIVIDE, backend='cuda', x=np.zeros(4, np.int32)))\n"
        "print(executor.run(DIVIDE, backend='cuda', x=np.ones(4, np.int32))[0])"
    )
    assert rehearsal(code).splitlines() == ["RuntimeError: ZeroDivisionError", "[1 1 1 1]"]


def test_a_prepared_launch_says_what_earlier_ones_left(rehearsal):
    """It does not wait; a launch that has ended before the next one begins has left its flag."""
    code = (
        START
        + """
from gint.program import verify
kernel = BACKEND.load(verify(DIVIDE))
ready = kernel.prepare((4,), (), ((16, 0, (1,)), (16, 0, (1,))), device=0)
zeros, ones, out = (BACKEND.memory.upload(np.full(4, n, np.int32)) for n in (0, 1, 7))
print(ready(zeros.pointer, out.pointer), ready(ones.pointer, out.pointer))
"""
    )
    assert rehearsal(code).split() == ["1", "0"]


def test_the_next_tile_is_asked_for_ahead(rehearsal):
    """What is asked for has to exist: seven tiles and a part of one, some at negative steps."""
    code = (
        START
        + """
from gint.kernel.interpreter.device import dispatches
dispatches.MAP_GROUPS = 1
x = np.arange(2048 * 7 + 1001, dtype=np.float32)
for x in (x, x[::-1], np.broadcast_to(x[:1], x.shape)):
    print(np.array_equal(executor.run(SCALE, backend="cuda", x=x)[0], x * 2))
"""
    )
    assert rehearsal(code).split() == ["True"] * 3
