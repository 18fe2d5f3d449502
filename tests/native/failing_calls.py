"""Run by test_memory_failures.py with failing_new.cpp preloaded: makes every allocation of each
call fail in turn, and prints a line for each call.

The answer is MemoryError in a sentence, nothing stays allocated, and the next call is right.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable

import numpy as np

from airllm import tensor_ops
from gint.backend import registry
from gint.backend.errors import raise_for
from gint.host.memory import address
from gint.host.recall import WatchedLaunch
from gint.host.sequence import recorded_sequence
from gint.program import Binding, SlotBinding, VerifiedProgram, assemble, verify
from gint.quantized import QuantizedWeights, format_of, quantize
from tests.programs import SOFTMAX

_NEW = ctypes.CDLL(None)
_NEW.failing_new_arm.argtypes = [ctypes.c_long]
_NEW.failing_new_left.restype = _NEW.failing_new_live.restype = ctypes.c_long
_CPP = registry.backend("cpp")


def fail_each(
    what: str,
    call: Callable[[], object],
    check: Callable[[object], None],
    remembers: bool = False,
    told: type[Exception] = MemoryError,
) -> None:
    """`call` anew with its first allocation failing, its second, and so on until none is left.

    What a call `remembers` stays allocated. torch says RuntimeError of its own allocations.
    """
    check(call())
    n, failed = 0, True
    while failed:
        n += 1
        said = None
        gc.collect()
        before = _NEW.failing_new_live()
        _NEW.failing_new_arm(n)
        try:
            call()
        except (MemoryError, told) as error:
            said = str(error)
        failed = _NEW.failing_new_left() == 0
        assert failed == (said is not None), f"{what}: allocation {n} failed, and nothing was said"
        is_sentence = said is None or said.endswith((".", "bad_alloc"))
        assert is_sentence, f"{what}: allocation {n}: {said!r}"
        gc.collect()
        assert remembers or _NEW.failing_new_live() <= before, (
            f"{what}: allocation {n} left blocks behind"
        )
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


def products() -> None:
    """One row and many, of packed weights and of bytes, and a row that has no form in 8 bits."""
    random = np.random.default_rng(0)
    q80 = format_of("q80")
    data = quantize(random.normal(size=(300, 512)).astype(np.float32), q80)
    weights = QuantizedWeights(data, (300, 512), q80)
    offered = _CPP.quantized
    packed = offered.prepare(weights, 2)
    fail_each("pack", lambda: offered.prepare(weights, 2), lambda made: None)
    # Large pages of their own, from 4 MiB on: every one of a matrix's bytes is written once.
    wide = QuantizedWeights(np.tile(data, 32), (9600, 512), q80)
    fail_each("pack much", lambda: offered.prepare(wide, 2), lambda made: None)
    for rows, held in ((1, packed), (40, packed), (40, weights)):
        x = random.normal(size=(rows, 512)).astype(np.float32)
        x[-1, 0] = np.inf
        out, wanted = np.empty((rows, 300), np.float32), np.empty((rows, 300), np.float32)
        offered.multiply(x, packed, wanted)

        def check(_, out=out, wanted=wanted):
            np.testing.assert_array_equal(out, wanted)

        def call(x=x, held=held, out=out):
            offered.multiply(x, held, out, threads=2)

        fail_each(f"product of {rows} rows, {type(held).__name__}", call, check)


def recalled() -> None:
    """A call whose way is known, one that is remembered, and its first one."""
    x = np.random.default_rng(0).normal(size=(30, 64)).astype(np.float32)
    weight = np.ones(64, np.float32)
    wanted = x / np.sqrt((x * x).mean(1, keepdims=True) + 1e-6)
    lengths = iter(range(31, 10**6))

    def check(y):
        np.testing.assert_allclose(y[:30], wanted, rtol=1e-5)

    def call():
        return tensor_ops.rms_norm(x, weight, 1e-6)

    def first_call():
        longer = np.ones((next(lengths), 64), np.float32)
        longer[:30] = x
        return tensor_ops.rms_norm(longer, weight, 1e-6)

    fail_each("recalled call", call, check)
    fail_each("first call", first_call, check, remembers=True)


def attention() -> None:
    """One row's, bound and called."""
    q, k = np.ones((2, 3, 16), np.float32), np.ones((2, 1, 16, 70), np.float32)
    v, keep, out = np.full((2, 70, 16), 2, np.float32), np.ones(70, bool), np.empty_like(q)
    scores, bind = np.empty((2, 3, 70), np.float32), _CPP.row_steps.attention
    ready = bind(q, k, v)

    def check(_):
        np.testing.assert_allclose(out, 2, rtol=1e-5)

    fail_each("attention bound", lambda: bind(q, k, v), lambda made: None)
    fail_each("attention", lambda: ready(q, k, v, keep, scores, out), check)


def dense() -> None:
    """A product of float32 arrays, and convolutions, on several threads."""
    x, w, out = np.ones((400, 70), np.float32), np.ones((70, 90), np.float32), None
    images = np.ones((1, 12, 12, 20), np.float32).transpose(0, 3, 1, 2)
    kernels = np.ones((30, 3, 3, 20), np.float32).transpose(0, 3, 1, 2)
    out = np.empty((400, 90), np.float32)
    made = np.empty((1, 10, 10, 30), np.float32).transpose(0, 3, 1, 2)
    channels = np.empty((1, 10, 10, 20), np.float32).transpose(0, 3, 1, 2)
    one, none, d = (1, 1), (0, 0), _CPP.dense

    def check(_):
        assert (out == 70).all()
        assert (made == 180).all()
        assert (channels == 9).all()

    def call():
        d.multiply(x, w, None, out)
        d.convolve(images, kernels, None, made, one, none, one)
        d.convolve_channels(images, np.ones((3, 3, 20), np.float32), None, channels, one, one)

    fail_each("dense products", call, check)


def sequences() -> None:
    """What was watched, as one call."""
    kernel = _CPP.load(verify(assemble(SOFTMAX)))
    binding, x, y = softmax(kernel.verified, (3, 70), False)
    bound = kernel.prepare(binding.extents, (), binding.layouts)
    launches = [WatchedLaunch(bound, (x, y), False)] * 2
    moving = {address(y): 0}
    ready, out = recorded_sequence(launches, 1, moving), np.empty_like(y)

    def check(_):
        np.testing.assert_allclose(out.sum(1), 1, rtol=1e-3)

    fail_each("sequence", lambda: recorded_sequence(launches, 1, moving), lambda made: None)
    fail_each("sequence called", lambda: ready(address(out)), check)


def plan_runs() -> None:
    """A view, a product, a launch and attention: torch's own allocations fail too."""
    import torch

    from gint.runtime.tensors.torch_shim import native_with_torch

    native = native_with_torch()
    if native is None:
        return
    kernel = _CPP.load(verify(assemble(SOFTMAX)))
    x, w, product, out = (torch.ones(4, 4) for _ in range(4))
    q = torch.ones(1, 2, 5, 8)
    slots = tuple((t.numel() * 4, 0, (4, 1)) for t in (product, out))
    bound = kernel.prepare((4, 4), (), slots)

    def made(outputs: tuple[int, ...] = ()):
        steps = native.RunSteps(3, [product, out], 2, raise_for)
        steps.view(5, 1, (4, 4), (1, 4), 0)
        steps.product(False, 3, None, 0, 5, 1.0, 1.0)
        steps.launch(bound, [3, 4], None)
        steps.attention(6, 2, 2, 2, None, False, 0.3)
        steps.release([n for n in (5, 6) if n not in outputs])
        return steps.finish([*outputs])

    ready, returning = made(), made((5, 6))
    gc.freeze()

    def check(found):
        assert torch.equal(out, torch.full((4, 4), 0.25))
        assert found is None or torch.allclose(found[1], q)

    fail_each("plan", made, lambda run: None)
    # torch keeps the words of its last error, and the values it could not make tensors of.
    for run, remembers in ((ready, True), (ready, False), (returning, True)):
        fail_each("plan called", lambda run=run: run(x, w, q), check, remembers, told=RuntimeError)


if __name__ == "__main__":
    gc.freeze()  # a collection looks at what calls made, not at all that is imported
    launches()
    launch_in_place()
    products()
    recalled()
    attention()
    dense()
    sequences()
    if "torch" in sys.argv:
        plan_runs()
