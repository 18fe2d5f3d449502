"""A child made by fork runs on one thread: it has none of its parent's OpenMP threads."""

import os
import signal

import numpy as np
import pytest

from gint.host.executor import load
from gint.host.frontend import bytecode

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@bytecode
def doubled(b):
    n = b.parallel("n")
    b.output("y", "f32", (n,), b.input("x", "f32", n) * 2)


@pytest.mark.parametrize("backend", ["cpp"], indirect=True)
def test_a_launch_after_fork_ends(backend):
    kernel = load(doubled, backend)
    x = np.arange(4_000_000, dtype=np.float32)  # enough for several threads
    (y,) = kernel(x=x)
    child = os.fork()
    if child == 0:
        signal.alarm(30)  # a launch that waits for threads that are not there ends the child
        os._exit(0 if np.array_equal(kernel(x=x)[0], y) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
