"""What kernels are prepared for, and what was prepared, kept."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gint.backend import registry
from gint.host import launches
from gint.host.executor import load
from gint.host.launches import (
    LoadedKernels,
    extents_of,
    load_kernel,
    loaded_bytes,
    on_arrays,
    place_of,
    remembered,
    slot_layout,
    slot_layouts,
)
from gint.host.tensors import TensorView, view_of, view_of_layout
from gint.program import Access, Axis, Program, Slot, assemble, verify
from tests.host.test_executor import SCALE, W, X

F32 = assemble(SCALE).slots[0].dtype
_CHECKOUT = Path(__file__).resolve().parents[2]
SCALED = assemble(SCALE)


def views(**arrays: np.ndarray) -> dict[str, TensorView]:
    return {name: view_of(array) for name, array in arrays.items()}


# Binding


def test_axes_are_as_long_as_the_tensors_show():
    assert extents_of(SCALED, views(x=X, w=W), {}) == (3, 4)
    assert extents_of(SCALED, views(x=X[:1], w=W), {"m": 7}) == (7, 4)
    assert extents_of(SCALED, views(x=X[:, :1], w=W), {}) == (3, 4)
    assert extents_of(SCALED, views(x=X[:, :1], w=W[:0]), {}) == (3, 0)


def test_a_given_length_of_one_stays():
    assert extents_of(SCALED, views(x=X, w=W), {"n": 1}) == (3, 1)


def test_an_axis_that_nothing_shows_is_named():
    with pytest.raises(ValueError, match=r"length of axis 'm': give extents=\{'m': ...\}"):
        extents_of(SCALED, views(w=W), {})


@given(st.data())
def test_a_slot_visits_the_elements_that_numpy_broadcasts(data):
    extents = data.draw(st.tuples(*[st.integers(1, 4)] * 2))
    shape = tuple(data.draw(st.sampled_from((1, n))) for n in extents)
    steps = [data.draw(st.integers(-3, 3)) for _ in shape]
    memory = np.arange(64, dtype=np.float32)
    x = np.lib.stride_tricks.as_strided(memory[30:], shape, [4 * s for s in steps])
    program = Program("p", (Axis("a"), Axis("b")), (Slot("x", F32, Access.IN, (0, 1)),), (), ())
    bytes_, offset, strides = slot_layout(program, program.slots[0], view_of(x), extents)
    first = x.ctypes.data - offset * 4  # of the storage
    found = [
        memory[(first - memory.ctypes.data) // 4 + offset + i * strides[0] + j * strides[1]]
        for i in range(extents[0])
        for j in range(extents[1])
    ]
    assert found == np.broadcast_to(x, extents).ravel().tolist()
    reached = [offset + i * strides[0] + j * strides[1] for i in range(extents[0])
               for j in range(extents[1])]  # fmt: skip
    assert min(reached) == 0
    assert 4 * (max(reached) + 1) == bytes_


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"w": W[:3]}, "Slot 'w': axis 'n' has the length 4, .* has 3 there"),
        ({"y": np.empty((3, 1), np.float32)}, "Slot 'y': axis 'n' has the length 4"),
    ],
)
def test_lengths_that_do_not_match_name_slot_and_axis(changes, message):
    given = views(**{"x": X, "w": W, "y": np.empty_like(X)} | changes)
    with pytest.raises(ValueError, match=message):
        slot_layouts(SCALED, given, (3, 4))


# Devices and streams


def test_a_launch_goes_to_the_device_and_stream_that_its_tensors_are_on():
    def at(*places):
        return [TensorView("f32", (1,), (1,), 0, 1 << 20, 4, "cuda", True, *p) for p in places]

    assert place_of(at((1, 0), (1, 7), (1, 0)), "cuda") == (1, 7)
    assert place_of(at((0, 0)), "cuda") == (0, 0)
    with pytest.raises(ValueError, match="several devices: cuda:0, cuda:1"):
        place_of(at((0, 0), (1, 0)), "cuda")
    with pytest.raises(ValueError, match="2 streams of cuda"):
        place_of(at((0, 7), (0, 8)), "cuda")


# Arrays for pointers


@dataclass
class Noted:
    """A bound launch that returns what it was given."""

    takes_arrays: bool

    def __call__(self, *given):
        return given


@pytest.mark.parametrize("takes_arrays", [False, True])
def test_an_array_begins_at_its_first_element_and_a_storage_at_its_lowest_byte(takes_arrays):
    x, turned = np.zeros((3, 4), np.float32), np.zeros((3, 4), np.float16)[::-1]
    launch = Noted(takes_arrays)
    found = on_arrays(launch, [view_of(x), view_of(turned)])(x, turned)
    assert found == (view_of(x).pointer, view_of(turned).pointer)
    assert (on_arrays(launch, [view_of(x)]) is launch) == takes_arrays


# What is kept


def test_bound_launches_are_kept_up_to_a_bound_the_latest_used(monkeypatch):
    monkeypatch.setattr(launches, "MOST_BOUND", 3)
    bound = []
    bind = remembered(lambda n: bound.append(n) or Noted(False))
    for n in (0, 1, 2, 0, 3, 0, 1):
        assert bind(n) is bind(n)
    assert bound == [0, 1, 2, 3, 1]


def test_what_is_refused_is_not_kept():
    tried = []

    @remembered
    def bind(n):
        tried.append(n)
        raise ValueError("no")

    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            bind(0)
    assert tried == [0, 0]


def test_a_program_is_loaded_once_into_each_backend():
    backend, verified = registry.backend("python"), verify(SCALED)
    kernel = load_kernel(backend, verified)
    assert load_kernel(backend, verified) is kernel
    assert load(verified, "python").kernel is kernel
    assert load_kernel(backend, verify(SCALED)) is not kernel


def test_loaded_programs_are_kept_up_to_a_number_of_bytes_the_latest_used():
    backend = registry.backend("python")
    programs = [verify(SCALED) for _ in range(4)]
    size = loaded_bytes(SCALED)
    loaded = LoadedKernels(2 * size)
    first, second = (loaded(backend, p) for p in programs[:2])
    assert loaded(backend, programs[0]) is first
    assert loaded.statistics() == (2, 2 * size, 2 * size, 2)
    loaded(backend, programs[2])
    assert loaded(backend, programs[0]) is first
    assert loaded(backend, programs[1]) is not second
    assert loaded.statistics() == (2, 2 * size, 2 * size, 4)


def test_a_program_larger_than_the_bound_is_kept_alone():
    loaded = LoadedKernels(1)
    backend, verified = registry.backend("python"), verify(SCALED)
    assert loaded(backend, verified) is loaded(backend, verified)
    assert loaded.statistics().programs == 1


@pytest.fixture
def prepared(backend, monkeypatch):
    """An executable and the list of what its kernel was prepared for."""
    scale, seen = load(verify(SCALED), backend), []
    prepare = scale.kernel.prepare

    class Watched:
        def prepare(self, *bound_to, **where):
            seen.append(bound_to)
            return prepare(*bound_to, **where)

    scale.kernel = Watched()
    return scale, seen


def test_an_executable_prepares_once_per_layout(prepared):
    scale, seen = prepared
    for x, a in ((X, 1.0), (X + 1, 1.0), (X[:2], 1.0), (X, 2.0), (X, 1.0)):
        np.testing.assert_array_equal(scale(x=x, w=W, a=a)[0], x * W * np.float32(a))
    assert len(seen) == 3


def test_parameters_that_are_equal_may_not_be_the_same(prepared):
    scale, seen = prepared
    x = np.ones_like(X)
    for a in (0.0, -0.0):
        (y,) = scale(x=x, w=W, a=a)
        assert np.all(np.signbit(y) == np.signbit(a))
    assert len(seen) == 2


def test_a_layout_need_not_be_read_from_an_array():
    turned = X[::-1, ::2]
    assert view_of_layout("f32", turned.shape, turned.strides, turned.ctypes.data) == view_of(
        turned
    )


@pytest.mark.checkout
def test_a_process_does_not_grow_by_ever_other_programs() -> None:
    """Some 330 programs of this length are kept: as many again, and twice as many, are no more."""
    asked = [sys.executable, "-m", "tests.host.loaded", "30", "2000"]
    done = subprocess.run(asked, cwd=_CHECKOUT, stdout=subprocess.PIPE, text=True, check=True)
    rows = [[float(text) for text in line.split()] for line in done.stdout.splitlines()]
    (_, first, kept), _, (_, last, _) = rows
    assert last <= first + 2
    assert last <= 1.5 * kept
