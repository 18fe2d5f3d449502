"""The verifier: one case per rule of rejection, with what it says."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given

from gint.isa import Instruction, dtype, opcode
from gint.program import (
    Binding,
    Program,
    Section,
    SectionKind,
    SlotBinding,
    VerificationError,
    assemble,
    verify,
    verify_binding,
)
from tests.strategies import programs

HEAD = """
axis rows parallel
axis cols reduced
slot x f32 in (rows, cols)
slot w f32 in (cols)
slot u f32 in (rows)
slot y f32 out (rows, cols)
slot t f32 out (rows)
param n i64
"""
LOADS = "load.f32 r[0] <- s[x]"


def _verify(*lines: str, head: str = HEAD) -> None:
    verify(assemble(head + "\n".join(lines)))


def _refuses(message: str):
    return pytest.raises(VerificationError, match=re.escape(message))


GATHERS = """
axis rows parallel
axis cols parallel
axis words indexed
axis places indexed
slot i i64 in (rows)
slot t f32 in (words, cols)
slot u f32 in (words, rows, places)
slot y f32 out (rows, cols)
"""
INDEX = ("map", "load.i64 r[0] <- s[i]")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["load.f32 r[1] <- s[t]"], "slot 't' has 1 indexed axes, and 0 positions are given"),
        (["gather.f32 r[1] <- s[u][r[0]]"], "slot 'u' has 2 indexed axes, and 1 positions"),
        (["gather.i64 r[1] <- s[i][r[0]]"], "slot 'i' has 0 indexed axes, and 1 positions"),
        (["gather.i64 r[1] <- s[t][r[0]]"], "slot 't' is f32, not i64"),
        (["cast.f32 r[1] <- f32(r[0])", "gather.f32 r[2] <- s[t][r[1]]"], "i64 is needed"),
        (["index.i64 r[1] <- index(words)"], "there is no position along an indexed axis"),
        (["gather2.f32 r[1] <- s[u][r[0], r[7]]"], "r[7] is not defined before"),
    ],
)
def test_gathers_that_are_refused(lines, message):
    with _refuses(message):
        _verify(*INDEX, *lines, head=GATHERS)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("slot s f32 out (words, cols)", "Slot 's' has indexed axes and is not 'in'"),
        ("axis k indexed\naxis l indexed\nslot s f32 in (words, places, k, l)", "at most 3"),
    ],
)
def test_tables_that_are_refused(line, message):
    with _refuses(message):
        _verify(*INDEX, head=f"{GATHERS}{line}\n")


def _gather_binding(words: int, table_at: int, y_at: int) -> Binding:
    slots = (
        SlotBinding(64, 16, 0, (1,)),
        SlotBinding(table_at, 4 * words * 2, 0, (2, 1)),
        SlotBinding(1 << 20, 0, 0, (1, 1, 1)),
        SlotBinding(y_at, 16, 0, (2, 1)),
    )
    return Binding((2, 2, words, 1), (), slots)


def test_a_binding_spans_indexed_axes_and_none_of_it_may_be_written():
    code = (*INDEX, "gather.f32 r[1] <- s[t][r[0]]", "store.f32 s[y] <- r[1]")
    verified = verify(assemble(GATHERS + "\n".join(code)))
    verify_binding(verified, _gather_binding(5, 4096, 8192))
    verify_binding(verified, _gather_binding(0, 0, 8192))
    with _refuses("would touch bytes 0 to 48 of a storage of 40 bytes"):
        long = _gather_binding(5, 4096, 8192)
        verify_binding(verified, replace(long, extents=(2, 2, 6, 1)))
    for words, at in ((5, 4096 + 24), (1, 4096), (2, 4096)):
        with _refuses("Slot 'y' is written and overlaps slot 't'"):
            verify_binding(verified, _gather_binding(words, 4096, at))


STORES = ("scalar", "load.f32 r[90] <- s[u]", "store.f32 s[t] <- r[90]", "map",
          "load.f32 r[91] <- s[x]", "store.f32 s[y] <- r[91]")  # fmt: skip


def test_the_frame_of_the_cases_is_accepted():
    _verify(*STORES)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["map", "neg.f32 r[1] <- -r[0]"], "'neg.f32 r[1] <- -r[0]': r[0] is not defined before"),
        (["map", LOADS, LOADS], "r[0] is defined a second time"),
        (["map", LOADS, "map", "neg.f32 r[1] <- -r[0]"], "r[0] is local to an earlier section"),
        (["map", LOADS, "bitwise_not.f32 r[1] <- ~r[0]"], "bitwise_not does not exist for f32"),
        (["map", LOADS, "add.f64 r[1] <- r[0] + r[0]"], "r[0] is f32; f64 is needed"),
        (["map", LOADS, "where.f32 r[1] <- r[0] ? r[0] : r[0]"], "r[0] is f32; bool is needed"),
        (["map", "load.f64 r[0] <- s[x]"], "slot 'x' is f32, not f64"),
        (["map", LOADS, "store.f64 s[y] <- r[0]"], "f64 is needed"),
        (["map", LOADS, "store.f16 s[y] <- r[0]"], "slot 'y' is f32, not f16"),
        (["map", "param.f64 r[0] <- p[n]"], "parameter 'n' is i64, not f64"),
        (["map", "cast.f16 r[0] <- f16(r[1])"], "cast does not exist for f16"),
        (["map", LOADS, "store.f32 s[x] <- r[0]"], "slot 'x' is declared 'in'"),
        (["map", "load.f32 r[0] <- s[y]"], "slot 'y' is declared 'out' and not yet stored"),
        (["reduce", LOADS, "store.f32 s[y] <- r[0]"], "a store in a reduce section"),
        (["map", LOADS, "store.f32 s[t] <- r[0]"],
         "a map section stores to slots over exactly the axes (rows, cols)"),
        (["scalar", "load.f32 r[0] <- s[u]", "store.f32 s[y] <- r[0]"],
         "a scalar section stores to slots over exactly the axes (rows)"),
        (["scalar", "load.f32 r[0] <- s[w]"],
         "a scalar section reads what varies over a reduced axis"),
        (["scalar", "index.i64 r[0] <- index(cols)"],
         "a scalar section reads what varies over a reduced axis"),
        (["map", LOADS, "sum.f32 acc[1] <- acc[1] + r[0]"], "a reduction in a map section"),
        (["reduce", LOADS, "sum.f32 acc[1] <- acc[1] + r[0]", "neg.f32 r[2] <- -r[1]"],
         "r[1] is local to an earlier section, or an accumulator of this one"),
        (["reduce", LOADS, "sum.f32 acc[0] <- acc[0] + r[0]"], "r[0] is defined a second time"),
        (["scatter"], "Sections of kind 'scatter' are reserved"),
        ([], "The program has no section"),
        (["map", LOADS, "store.f32 s[y] <- r[0]"], "Slot 't' is declared 'out' but never stored"),
    ],
    ids=range(24),
)  # fmt: skip
def test_instructions_that_are_refused(lines, message):
    with _refuses(message):
        _verify(*lines)


SCANS = """
axis rows parallel
axis cols reduced
slot x f32 in (cols)
slot y f32 out (rows, cols)
map
  load.f32 r[0] <- s[x]
  cumsum.f32 r[1] <- before[1] + r[0]
"""


def test_a_scan_varies_over_the_reduced_axis():
    one = "const.f32 r[2] <- 1.0\ncumsum.f32 r[3] <- before[3] + r[2]\nstore.f32 s[y] <- r[1]"
    verified = verify(assemble(SCANS + one))
    assert verified.varies[1] == verified.varies[3] == {1}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("axis more reduced", "a scan in a program with 2 reduced axes; it needs one"),
        ("scalar\nconst.f32 r[2] <- 1.0\ncumsum.f32 r[3] <- before[3] + r[2]",
         "a scalar section reads what varies over a reduced axis"),
        ("cumsum.f32 r[2] <- before[2] + r[2]", "r[2] is not defined before"),
        ("cumsum.f32 r[1] <- before[1] + r[0]", "r[1] is defined a second time"),
        ("map\nneg.f32 r[2] <- -r[1]", "r[1] is local to an earlier section"),
    ],
)  # fmt: skip
def test_scans_that_are_refused(line, message):
    with _refuses(message):
        verify(assemble(SCANS + line))


def test_a_scan_in_a_program_without_reduced_axes_is_refused():
    with _refuses("a scan in a program with 0 reduced axes; it needs one"):
        verify(assemble(SCANS.replace("cols reduced", "cols parallel")))


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("\n".join(f"axis a{i} parallel" for i in range(17)), "17 axes; at most 16 are possible"),
        ("axis a parallel\nslot x f32 in (a, a)", "Slot 'x' names an axis twice"),
        ("param p f32", "Parameter 'p' is f32; parameters are i64 or f64"),
        ("slot p f32 in ()\nparam p f64", "The slot or parameter name 'p' is used twice"),
        ("axis a parallel\nreduce", "A reduce section in a program without reduced axes"),
    ],
    ids=range(5),
)
def test_declarations_that_are_refused(head, message):
    with _refuses(message):
        _verify("map", head=head + "\n")


@pytest.mark.parametrize("name", ["", "a b", "a\n", "<lambda>", "é", "1a", "x#", None, "\ud800"])
@pytest.mark.parametrize("what", ["program", "axis", "slot or parameter"])
def test_names_the_text_form_cannot_say_are_refused(what, name):
    p = assemble(HEAD + "\n".join(STORES))
    if what == "program":
        p = replace(p, name=name)
    elif what == "axis":
        p = replace(p, axes=(replace(p.axes[0], name=name), *p.axes[1:]))
    else:
        p = replace(p, slots=(replace(p.slots[0], name=name), *p.slots[1:]))
    with _refuses(f"The {what} name {name!r} is no name"):
        verify(p)


def _program(*code: Instruction) -> Program:
    return Program("p", (), (), (), (Section(SectionKind.MAP, code),))


F32, CONST, ADD = dtype("f32"), opcode("const"), opcode("add")


@pytest.mark.parametrize(
    ("instruction", "message"),
    [
        (Instruction(CONST, F32), "operand d is missing"),
        (Instruction(CONST, F32, 0, a=1), "operand a is set but not used"),
        (Instruction(CONST, F32, 0, n=1), "operand n is set but not used"),
        (Instruction(ADD, F32, 0, a=1), "operand b is missing"),
        (Instruction(opcode("neg"), F32, 0, a=1, imm=1.0), "an immediate is set but not used"),
        (Instruction(opcode("neg"), F32, 0, a=1, imm=-0.0), "an immediate is set but not used"),
        (Instruction(opcode("load"), F32, 0, n=3), "there is no slot number 3; the program has 0"),
        (Instruction(opcode("param"), dtype("f64"), 0, n=3), "there is no parameter number 3"),
        (Instruction(opcode("index"), dtype("i64"), 0, n=3), "there is no axis number 3"),
        (Instruction(replace(CONST, code=5), F32, 0), "is not of this instruction table"),
    ],
    ids=range(10),
)  # fmt: skip
def test_malformed_instructions_are_refused_with_their_number(instruction, message):
    with _refuses(message) as caught:
        verify(_program(Instruction(CONST, F32, 9), instruction))
    assert "Instruction 1" in str(caught.value)


def test_an_axis_number_a_slot_cannot_have():
    slot = assemble(HEAD).slots[0]
    for axes in ((5,), (-1,), (None,), ("rows",)):
        with _refuses("Slot 'x' names an axis the program does not have"):
            verify(replace(_program(), slots=(replace(slot, axes=axes),)))


COPY = verify(
    assemble("""
axis m parallel
axis n parallel
slot x f32 in (m, n)
slot y f32 out (m, n)
slot unused f64 in (n)
param p i64
param q f64
map
  load.f32 r[0] <- s[x]
  store.f32 s[y] <- r[0]
""")
)
#: 4 x 8 floats at 4096 and at 8192; a storage of 128 bytes each.
GOOD = Binding(
    (4, 8), (1, 0.5),
    (SlotBinding(4096, 128, 0, (8, 1)), SlotBinding(8192, 128, 0, (8, 1)),
     SlotBinding(0, 0, 0, (1,))),
)  # fmt: skip


def _bound(**changes) -> Binding:
    """GOOD with fields of its slots replaced: x={...}, y={...}; others are the binding's own."""
    slots = list(GOOD.slots)
    for number, name in enumerate("xy"):
        slots[number] = replace(slots[number], **changes.pop(name, {}))
    return replace(GOOD, slots=tuple(slots), **changes)


def test_good_bindings_are_accepted():
    verify_binding(COPY, GOOD)
    verify_binding(COPY, _bound(x={"strides": (0, 0)}))
    verify_binding(COPY, _bound(x={"offset": 31, "strides": (-8, -1)}))
    verify_binding(COPY, _bound(y={"strides": (1, 4)}))
    verify_binding(COPY, _bound(extents=(4, 0), x={"pointer": 0}, y={"offset": 10**6}))
    verify_binding(COPY, _bound(extents=(1, 8), x={"strides": (2**60, 1)}))


def test_in_place_use_is_accepted_element_by_element():
    verify_binding(COPY, _bound(y={"pointer": 4096}))
    verify_binding(COPY, _bound(extents=(1, 8), y={"pointer": 4096, "strides": (99, 1)}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"extents": (4,)}, "The binding has 1 extents; the program has 2"),
        ({"params": ()}, "The binding has 0 parameters; the program has 2"),
        ({"extents": (-1, 8)}, "Axis 'm' has the extent -1"),
        ({"extents": (2**63, 8)}, "Axis 'm' has the extent 9223372036854775808"),
        ({"extents": (4.0, 8)}, "Axis 'm' has the extent 4.0"),
        ({"extents": (2**40, 2**40)}, "span more than 281474976710656 points"),
        ({"extents": (0, 2**62)}, "span more than"),
        ({"params": (0.5, 0.5)}, "Parameter 'p' is i64, not 0.5"),
        ({"params": (2**63, 0.5)}, "Parameter 'p' is i64"),
        ({"params": (1, "0.5")}, "Parameter 'q' is f64, not '0.5'"),
        ({"params": (1, 10**400)}, "Parameter 'q' is f64"),
        ({"x": {"strides": (1,)}}, "Slot 'x' has 2 axes and was bound with 1 strides"),
        ({"x": {"strides": (2**63, 1)}}, "is bound with 9223372036854775808: no int64"),
        ({"x": {"offset": 0.0}}, "is bound with 0.0: no int64"),
        ({"x": {"pointer": 4097}}, "the address is not a multiple of 4 bytes"),
        ({"x": {"pointer": 0}}, "Slot 'x' is bound to no memory"),
        ({"x": {"pointer": 2**63 - 4}}, "Slot 'x' is bound to no memory"),
        ({"x": {"storage_bytes": -1}}, "Slot 'x' is bound to no memory"),
        ({"x": {"storage_bytes": 124}}, "Slot 'x' would touch bytes 0 to 128 of a storage of 124"),
        ({"x": {"offset": 1}}, "would touch bytes 4 to 132"),
        ({"x": {"offset": -1}}, "would touch bytes -4 to 124"),
        ({"x": {"strides": (8, -1)}}, "would touch bytes -28 to 100"),
        ({"x": {"strides": (2**62, 1)}}, "would touch bytes 0 to"),
        ({"extents": (5, 8)}, "would touch bytes 0 to 160"),
        ({"y": {"strides": (0, 1)}}, "Slot 'y' is written with strides (0, 1)"),
        ({"y": {"strides": (7, 1)}}, "two positions share an element"),
        ({"y": {"pointer": 4096 + 32, "storage_bytes": 128}}, "Slot 'y' is written and overlaps"),
        ({"y": {"pointer": 4096, "strides": (1, 4)}}, "other than element by element"),
    ],
    ids=range(28),
)
def test_bindings_that_are_refused(changes, message):
    with _refuses(message):
        verify_binding(COPY, _bound(**changes))


def test_two_outputs_may_not_be_the_same_memory():
    text = "slot y f32 out ()\nslot z f32 out ()\nmap\nconst.f32 r[0] <- 1.0\n"
    verified = verify(assemble(text + "store.f32 s[y] <- r[0]\nstore.f32 s[z] <- r[0]"))
    slot = SlotBinding(4096, 4, 0, ())
    with _refuses("Slot 'y' is written and overlaps slot 'z'"):
        verify_binding(verified, Binding((), (), (slot, slot)))


@given(programs())
def test_generated_programs_say_what_their_registers_are(verified):
    for section in verified.program.sections:
        for i in section.instructions:
            if i.writes is not None:
                assert verified.types[i.d] == i.op.result_type(i.type)
