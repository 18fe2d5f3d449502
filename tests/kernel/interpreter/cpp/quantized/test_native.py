"""The native loops of every instruction set this CPU has, each in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from gint.kernel.interpreter.cpp.quantized import CppProducts
from gint.native.loader import NativeMissingError, load_native
from gint.quantized import FORMATS, format_of
from tests.quantized.matrices import floats, weights_of

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


def test_the_formats_are_those_of_the_table(native):
    assert native.quantized_formats() == [(f.gguf_name, f.block_bytes) for f in FORMATS]


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


def test_reading(native):
    memory = np.arange(100_003, dtype=np.uint8)
    bits = {native.read_all(memory, threads) for threads in (1, 2, 3)}
    assert len(bits) == 1
    memory[77_777] ^= 1
    assert native.read_all(memory, 2) not in bits


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_product_after_fork_ends(native):
    products, weights = CppProducts(), weights_of(format_of("q4_0"), 4096, 2048)
    x, out, again = floats(40, 2048), *np.empty((2, 40, 4096), np.float32)
    packed = products.prepare(weights, threads=2)
    products.multiply(x, packed, out, threads=2)
    child = os.fork()
    if child == 0:
        signal.alarm(30)  # waiting for threads that are not there ends the child
        products.multiply(x, packed, again, threads=2)
        os._exit(0 if np.array_equal(out, again) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_threads_of_python_do_not_meet(native):
    """Products of several callers at once, with the interpreter's lock let go."""
    products, weights = CppProducts(), weights_of(format_of("q8_0"), 500, 512)
    rows = [floats(9, 512, seed=n) for n in range(8)]
    alone = [np.empty((9, 500), np.float32) for _ in rows]
    together = [np.empty((9, 500), np.float32) for _ in rows]
    for x, out in zip(rows, alone, strict=True):
        products.multiply(x, weights, out)
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            list(pool.map(lambda n: products.multiply(rows[n], weights, together[n]), range(8)))
            np.testing.assert_array_equal(alone, together)
