"""Where values live: every place that is read holds the value that was meant.

A small machine runs the device form on terms instead of numbers: what a program's instruction
defines is a term of what it reads. At every store and at the end of every fold the term that the
device has must be the one that the program has. Two tiles are run, so that nothing may be left
over from one that the next would need.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gint.host.frontend import Builder
from gint.isa import DTYPES, OPCODES, Form
from gint.isa.device import CODES, MAX_REGISTERS, SOURCES, name
from gint.kernel.interpreter.device.allocation import Allocator, Stream
from gint.kernel.interpreter.device.encoder import DeviceProgram, encode, load_late
from gint.kernel.interpreter.device.uniforms import bits
from gint.program import Section, SectionKind, VerifiedProgram, assemble, verify
from tests.strategies import programs

NAMES = {number: code for code, number in CODES.items()}
TILES = 2
Term = Any  # a tuple of an operator and its operands


def cases(form: Form) -> dict[str, int]:
    """The names of all cases of a form's opcodes, and how many operands each has."""
    return {name(op, t): op.inputs for op in OPCODES if op.form is form for t in DTYPES}


POINTWISE, FOLDS, SCANS = cases(Form.POINTWISE), cases(Form.REDUCE), cases(Form.SCAN)
EACH = range(MAX_REGISTERS)
#: code -> (to, from), in the words of isa/device.py.
MOVES = {
    "LOAD": ("acc", "slot"), "INDEX": ("acc", "index"),
    "SET": ("acc", "imm"), "SET_R0": ("r0", "imm"), "SET_R1": ("r1", "imm"),
    "GET_ROW": ("acc", "row"), "ROW_R0": ("r0", "row"), "ROW_R1": ("r1", "row"),
    "PUT_ROW": ("row", "acc"), "PUT_THREAD": ("thread", "acc"),
    "GET_SPILL": ("acc", "spill"), "PUT_SPILL": ("spill", "acc"),
    **{f"GET_{k}": ("acc", f"r{k}") for k in EACH},
    **{f"PUT_{k}": (f"r{k}", "acc") for k in EACH},
    **{f"LOAD_R_{k}": (f"r{k}", "slot") for k in EACH},
    **{f"COPY_R0_{k}": ("r0", f"r{k}") for k in EACH},
    **{f"COPY_R1_{k}": ("r1", f"r{k}") for k in EACH},
    **{f"FILL_{k}": (f"r{k}", "spill") for k in EACH},
    **{f"SPILL_{k}": ("spill", f"r{k}") for k in EACH},
}  # fmt: skip
#: code -> (operator, where its second operand is, whether that comes first).
DIRECT = {
    f"{operator}_{way}{source}": (operator, source.lower(), bool(way))
    for operator in POINTWISE
    for source in SOURCES
    for way in ("", "FROM_")
}
FOLDS_INTO = {f"FOLD_{operator}_{k}": (operator, f"r{k}") for operator in FOLDS for k in EACH}


class Machine:
    """The device on terms. `held` has what is in acc, r0, (spill, n), (row, n) and so on; what is
    not there is None, and so is what an instruction leaves where its meaning says nothing."""

    def __init__(self, program: DeviceProgram) -> None:
        self.code = [[NAMES[row[0]], *map(int, row[1:])] for row in program.code]
        self.patches = dict(program.patches)
        self.held: dict[str | tuple[str, int], Term] = {}
        self.tile = 0
        self.stored: list[tuple[int, int, Term]] = []

    def run(self, start: int) -> None:
        """One section, to its END. Another launch may run the next: only row words stay."""
        self.held = {place: term for place, term in self.held.items() if place[0] == "row"}
        at, self.tile, self.stored = start, 0, []
        while self.code[at][0] != "END":
            code, n, *_ = self.code[at]
            at += 1
            if code == "NEXT":
                self.tile += 1
                at = n if self.tile < TILES else at
            elif code != "TILES":
                self.step(code, n, self.immediate(at - 1))

    def immediate(self, at: int) -> Term:
        low, high = self.code[at][2:]
        return ("uniform", self.patches[at]) if at in self.patches else high << 32 | low

    def read(self, place: str, n: int, imm: Term) -> Term:
        known = {
            "imm": imm,
            # What a slot holds may have been changed by a store: slots may share memory.
            "slot": ("slot", n, self.tile, len(self.stored)),
            "index": ("index along", n, self.tile),
        }
        return known[place] if place in known else self.held.get(self.place(place, n))

    @staticmethod
    def place(place: str, n: int) -> str | tuple[str, int]:
        return (place, n) if place in ("spill", "row", "thread") else place

    def step(self, code: str, n: int, imm: Term) -> None:
        acc = self.held.get("acc")
        if code in MOVES:
            to, source = MOVES[code]
            self.held[self.place(to, n)] = self.read(source, n, imm)
        elif code == "STORE":
            self.stored.append((self.tile, n, acc))
        elif code in ("GATHER", "GATHER_OR"):
            operands = (acc, self.held.pop("r0", None), self.held.pop("r1", None))
            self.held["acc"] = ("gather", n, *operands[: imm >> 32])
        elif code == "OUTSIDE":
            self.held["acc"] = (*self.held["acc"], imm)
        elif code in POINTWISE:
            operands = (acc, self.held.pop("r0", None), self.held.pop("r1", None))
            self.held["acc"] = (code, *operands[: POINTWISE[code]])
        elif code in SCANS:
            before = self.held.get(("spill", n)) if self.tile else "nothing"
            self.held["acc"] = self.held["spill", n] = (code, before, acc)
        elif code in DIRECT:
            operator, source, is_first = DIRECT[code]
            other = self.read(source, n, imm)
            self.held["acc"] = (operator, other, acc) if is_first else (operator, acc, other)
        elif code in FOLDS_INTO:
            operator, register = FOLDS_INTO[code]
            self.held[register] = (operator, self.held.get(register), acc)
        else:
            word, _, operator = code.partition("_")
            {"CAST": self.cast, "NEUTRAL": self.begin, "FOLD": self.fold, "TREE": self.end}[word](
                operator, n
            )

    def cast(self, types: str, n: int) -> None:
        self.held["acc"] = (f"CAST_{types}", self.held.get("acc"))

    def begin(self, operator: str, n: int) -> None:
        self.held["acc"] = ("neutral", operator)

    def fold(self, operator: str, n: int) -> None:
        """Into a spill; a value and its index into two."""
        held, acc, spill = self.held, self.held.get("acc"), ("spill", n)
        if FOLDS[operator] == 1:
            held[spill] = (operator, held.get(spill), acc)
            return
        index = ("spill", n + 1)
        pair = (operator, (held.get(spill), held.get(index)), (acc, held.get("r0")))
        held[spill], held[index] = ("value", pair), ("index", pair)
        del held["acc"], held["r0"]

    def end(self, operator: str, n: int) -> None:
        """The elements of acc become one; a value and its index come from their spills."""
        if FOLDS[operator] == 2:
            self.held["acc"] = self.held.get(("spill", n))
            self.held["r0"] = self.held.get(("spill", n + 1))


class Meaning:
    """The program itself on the same terms."""

    def __init__(self, verified: VerifiedProgram) -> None:
        self.verified, self.uniforms = verified, verified.program.uniforms
        self.r: dict[int, Term] = {r: ("uniform", r) for r in self.uniforms}
        self.folded: list[Term] = []

    def run(self, section: Section) -> list[tuple[int, int, Term]]:
        """What the section stores; what it folds is in `folded`."""
        stored: list[tuple[int, int, Term]] = []
        folds = {i.d: i for i in section.instructions if i.op.form is Form.REDUCE}
        for r, i in folds.items():
            neutral = ("neutral", name(i.op, i.type))
            self.r[r] = (neutral, 2**63 - 1) if i.op.inputs == 2 else neutral
        for tile in range(1 if section.kind is SectionKind.SCALAR else TILES):
            for i in section.instructions:
                if i.op.form is Form.STORE:
                    stored.append((tile, i.n, self.r[i.a]))
                elif i.d not in self.uniforms:
                    self.r[i.d] = self.term(i, tile, len(stored))
        pairs = {r: t for r, t in self.r.items() if r in folds and folds[r].op.inputs == 2}
        self.folded = []
        for r in folds:
            self.folded += pairs[r] if r in pairs else [self.r[r]]
        self.r |= {r: index for r, (_, index) in pairs.items()}
        return stored

    def term(self, i, tile: int, stores: int) -> Term:
        form, operands = i.op.form, [self.r[r] for r in i.reads]
        if form is Form.LOAD:
            return ("slot", i.n, tile, stores)
        if form is Form.GATHER:
            outside = bits(np.asarray(i.imm, i.type.compute.numpy))
            return ("gather", i.n, *operands, *([outside] if i.op.fills else []))
        if form is Form.AXIS:
            return ("index along", i.n, tile)
        if form is Form.CAST:
            source = self.verified.types[i.a].name
            return operands[0] if source == i.type.name else (f"CAST_{i.type}_{source}", *operands)
        if form is Form.SCAN:
            return (name(i.op, i.type), self.r[i.d] if tile else "nothing", *operands)
        if form is Form.REDUCE and i.op.inputs == 2:
            pair = (name(i.op, i.type), self.r[i.d], tuple(operands))
            return (("value", pair), ("index", pair))
        if form is Form.REDUCE:
            return (name(i.op, i.type), self.r[i.d], *operands)
        return (name(i.op, i.type), *operands)


def assert_means_the_same(verified: VerifiedProgram, registers: int) -> None:
    made = encode(verified, 64, registers)
    machine, meaning = Machine(made), Meaning(verified)
    sections = verified.program.sections
    if not verified.program.reduced_axes:  # each thread then runs all of them for its points
        code = tuple(i for s in sections for i in s.instructions)
        sections = (Section(SectionKind.MAP, code),)
    for section, device in zip(sections, made.sections, strict=True):
        expected = meaning.run(section)
        machine.run(device.start)
        assert machine.stored == expected
        words = [(a.thread + w, a.row + w) for a in device.accumulators for w in range(a.words)]
        assert [machine.held["thread", thread] for thread, _ in words] == meaning.folded
        for thread, row in words:  # the launch combines the threads' words
            machine.held["row", row] = machine.held["thread", thread]


REGISTERS = st.integers(3, MAX_REGISTERS)


@given(programs(max_steps=16), REGISTERS)
def test_generated_programs(verified, registers):
    assert_means_the_same(verified, registers)


@st.composite
def crowded(draw) -> VerifiedProgram:
    """Many values of float32 alive at once, used in any order: registers never suffice."""
    b = Builder("crowded")
    n = b.parallel("n")
    values = [b.input(f"x{k}", "f32", n) for k in range(draw(st.integers(2, 8)))]
    values += [b.param("p", "f64") * 1.0] if draw(st.booleans()) else []
    values = [b.cast(v, "f32") for v in values]
    any_value = st.integers(0, 1 << 16).map(lambda k: values[k % len(values)])
    for k in range(draw(st.integers(4, 24))):
        op = draw(st.sampled_from(("add", "sub", "mul", "div", "exp", "fma", "pow", "store")))
        if op == "store":
            b.output(f"y{k}", "f32", (n,), draw(any_value))
        else:
            inputs = {"exp": 1, "fma": 3}.get(op, 2)
            values.append(b.emit(op, *(draw(any_value) for _ in range(inputs))))
    b.output("last", "f32", (n,), values[-1])
    return b.build()


@given(crowded(), REGISTERS)
def test_more_values_than_registers(verified, registers):
    assert_means_the_same(verified, registers)


@st.composite
def folded(draw) -> VerifiedProgram:
    """Several folds of several values, and rows of what becomes of them: accumulators compete with
    values for registers, and values of one section are read in the next."""
    b = Builder("folded")
    m, n = b.parallel("m"), b.reduced("n")
    axes = st.sampled_from(((m, n), (m,)))
    values = [b.input(f"x{k}", "f32", *draw(axes)) for k in range(draw(st.integers(1, 4)))]
    any_value = st.integers(0, 1 << 16).map(lambda k: values[k % len(values)])
    for _ in range(draw(st.integers(2, 12))):
        op = draw(st.sampled_from(("sum", "amax", "argmax", "amin of i32", "add", "exp", "fma")))
        if op == "argmax":
            found = b.cast(b.emit(op, draw(any_value), b.index(n)), "f32")
        elif op == "amin of i32":
            found = b.cast(b.emit("amin", b.cast(draw(any_value), "i32")), "f32")
        else:
            inputs = {"add": 2, "fma": 3}.get(op, 1)
            found = b.emit(op, *(draw(any_value) for _ in range(inputs)))
        values.append(found)
    b.output("y", "f32", (m, n), values[-1])
    b.output("z", "f32", (m, n), draw(any_value))
    return b.build()


@given(folded(), REGISTERS)
def test_folds(verified, registers):
    assert_means_the_same(verified, registers)


@pytest.mark.parametrize("registers", range(3, MAX_REGISTERS + 1))
def test_a_load_ahead_of_a_value_that_later_sections_read(registers):
    """It has to pass acc, from where row words are written."""
    text = """
axis m parallel
axis n reduced
slot x f32 in (m)
slot y f32 out (m, n)
scalar
  load.f32 r[0] <- s[x]
  load.f32 r[1] <- s[x]
  mul.f32 r[2] <- r[0] * r[1]
map
  add.f32 r[3] <- r[0] + r[2]
  store.f32 s[y] <- r[3]
"""
    assert_means_the_same(verify(assemble(text)), registers)


@given(crowded())
def test_loading_late_moves_loads_alone_and_past_no_store(verified):
    code = list(verified.program.sections[0].instructions)
    late = load_late(code)
    assert sorted(map(id, late)) == sorted(map(id, code))
    others = [i for i in code if i.op.form is not Form.LOAD]
    assert [i for i in late if i.op.form is not Form.LOAD] == others
    defined: set[int] = set()
    for i in late:
        assert all(r in defined for r in i.reads)
        defined |= set() if i.writes is None else {i.writes}
    for load in (i for i in code if i.op.form is Form.LOAD):
        for store in (i for i in code[code.index(load) :] if i.op.form is Form.STORE):
            assert late.index(load) < late.index(store)


# The choices


def section_of(text: str, registers: int) -> list[str]:
    """The codes that one section of instructions becomes."""
    verified = verify(assemble(text))
    code = list(verified.program.sections[0].instructions)
    stream = Stream()
    allocator = Allocator(stream, code, {}, {}, verified.types, registers, [])
    for at, i in enumerate(code):
        allocator.instruction(at, i)
    return [NAMES[row[0]] for row in stream.rows]


THREE = """
axis n parallel
slot x f32 in (n)
slot y f32 out (n)
map
  load.f32 r[0] <- s[x]
  exp.f32 r[1] <- exp(r[0])
  exp.f32 r[2] <- exp(r[1])
  mul.f32 r[3] <- r[2] * r[{first}]
  mul.f32 r[4] <- r[3] * r[{second}]
  store.f32 s[y] <- r[4]
"""


@pytest.mark.parametrize(("first", "second", "gone"), [(0, 1, "PUT_SPILL"), (1, 0, "SPILL_2")])
def test_the_value_with_the_farthest_next_use_leaves(first, second, gone):
    """One register for r[0] and r[1]: the one that is needed later goes to a spill."""
    names = section_of(THREE.format(first=first, second=second), registers=3)
    assert gone in names
    assert sum("SPILL" in n for n in names if not n.startswith(("GET", "FILL"))) == 1


def test_a_value_that_is_used_no_more_leaves_its_register_without_a_spill():
    names = section_of(THREE.format(first=1, second=1), registers=3)
    assert not any("SPILL" in n for n in names)


def test_rows_of_a_stream_carry_immediates_in_two_halves():
    stream = Stream()
    assert stream.emit("SET", imm=2**63 - 1) == 0
    at = stream.emit("TILES")
    stream.emit("SET_R0", uniform=7)
    stream.set_operand(at, stream.length)
    assert stream.patches == [(2, 7)]
    assert stream.array().tolist() == [
        [CODES["SET"], 0, 0xFFFFFFFF, 0x7FFFFFFF],
        [CODES["TILES"], 3, 0, 0],
        [CODES["SET_R0"], 0, 0, 0],
    ]
