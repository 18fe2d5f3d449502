"""Random and mutated bytecode and bindings: refused, or run inside the memory they were given, on
every backend, those with memory of their own among them. tests/fuzz goes further on the host's.

A crash ends the whole run with a traceback of pytest's faulthandler, so it cannot go unseen.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from gint.isa import DTYPES, Instruction
from gint.isa.instruction import SIZE, decode
from gint.program import (
    Access,
    Axis,
    AxisKind,
    Binding,
    Program,
    Section,
    SectionKind,
    Slot,
    VerificationError,
    VerifiedProgram,
    verify,
)
from tests.fuzz.mutations import mutated, random_instruction
from tests.generation import random_program
from tests.memory import Storage, bind, launch_once, load
from tests.strategies import RANDOMS, launches, programs

_FAR = (-(2**63), -(2**31), -9, -1, 0, 1, 2, 3, 31, 2**31, 2**62, 2**63 - 1, 2**63)


def mutated_programs() -> st.SearchStrategy[Program]:
    """Valid programs with a few random changes."""
    return RANDOMS.map(lambda random: mutated(random, random_program(random, 6).program))


def random_instructions() -> st.SearchStrategy[Instruction]:
    """Instructions whose fields are mostly those their opcodes have."""
    return RANDOMS.map(random_instruction)


def _run_inside_bounds(backend: str, verified: VerifiedProgram, data: st.DataObject) -> None:
    """A launch with changed numbers: refused, or nothing outside the storages is touched."""
    launch = data.draw(launches(verified.program))
    binding, placed = bind(
        verified.program, launch.extents, launch.params, launch.layouts, launch.seed
    )
    for _ in range(data.draw(st.integers(0, 2))):
        binding = data.draw(_mutated_bindings(binding))
    kernel = load(backend, verified)
    try:
        launch_once(kernel, binding)
    except VerificationError:
        return
    assert all(p.storage.is_intact() for p in placed)


@st.composite
def _mutated_bindings(draw: st.DrawFn, binding: Binding) -> Binding:
    """One number of the binding changed; storages are never claimed larger than they are."""
    far = st.sampled_from(_FAR) | st.integers(-20, 60)
    if binding.extents and draw(st.booleans()):
        at = draw(st.integers(0, len(binding.extents) - 1))
        length = draw(st.sampled_from((-1, 0, 1, 2, 4, 9, 41, 2**62, 2**63)))
        extents = (*binding.extents[:at], length, *binding.extents[at + 1 :])
        return replace(binding, extents=extents)
    at = draw(st.integers(0, len(binding.slots) - 1))
    slot = binding.slots[at]
    what = draw(st.sampled_from(("offset", "strides", "storage", "pointer", "alias")))
    if what == "offset":
        slot = replace(slot, offset=draw(far))
    elif what == "strides" and slot.strides:
        axis = draw(st.integers(0, len(slot.strides) - 1))
        strides = (*slot.strides[:axis], draw(far), *slot.strides[axis + 1 :])
        slot = replace(slot, strides=strides)
    elif what == "storage":
        slot = replace(slot, storage_bytes=draw(st.integers(-1, slot.storage_bytes)))
    elif what == "pointer":
        step = draw(st.integers(0, max(slot.storage_bytes, 0)))
        slot = replace(slot, pointer=slot.pointer + step, storage_bytes=slot.storage_bytes - step)
    elif what == "alias":
        slot = draw(st.sampled_from(binding.slots))
    return replace(binding, slots=(*binding.slots[:at], slot, *binding.slots[at + 1 :]))


@given(st.data())
def test_valid_programs_with_mutated_bindings(backend, data):
    _run_inside_bounds(backend, data.draw(programs()), data)


@given(st.data())
def test_mutated_programs(backend, data):
    try:
        verified = verify(data.draw(mutated_programs()))
    except VerificationError:
        return
    _run_inside_bounds(backend, verified, data)


@given(st.lists(random_instructions(), max_size=6), st.sampled_from(SectionKind), st.data())
def test_random_programs(backend, code, kind, data):
    axes = (Axis("a"), Axis("b", AxisKind.REDUCED), Axis("c", AxisKind.INDEXED))
    slots = tuple(
        Slot(f"s{n}", t, Access.INOUT if n == 1 else Access.IN, (0, 1) if n < 2 else (2, 0))
        for n, t in enumerate(data.draw(st.lists(st.sampled_from(DTYPES), max_size=3)))
    )
    try:
        verified = verify(Program("random", axes, slots, (), (Section(kind, tuple(code)),)))
    except VerificationError:
        return
    if slots:
        _run_inside_bounds(backend, verified, data)


@given(st.binary(max_size=4 * SIZE))
def test_random_bytes(data):
    with suppress(ValueError):
        code = decode(data)
        verify(Program("bytes", (), (), (), (Section(SectionKind.MAP, code),)))


def test_guard_bytes_notice_a_write_next_to_a_storage():
    for offset in (-1, 16):
        storage = Storage(16)
        storage.raw[storage.start + offset] = 0
        assert not storage.is_intact()
