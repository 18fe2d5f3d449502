"""Run by test_memory_failures.py with failing_new.cpp preloaded: makes every allocation of each
call fail in turn, and prints a line for each call.

The answer is MemoryError in a sentence, nothing stays allocated, and the next call is right.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable

import numpy as np

from gint.backend import registry
from gint.program import Binding, SlotBinding, VerifiedProgram, assemble, verify
from tests.programs import SOFTMAX

_NEW = ctypes.CDLL(None)
_NEW.failing_new_arm.argtypes = [ctypes.c_long]
_NEW.failing_new_left.restype = _NEW.failing_new_live.restype = ctypes.c_long
_CPP = registry.backend("cpp")


def fail_each(what: str, call: Callable[[], object], check: Callable[[object], None]) -> None:
    """`call` anew with its first allocation failing, its second, and so on until none is left."""
    check(call())
    gc.collect()
    before, n, failed = _NEW.failing_new_live(), 0, True
    while failed:
        n += 1
        said = None
        _NEW.failing_new_arm(n)
        try:
            call()
        except MemoryError as error:
            said = str(error)
        failed = _NEW.failing_new_left() == 0
        assert failed == (said is not None), f"{what}: allocation {n} failed, and nothing was said"
        assert said is None or said.endswith("."), f"{what}: allocation {n}: {said!r}"
        gc.collect()
        assert _NEW.failing_new_live() <= before, f"{what}: allocation {n} left blocks behind"
        check(call())
    print(f"{what}: {n - 1} allocations failed")


def softmax(verified: VerifiedProgram, shape: tuple[int, int], in_place: bool) -> tuple:
    """The binding, and its two arrays."""
    random = np.random.default_rng(0)
    x = random.normal(size=shape).astype(np.float32)
    y = x if in_place else np.empty_like(x)
    strides = (shape[1], 1)
    slots = tuple(SlotBinding(a.ctypes.data, a.nbytes, 0, strides) for a in (x, y))
    return Binding(shape, (), slots), x, y


def launches() -> None:
    verified = verify(assemble(SOFTMAX))
    kernel = _CPP.load(verified)
    fail_each("load", lambda: _CPP.load(verified), lambda made: None)
    for shape, threads in (((3, 70), 1), ((100, 2000), 2), ((1, 200_000), 2)):
        binding, x, y = softmax(verified, shape, False)

        def prepare(binding=binding, threads=threads):
            return kernel.prepare(binding.extents, (), binding.layouts, threads=threads)

        wanted = np.exp(x - x.max(1, keepdims=True))
        wanted /= wanted.sum(1, keepdims=True)
        ready = prepare()

        def check(_, y=y, wanted=wanted):
            np.testing.assert_allclose(y, wanted, rtol=1e-4, atol=1e-9)

        fail_each(f"prepare {shape}", prepare, lambda made: None)
        fail_each(f"launch {shape}", lambda b=binding, r=ready: r(*b.pointers), check)


def launch_in_place() -> None:
    """The first launch on arrays that share memory makes a schedule of its own."""
    verified = verify(assemble(SOFTMAX))
    kernel = _CPP.load(verified)

    def call():
        binding, x, _ = softmax(verified, (100, 2000), True)
        launch = kernel.prepare(binding.extents, (), binding.layouts, threads=2)
        launch(*binding.pointers)
        return x

    fail_each("in place", call, lambda y: np.testing.assert_allclose(y.sum(1), 1, rtol=1e-3))


if __name__ == "__main__":
    launches()
    launch_in_place()
