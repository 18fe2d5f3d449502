"""What only `opencl` does: memory in place or copied, errors in words, threads.

That it computes what NumPy does is tested in test_differential.py, as for every backend."""

import threading

import numpy as np
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from gint.backend.errors import DIVISION_BY_ZERO
from gint.program import Binding, SlotBinding, VerificationError, assemble, disassemble, verify
from tests.kernel.interpreter.opencl.kernels import SQUARE, kernel
from tests.kernel.interpreter.test_differential import check
from tests.memory import Layout, bind, contiguous, launch_once
from tests.programs import DIVIDE, SUMS
from tests.strategies import launches, programs

pytest.importorskip("pyopencl")
pytestmark = pytest.mark.opencl


def test_shared_memory_is_used_in_place(device):
    import pyopencl as cl

    from gint.kernel.interpreter.opencl.backend import BACKEND
    from gint.kernel.interpreter.opencl.memory import HostRange

    if not device.shares_memory:
        pytest.skip(f"{device.name} has memory of its own")
    data = np.arange(1000, dtype=np.float32)
    start = data.ctypes.data
    memory = HostRange(start, start + data.nbytes, True, True, (0,))
    buffer = BACKEND._dispatcher.memory().buffer(memory)
    assert buffer.flags & cl.mem_flags.USE_HOST_PTR
    mapped, _ = cl.enqueue_map_buffer(
        device.queue, buffer, cl.map_flags.READ, 0, (1000,), np.float32
    )
    assert mapped.ctypes.data == start
    mapped.base.release(device.queue)


@settings(max_examples=25)
@given(st.data())
def test_a_device_with_memory_of_its_own_gets_copies(data):
    from gint.kernel.interpreter.opencl.device import open_device

    device = open_device()
    verified = data.draw(programs())
    launch = data.draw(launches(verified.program))
    note(disassemble(verified.program))
    shares = device.shares_memory
    device.shares_memory = False
    try:
        check("opencl", verified, launch)
    finally:
        device.shares_memory = shares


@pytest.mark.parametrize("shares", [True, False])
def test_slots_that_share_a_storage_in_part_see_one_memory(device, monkeypatch, shares):
    """x and y in storages that overlap, their elements apart or the same."""
    monkeypatch.setattr(device, "shares_memory", shares and device.shares_memory)
    whole = np.arange(3000, dtype=np.float32)
    start = whole.ctypes.data
    run = kernel(SQUARE)
    x = SlotBinding(start, 2000 * 4, 0, (1,))
    y = SlotBinding(start + 1000 * 4, 2000 * 4, 1000, (1,))
    assert launch_once(run, Binding((1000,), (), (x, y))) == 0
    np.testing.assert_array_equal(whole[:2000], np.arange(2000))
    np.testing.assert_array_equal(whole[2000:], np.arange(1000.0) ** 2)
    prepared = run.prepare((1000,), (), ((4000, 0, (1,)), (4000, 0, (1,))))
    assert prepared(start, start) == 0
    np.testing.assert_array_equal(whole[:1000], np.arange(1000.0) ** 2)


def test_a_prepared_launch_refuses_pointers_that_overlap(device):
    whole = np.zeros(3000, np.float32)
    start = whole.ctypes.data
    prepared = kernel(SQUARE).prepare((1000,), (), ((4000, 0, (1,)), (4000, 0, (1,))))
    with pytest.raises(VerificationError, match="overlaps"):
        prepared(start, start + 400)
    with pytest.raises(VerificationError, match="multiple"):
        prepared(start, start + 4001)


def test_an_error_flag_is_of_its_own_launch():
    run = kernel(DIVIDE)
    binding, (x, y) = bind(run.verified.program, (100,), (), (contiguous(1),) * 2, 1)
    x.array[...] = 1
    x.array[50] = 0
    assert launch_once(run, binding) == DIVISION_BY_ZERO
    x.array[50] = 5
    assert launch_once(run, binding) == 0
    assert (y.array == 1).all()


def test_launches_of_one_layout_differ_in_parameters_even_in_the_sign_of_zero():
    run = kernel("""
axis n parallel
slot y f64 out (n)
param p f64
map
  param.f64 r[0] <- p[p]
  store.f64 s[y] <- r[0]
""")
    for value in (0.0, -0.0, 1.5):
        binding, (y,) = bind(run.verified.program, (5,), (value,), (contiguous(1),), 1)
        assert launch_once(run, binding) == 0
        assert y.array.tobytes() == np.full(5, value).tobytes()


def test_threads_launch_one_kernel_on_their_own_data():
    prepared = kernel(SQUARE).prepare((5000,), (), ((20000, 0, (1,)), (20000, 0, (1,))))
    wrong = []

    def work(seed):
        for k in range(20):
            x = np.full(5000, seed * 100 + k, np.float32)
            y = np.zeros_like(x)
            if prepared(x.ctypes.data, y.ctypes.data) or (y != x * x).any():
                wrong.append((seed, k))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_dealt_rows_have_the_same_bits_each_time(order):
    """Rows long enough for many groups: whatever order these end in."""
    run = kernel(SUMS)
    binding, (x, y) = bind(
        run.verified.program, (3, 200_000), (), (Layout(order), contiguous(1)), 1
    )
    x.array[...] = np.random.default_rng(3).normal(0, 1, (3, 200_000))
    results = set()
    for _ in range(5):
        assert launch_once(run, binding) == 0
        results.add(y.array.tobytes())
    assert len(results) == 1


def test_memory_that_is_not_there_is_told_with_the_device_and_a_way_out(device, monkeypatch):
    import pyopencl as cl

    from gint.kernel.interpreter.opencl.errors import OpenclMemoryError, in_words

    with (
        pytest.raises(OpenclMemoryError, match="no memory left for 5 bytes") as caught,
        in_words(device.name, "5 bytes"),
    ):
        raise cl.MemoryError("clCreateBuffer", cl.status_code.OUT_OF_RESOURCES, "")
    assert device.name in str(caught.value)
    assert "another backend" in str(caught.value)


def test_a_launch_that_fails_leaves_no_buffers_to_the_next(device, monkeypatch):
    """They would be of memory that may be gone by then."""
    from gint.kernel.interpreter.opencl import backend as module

    binding, _ = bind(verify(assemble(SQUARE)).program, (10,), (), (contiguous(1),) * 2, 1)
    ready = kernel(SQUARE).prepare(binding.extents, (), binding.layouts)
    assert ready(*binding.pointers) == 0
    made = ready.run
    bound, real = {}, made.run

    class Kernel:
        def set_arg(self, n, value):
            bound[n] = value
            real.set_arg(n, value)

    monkeypatch.setattr(made, "run", Kernel())
    monkeypatch.setattr(module.HostMemory, "give_back", lambda *_: [][1])
    with pytest.raises(IndexError):
        ready(*binding.pointers)
    assert bound == dict.fromkeys((module.FIRST_SLOT, module.FIRST_SLOT + 1))
