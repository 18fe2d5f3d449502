"""A launch that is interrupted, and a process that ends while others run."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

#: `launch(count)` computes so many elements, each slowly.
_PROGRAM = """
import signal, sys, threading, time
import numpy as np
from gint.host.executor import load
from gint.host.frontend import bytecode

@bytecode
def slow(b):
    n = b.parallel("n")
    x = b.input("x", "f32", n)
    for _ in range(60):
        x = b.atan2(x, x + 3)
    b.output("y", "f32", (n,), x)

signal.signal(signal.SIGINT, signal.default_int_handler)  # also where the parent ignores it
kernel = load(slow, "cpp")
x = np.linspace(0, 1, 1000, dtype=np.float32)
expected = kernel(x=x)[0]
"""
_INTERRUPTED = """
large = np.tile(x, 2_000)
print("ready", flush=True)
try:
    while True:
        kernel(x=large)
except KeyboardInterrupt:
    assert np.array_equal(kernel(x=x)[0], expected)
    found = kernel(x=large)[0]
    assert np.array_equal(found[:1000], expected) and np.array_equal(found[-1000:], expected)
    print("interrupted", flush=True)
"""
_ENDS = """
from gint.backend import registry
large, matrix, out = np.tile(x, 300), np.ones((400, 400), np.float32), np.empty((400, 400), "f4")
dense = registry.backend("cpp").dense
def launch():
    kernel(x=large)
def multiply():
    dense.multiply(matrix, matrix, None, out)
def work():
    while True:
        CALL()
for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.2)
raise SystemExit(7)
"""


def _started(text: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    asked = [sys.executable, "-c", _PROGRAM + text]
    return subprocess.Popen(asked, stdout=pipe, stderr=pipe, text=True)


@pytest.mark.parametrize("backend", ["cpp"], indirect=True)
def test_control_c_in_a_long_launch(backend) -> None:
    """It is told after the launch, and what is called next is right."""
    process = _started(_INTERRUPTED)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    said, errors = process.communicate(timeout=120)
    assert (said, errors, process.returncode) == ("interrupted\n", "", 0)


@pytest.mark.parametrize("backend", ["cpp"], indirect=True)
@pytest.mark.parametrize("call", ["launch", "multiply"])
def test_a_process_ends_while_its_threads_compute(backend, call) -> None:
    """Python ends threads that ask for its lock then, in the middle of what called them."""
    process = _started(_ENDS.replace("CALL", call))
    said, errors = process.communicate(timeout=120)
    assert (said, errors, process.returncode) == ("", "", 7)
