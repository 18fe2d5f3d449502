"""Locks of the whole process in a child made by fork while another thread holds them."""

from __future__ import annotations

import os
import signal
import threading
import time

import numpy as np
import pytest

from gint.host.executor import load
from gint.host.frontend import bytecode
from gint.host.launches import load_kernel
from gint.host.memory import POOL, POOLED_BYTES, empty

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@bytecode
def _doubled(b):
    n = b.parallel("n")
    b.output("y", "f32", (n,), b.input("x", "f32", n) * 2)


USES = {
    "pool": (POOL.lock, lambda: empty((POOLED_BYTES,), np.dtype("u1")).size),
    "kernels": (load_kernel.lock, lambda: load(_doubled, "python")),
}


@pytest.mark.parametrize("what", USES)
def test_a_child_has_it_whatever_other_threads_do(what):
    lock, use = USES[what]
    held = threading.Event()

    def hold():
        with lock:
            held.set()
            time.sleep(0.2)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        os._exit(0 if use() else 1)
    holder.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
