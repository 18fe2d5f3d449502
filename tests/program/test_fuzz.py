"""Random and mutated bytecode and bindings: refused, or run inside the memory they were given.

A crash ends the whole run with a traceback of pytest's faulthandler, so it cannot go unseen.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from gint.isa import DTYPES, OPCODES, Instruction
from gint.isa.instruction import NONE, SIZE, decode
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
from tests.memory import Storage, bind, launch_once, load
from tests.strategies import constants, launches, programs

_NUMBERS = st.integers(0, 5) | st.sampled_from((NONE, NONE - 1, 64, 4096))
_FAR = (-(2**63), -(2**31), -9, -1, 0, 1, 2, 3, 31, 2**31, 2**62, 2**63 - 1, 2**63)


@st.composite
def random_instructions(draw: st.DrawFn) -> Instruction:
    """An instruction whose fields are mostly those its opcode has."""
    op, t = draw(st.sampled_from(OPCODES)), draw(st.sampled_from(DTYPES))
    wanted = [op.name != "store"] + [op.inputs > k for k in range(3)]
    fields = [draw(_NUMBERS) if w or draw(st.integers(0, 30)) == 0 else NONE for w in wanted]
    imm = draw(constants(t.compute.name)) if op.name == "const" else 0
    return Instruction(op, t, *fields, draw(st.integers(0, 3)), imm)


@st.composite
def mutated_programs(draw: st.DrawFn) -> Program:
    """A valid program with a few random changes to its sections, instructions, slots and axes."""
    p = draw(programs(max_steps=6)).program
    for _ in range(draw(st.integers(1, 3))):
        change = draw(st.sampled_from((_change_code, _change_sections, _change_slot, _change_axis)))
        p = change(draw, p) if p.sections else p
    return p


def _change_code(draw: st.DrawFn, p: Program) -> Program:
    number = draw(st.integers(0, len(p.sections) - 1))
    code = list(p.sections[number].instructions)
    at = draw(st.integers(0, len(code)))
    how = draw(st.sampled_from(("insert", "remove", "repeat", "field", "bytes")))
    if how == "insert" or at == len(code):
        code.insert(at, draw(random_instructions()))
    elif how == "remove":
        del code[at]
    elif how == "repeat":
        code.insert(draw(st.integers(0, len(code))), code[at])
    elif how == "field":
        name = draw(st.sampled_from(("d", "a", "b", "c", "n")))
        code[at] = replace(code[at], **{name: draw(_NUMBERS)})
    else:
        code[at] = _flip(draw, code[at])
    section = replace(p.sections[number], instructions=tuple(code))
    return replace(p, sections=(*p.sections[:number], section, *p.sections[number + 1 :]))


def _flip(draw: st.DrawFn, instruction: Instruction) -> Instruction:
    data = bytearray(instruction.encode())
    data[draw(st.integers(0, SIZE - 1))] ^= 1 << draw(st.integers(0, 7))
    try:
        return decode(bytes(data))[0]
    except ValueError:
        return instruction


def _change_sections(draw: st.DrawFn, p: Program) -> Program:
    sections = list(p.sections)
    at = draw(st.integers(0, len(sections) - 1))
    kind = draw(st.sampled_from(SectionKind))
    how = draw(st.sampled_from(("kind", "remove", "move", "split")))
    if how == "kind":
        sections[at] = replace(sections[at], kind=kind)
    elif how == "split":
        code = sections[at].instructions
        sections[at : at + 1] = [Section(sections[at].kind, code[:1]), Section(kind, code[1:])]
    else:
        section = sections.pop(at)
        if how == "move":
            sections.insert(draw(st.integers(0, len(sections))), section)
    return replace(p, sections=tuple(sections))


def _change_slot(draw: st.DrawFn, p: Program) -> Program:
    at = draw(st.integers(0, len(p.slots) - 1))
    axes = tuple(draw(st.lists(st.integers(-1, len(p.axes)), max_size=3)))
    access, t = draw(st.sampled_from(Access)), draw(st.sampled_from(DTYPES))
    slot = p.slots[at]
    changed = draw(
        st.sampled_from(
            (replace(slot, axes=axes), replace(slot, access=access), replace(slot, dtype=t))
        )
    )
    return replace(p, slots=(*p.slots[:at], changed, *p.slots[at + 1 :]))


def _change_axis(draw: st.DrawFn, p: Program) -> Program:
    at = draw(st.integers(0, len(p.axes) - 1))
    changed = replace(p.axes[at], kind=draw(st.sampled_from(AxisKind)))
    return replace(p, axes=(*p.axes[:at], changed, *p.axes[at + 1 :]))


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
