"""Every backend against the NumPy interpreter, on generated programs in odd layouts.

The reference is always the NumPy interpreter on contiguous slots. Results are equal bit for bit,
NaN counting as one value, but for the opcodes in `generation.INEXACT`, whose results programs only
store: closeness.py has their bounds.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, note
from hypothesis import strategies as st

from gint.backend.errors import DIVISION_BY_ZERO
from gint.isa import DTYPES
from gint.program import (
    Binding,
    Program,
    SlotBinding,
    VerificationError,
    VerifiedProgram,
    assemble,
    disassemble,
    verify,
)
from tests.closeness import assert_close, tolerance
from tests.generation import Launch
from tests.memory import Layout, Placed, bind, bind_contiguous, contiguous, launch_once, load
from tests.programs import SOFTMAX
from tests.strategies import launches, programs


@given(st.data())
def test_generated_programs_agree_with_the_numpy_interpreter(backend, data):
    verified = data.draw(programs())
    launch = data.draw(launches(verified.program))
    note(disassemble(verified.program))
    check(backend, verified, launch)


def check(backend: str, verified: VerifiedProgram, launch: Launch) -> None:
    """Run on `backend` in the launch's layouts and on NumPy contiguously, and compare."""
    p = verified.program
    binding, placed = bind(p, launch.extents, launch.params, launch.layouts, launch.seed)
    reference, expected = bind_contiguous(p, binding, placed)
    padding = [place.padding() for place in placed]
    error = run("python", verified, reference)
    assert run(backend, verified, binding) == error
    _compare(verified, placed, expected, padding)


def _compare(
    verified: VerifiedProgram,
    placed: tuple[Placed, ...],
    expected: tuple[Placed, ...],
    padding: list[bytes],
) -> None:
    p = verified.program
    for n, (slot, found, wanted) in enumerate(zip(p.slots, placed, expected, strict=True)):
        assert found.storage.is_intact(), f"bytes around slot {slot.name} were written"
        assert found.padding() == padding[n], f"bytes between elements of {slot.name} were written"
        assert_close(slot.dtype, found.array, wanted.array, tolerance(verified, n), slot.name)


@given(st.data())
def test_outputs_in_place_of_inputs_agree_with_the_numpy_interpreter(backend, data):
    """Each output may take the place of one input over the same axes, whatever their types."""
    verified = data.draw(programs())
    launch = data.draw(launches(verified.program))
    note(disassemble(verified.program))
    p = verified.program
    hosts: dict[int, int] = {}
    for n, slot in enumerate(p.slots):
        fit = [
            m for m, other in enumerate(p.slots)
            if slot.access.writes and not other.access.writes and m not in hosts.values()
            and set(other.axes) == set(slot.axes) and other.dtype.itemsize == slot.dtype.itemsize
            and not launch.layouts[m].repeated
        ]  # fmt: skip
        if fit and data.draw(st.booleans()):
            hosts[n] = data.draw(st.sampled_from(fit))
    binding, placed = bind(p, launch.extents, launch.params, launch.layouts, launch.seed)
    reference, expected = bind_contiguous(p, binding, placed)
    padding = [place.padding() for place in placed]
    binding, reference = _in_place(p, binding, hosts), _in_place(p, reference, hosts)
    assert run(backend, verified, binding) == run("python", verified, reference)
    for n, slot in enumerate(p.slots):
        m = hosts.get(n, n)
        assert placed[m].storage.is_intact()
        assert placed[m].padding() == padding[m]
        found, wanted = (_seen(p, n, m, side[m].array) for side in (placed, expected))
        # An input that was written over holds what its output does.
        if n not in hosts.values():
            assert_close(slot.dtype, found, wanted, tolerance(verified, n), slot.name)


def _in_place(p: Program, binding: Binding, hosts: dict[int, int]) -> Binding:
    """`binding` with the slots that are keys of `hosts` put where the others lie."""
    slots = list(binding.slots)
    for n, m in hosts.items():
        by_axis = dict(zip(p.slots[m].axes, slots[m].strides, strict=True))
        strides = tuple(by_axis[a] for a in p.slots[n].axes)
        slots[n] = replace(slots[m], strides=strides)
    return replace(binding, slots=tuple(slots))


def _seen(p: Program, n: int, m: int, array: np.ndarray) -> np.ndarray:
    """The elements of slot m as slot n has them: its type, its order of axes."""
    order = [p.slots[m].axes.index(a) for a in p.slots[n].axes]
    return np.ascontiguousarray(array.transpose(order)).view(p.slots[n].dtype.numpy)


@given(st.data())
def test_prepared_launches_and_any_number_of_threads_give_the_same_bits(backend, data):
    verified = data.draw(programs())
    launch = data.draw(launches(verified.program))
    note(disassemble(verified.program))
    kernel = load(backend, verified)
    results = []
    for threads in (1, 2, 3, None):
        binding, placed = _bound(verified, launch)
        error = launch_once(kernel, binding, threads)
        results.append((error, slots_of(placed)))
    ready = kernel.prepare(binding.extents, binding.params, binding.layouts)
    for _ in range(2):
        binding, placed = _bound(verified, launch)
        error = ready(*binding.pointers)
        assert all(p.storage.is_intact() for p in placed)
        results.append((error, slots_of(placed)))
    assert results.count(results[0]) == len(results)


def _bound(verified: VerifiedProgram, launch: Launch) -> tuple[Binding, tuple[Placed, ...]]:
    return bind(verified.program, launch.extents, launch.params, launch.layouts, launch.seed)


LONG_SUM = """
axis rows parallel
axis cols reduced
slot x f32 in (rows, cols)
slot y f32 out (rows)
slot z f32 out (rows)
reduce
  load.f32 r[0] <- s[x]
  sum.f32 acc[1] <- acc[1] + r[0]
  prod.f32 acc[2] <- acc[2] * r[0]
scalar
  store.f32 s[y] <- r[1]
  store.f32 s[z] <- r[2]
"""


@pytest.mark.parametrize(("rows", "cols"), [(1, 1_000_003), (3, 100_001), (20_000, 7), (2, 0)])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_long_sums_have_the_same_bits_for_any_number_of_threads(backend, rows, cols, order):
    """And the error of pairwise sums of chunks: (64 + log2 n) eps times the sum of sizes."""
    verified = verify(assemble(LONG_SUM))
    kernel = load(backend, verified)
    layouts = (Layout(order), contiguous(1), contiguous(1))
    binding, (x, y, z) = bind(verified.program, (rows, cols), (), layouts, seed=1)
    x.array[...] = np.exp(np.random.default_rng(2).normal(0, 0.01, (rows, cols)))
    results = set()
    for threads in (1, 2, 3, 8):
        assert launch_once(kernel, binding, threads) == 0
        results.add((y.array.tobytes(), z.array.tobytes()))
    assert len(results) == 1
    exact = x.array.sum(1, dtype=np.float64)
    bound = (64 + np.log2(cols + 1)) * np.finfo(np.float32).eps * exact
    assert np.all(np.abs(y.array - exact) <= bound)


def run(backend: str, verified: VerifiedProgram, binding: Binding) -> int:
    return launch_once(load(backend, verified), binding)


SOFTMAX_AND_TOTAL = f"""{SOFTMAX}
slot total f32 out (rows)
scalar
  store.f32 s[total] <- r[5]
"""


@pytest.mark.parametrize("rows", [1, 3, 70])
@pytest.mark.parametrize("cols", [1, 2, 33, 1024, 5000])
def test_softmax_is_within_its_error(backend, rows, cols):
    """exp: 4 ulp each; a sum of n positive terms, pairwise in chunks of at most 32 terms:
    (32 + log2 n) eps relative; the quotient one more. Both sides, so twice that."""
    verified = verify(assemble(SOFTMAX_AND_TOTAL))
    layouts = tuple(contiguous(len(s.axes)) for s in verified.program.slots)
    binding, placed = bind(verified.program, (rows, cols), (), layouts, seed=rows)
    x, y = placed[0].array, placed[1].array
    x[...] = np.random.default_rng(cols).normal(0, 3, (rows, cols))
    assert run(backend, verified, binding) == 0
    wide = np.exp(x.astype(np.float64) - x.max(1, keepdims=True, initial=-np.inf))
    exact = wide / wide.sum(1, keepdims=True)
    # The subtraction rounds its result by eps/2 of at most 30, which exp turns relative.
    bound = (4 + 4 + 32 + np.log2(cols) + 1 + 30) * np.finfo(np.float32).eps
    assert np.max(np.abs(y - exact) / exact) <= bound


IN_PLACE = """
axis n parallel
slot x f32 inout (n)
slot y f32 out (n)
map
  load.f32 r[0] <- s[x]
  add.f32 r[1] <- r[0] + r[0]
  store.f32 s[x] <- r[1]
  store.f32 s[y] <- r[0]
  load.f32 r[2] <- s[x]
  mul.f32 r[3] <- r[2] * r[0]
  store.f32 s[y] <- r[3]
"""


@pytest.mark.parametrize("length", [1, 5, 1024, 3000])
def test_a_register_keeps_what_was_loaded_after_a_store_in_place(backend, length):
    verified = verify(assemble(IN_PLACE))
    layouts = (contiguous(1), contiguous(1))
    binding, (x, y) = bind(verified.program, (length,), (), layouts, seed=1)
    x.array[...] = np.arange(length)
    assert run(backend, verified, binding) == 0
    np.testing.assert_array_equal(x.array, 2 * np.arange(length))
    np.testing.assert_array_equal(y.array, 2.0 * np.arange(length) ** 2)


TWO_SLOTS_IN_PLACE = """
axis n parallel
slot x f32 in (n)
slot y f32 out (n)
slot z f32 out (n)
map
  load.f32 r[0] <- s[x]
  neg.f32 r[1] <- -r[0]
  store.f32 s[y] <- r[1]
  store.f32 s[z] <- r[0]
"""


def test_an_output_in_place_of_an_input_does_not_change_what_was_loaded(backend):
    verified = verify(assemble(TWO_SLOTS_IN_PLACE))
    binding, (x, _, z) = bind(verified.program, (3000,), (), (contiguous(1),) * 3, seed=1)
    x.array[...] = np.arange(3000)
    x_slot, _, z_slot = binding.slots
    binding = Binding((3000,), (), (x_slot, x_slot, z_slot))
    assert run(backend, verified, binding) == 0
    np.testing.assert_array_equal(x.array, -np.arange(3000.0))
    np.testing.assert_array_equal(z.array, np.arange(3000.0))


@pytest.mark.parametrize("transposed", [False, True])
def test_strides_of_length_1_and_the_order_of_axes_do_not_hinder_use_in_place(backend, transposed):
    axes = "(n, m)" if transposed else "(m, n)"
    verified = verify(assemble(f"""
axis m parallel
axis n parallel
slot x f32 in (m, n)
slot y f32 out {axes}
map
  load.f32 r[0] <- s[x]
  neg.f32 r[1] <- -r[0]
  store.f32 s[y] <- r[1]
"""))  # fmt: skip
    x = np.arange(8, dtype=np.float32)
    strides = (1, 99) if transposed else (99, 1)
    slots = tuple(SlotBinding(x.ctypes.data, x.nbytes, 0, s) for s in ((8, 1), strides))
    assert run(backend, verified, Binding((1, 8), (), slots)) == 0
    np.testing.assert_array_equal(x, -np.arange(8.0))


def test_what_is_computed_for_no_point_is_no_error(backend):
    verified = verify(assemble("""
axis m parallel
axis n parallel
slot x i32 in (m)
slot y i32 out (m, n)
map
  load.i32 r[0] <- s[x]
  floor_div.i32 r[1] <- floor(r[0] / r[0])
  store.i32 s[y] <- r[1]
"""))  # fmt: skip
    for columns, error in ((0, 0), (1, DIVISION_BY_ZERO)):
        binding, (x, _) = bind(
            verified.program, (3, columns), (), (contiguous(1), contiguous(2)), 1
        )
        x.array[...] = 0
        assert run(backend, verified, binding) == error


def test_a_position_that_is_always_0_divides_at_no_point_either(backend):
    verified = verify(assemble("""
axis m parallel
axis n parallel
slot y i64 out (m, n)
map
  index.i64 r[0] <- index(n)
  trunc_div.i64 r[1] <- trunc(r[0] / r[0])
  store.i64 s[y] <- r[1]
"""))  # fmt: skip
    for rows, error in ((0, 0), (2, DIVISION_BY_ZERO)):
        binding, _ = bind(verified.program, (rows, 1), (), (contiguous(2),), 1)
        assert run(backend, verified, binding) == error


@pytest.mark.parametrize("type_name", ["u8", "i64"])
def test_a_division_whose_result_nothing_reads_sets_the_error_flag(backend, type_name):
    verified = verify(assemble(f"""
axis n parallel
slot x {type_name} in (n)
slot y {type_name} out (n)
map
  load.{type_name} r[0] <- s[x]
  fmod.{type_name} r[1] <- r[0] - r[0] * trunc(r[0] / r[0])
  store.{type_name} s[y] <- r[0]
"""))  # fmt: skip
    binding, (x, _) = bind(verified.program, (3,), (), (contiguous(1),) * 2, 1)
    for value, error in ((0, DIVISION_BY_ZERO), (1, 0)):
        x.array[...] = value
        assert run(backend, verified, binding) == error


@pytest.mark.parametrize("type_name", [t.name for t in DTYPES if not t.is_storage_only])
def test_a_cast_to_the_type_a_register_has_is_a_copy(backend, type_name):
    verified = verify(assemble(f"""
axis n parallel
slot x {type_name} in (n)
slot y {type_name} out (n)
map
  load.{type_name} r[0] <- s[x]
  cast.{type_name} r[1] <- {type_name}(r[0])
  store.{type_name} s[y] <- r[1]
"""))  # fmt: skip
    binding, (x, y) = bind(verified.program, (70,), (), (contiguous(1),) * 2, 1)
    assert run(backend, verified, binding) == 0
    np.testing.assert_array_equal(y.array, x.array)


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 10**400])
def test_an_integer_beyond_64_bits_is_no_parameter(backend, value):
    verified = verify(assemble("""
axis n parallel
slot y f64 out (n)
param p f64
map
  param.f64 r[0] <- p[p]
  store.f64 s[y] <- r[0]
"""))  # fmt: skip
    binding, _ = bind(verified.program, (3,), (value,), (contiguous(1),), 1)
    with pytest.raises(VerificationError, match="Parameter 'p' is f64, not"):
        run(backend, verified, binding)


@pytest.mark.parametrize("section", ["scalar", "map"])
def test_what_is_loaded_for_no_point_is_no_error(backend, section):
    """A slot without axes is the same at every point, and is not loaded where there is none."""
    verified = verify(assemble(f"""
axis m parallel
axis n reduced
slot x i32 in ()
slot y i32 out ({"m" if section == "scalar" else "m, n"})
{section}
  load.i32 r[0] <- s[x]
  floor_div.i32 r[1] <- floor(r[0] / r[0])
  store.i32 s[y] <- r[1]
"""))  # fmt: skip
    layouts = (contiguous(0), contiguous(len(verified.program.slots[1].axes)))
    for extents in ((0, 3), (3, 0), (3, 2)):
        binding, (x, _) = bind(verified.program, extents, (), layouts, 1)
        x.array[...] = 0
        rows = extents[0] if section == "scalar" else extents[0] * extents[1]
        assert run(backend, verified, binding) == (DIVISION_BY_ZERO if rows else 0)


def slots_of(placed: tuple[Placed, ...]) -> list[bytes]:
    return [p.storage.bytes.tobytes() for p in placed]
