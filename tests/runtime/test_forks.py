"""Children of fork call functions on arrays that were loaded, and called, before; on tensors:
tensors/test_forks.py."""

import os
import threading

import numpy as np
import pytest

import gint
from tests.plan.saving import expected, save

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
#: Long enough for threads to share a launch.
ROWS = np.linspace(-1, 1, 400_000, dtype=np.float32).reshape(-1, 4)


def in_child(call) -> None:
    """Run it in a child, which has to end by itself and well."""
    child = os.fork()
    if not child:
        try:
            call()
        except BaseException:
            os._exit(1)
        os._exit(0)
    timer = threading.Timer(60, os.kill, (child, 9))
    timer.start()
    _, status = os.waitpid(child, 0)
    timer.cancel()
    assert status == 0, f"the child ended with {status}"


def check(loaded, x=ROWS) -> None:
    np.testing.assert_allclose(loaded(x)["product"], expected(x)["product"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("backend", ["cpp", "python"])
def test_a_child_calls_what_its_parent_has_called(tmp_path, backend):
    loaded = gint.load(save(tmp_path / "a.gint"), backend=backend)
    check(loaded)
    in_child(lambda: check(loaded))
    in_child(lambda: check(loaded, ROWS[:7]))
    check(loaded)


def test_a_child_calls_what_nobody_has_called(tmp_path):
    loaded = gint.load(save(tmp_path / "a.gint"))
    in_child(lambda: check(loaded))
    check(loaded)


def test_a_child_that_is_forked_while_threads_call(tmp_path):
    loaded = gint.load(save(tmp_path / "a.gint"))
    check(loaded)
    ended = threading.Event()

    def call() -> None:
        while not ended.is_set():
            check(loaded, ROWS[:40_000])

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            in_child(lambda: check(loaded))
    finally:
        ended.set()
        for thread in threads:
            thread.join()
