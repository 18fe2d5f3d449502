"""Where values live: every place that is read holds the value that was meant.

A small machine runs the device form on terms instead of numbers: what a program's instruction
defines is a term of what it reads. At every store and at the end of every fold the term that the
device has must be the one that the program has. Two tiles are run, so that nothing may be left
over from one that the next would need.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gint.host.frontend import Builder
from gint.isa import DTYPES, OPCODES, Form
from gint.isa.device import CODES, MAX_REGISTERS, SOURCES, name
from gint.kernel.interpreter.device.allocation import Allocator, Stream
from gint.kernel.interpreter.device.encoder import DeviceProgram, encode, load_late
from gint.program import Section, SectionKind, VerifiedProgram, assemble, verify
from tests.strategies import programs

NAMES = {number: code for code, number in CODES.items()}
TILES = 2
Term = Any  # a tuple of an operator and its operands


def computing(form: Form) -> dict[str, tuple[str, int]]:
    """Code -> the operator's name and how many operands it has."""
    return {name(o, t): (name(o, t), o.inputs) for o in OPCODES if o.form is form for t in DTYPES}


POINTWISE, FOLDS = computing(Form.POINTWISE), computing(Form.REDUCE)


class Machine:
    """The device on terms: acc, r0 to r7, spills, row and thread words.

    What an instruction leaves behind in a place that its meaning does not speak of is None.
    """

    def __init__(self, program: DeviceProgram) -> None:
        self.code = [[NAMES[row[0]], *map(int, row[1:])] for row in program.code]
        self.patches = dict(program.patches)
        self.acc: Term = None
        self.r: list[Term] = [None] * MAX_REGISTERS
        self.spill: dict[int, Term] = {}
        self.row: dict[int, Term] = {}
        self.thread: dict[int, Term] = {}
        self.tile = 0
        self.stored: list[tuple[int, int, Term]] = []

    def run(self, start: int) -> None:
        """One section, to its END."""
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

    def step(self, code: str, n: int, imm: Term) -> None:
        word, _, last = code.rpartition("_")
        direct, _, source = code.partition("_FROM_") if "_FROM_" in code else code.rpartition("_")
        if code in SIMPLE:
            SIMPLE[code](self, n, imm)
        elif code in POINTWISE:
            operator, inputs = POINTWISE[code]
            self.acc = (operator, *(self.acc, *self.r)[:inputs])
            self.r[0] = self.r[1] = None
        elif word in PER_REGISTER:
            PER_REGISTER[word](self, int(last), n)
        elif code.startswith("CAST_"):
            self.acc = (code, self.acc)
        elif code.startswith("NEUTRAL_"):
            self.acc = ("neutral", code.removeprefix("NEUTRAL_"))
        elif code.startswith("FOLD_"):
            self.fold(code.removeprefix("FOLD_"), n)
        elif code.startswith("TREE_"):
            self.tree(code.removeprefix("TREE_"), n)
        else:
            assert source in SOURCES
            other = self.operand(source, n, imm)
            swapped = "_FROM_" in code
            self.acc = (direct, other, self.acc) if swapped else (direct, self.acc, other)

    def operand(self, source: str, n: int, imm: Term) -> Term:
        places = {"ACC": self.acc, "IMM": imm, "ROW": self.row.get(n)}
        return places[source] if source in places else self.r[int(source[1:])]

    def fold(self, code: str, n: int) -> None:
        if code not in FOLDS:  # into a register
            word, _, k = code.rpartition("_")
            self.r[int(k)] = (word, self.r[int(k)], self.acc)
            return
        operator, inputs = FOLDS[code]
        if inputs == 1:
            self.spill[n] = (operator, self.spill[n], self.acc)
            return
        pair = (operator, (self.spill[n], self.spill[n + 1]), (self.acc, self.r[0]))
        self.spill[n], self.spill[n + 1] = ("value", pair), ("index", pair)
        self.acc = self.r[0] = None

    def tree(self, code: str, n: int) -> None:
        if FOLDS[code][1] == 2:
            self.acc, self.r[0] = self.spill[n], self.spill[n + 1]


def _put(place: str, of: str = "acc"):
    """Sets machine.PLACE[n] to another place."""

    def step(machine: Machine, n: int, imm: Term) -> None:
        getattr(machine, place)[n] = getattr(machine, of)

    return step


SIMPLE = {
    "LOAD": lambda m, n, imm: setattr(m, "acc", m_load(m, n)),
    "STORE": lambda m, n, imm: m.stored.append((m.tile, n, m.acc)),
    "INDEX": lambda m, n, imm: setattr(m, "acc", ("index along", n, m.tile)),
    "SET": lambda m, n, imm: setattr(m, "acc", imm),
    "SET_R0": lambda m, n, imm: m.r.__setitem__(0, imm),
    "SET_R1": lambda m, n, imm: m.r.__setitem__(1, imm),
    "GET_ROW": lambda m, n, imm: setattr(m, "acc", m.row[n]),
    "ROW_R0": lambda m, n, imm: m.r.__setitem__(0, m.row[n]),
    "ROW_R1": lambda m, n, imm: m.r.__setitem__(1, m.row[n]),
    "PUT_ROW": _put("row"),
    "PUT_THREAD": _put("thread"),
    "GET_SPILL": lambda m, n, imm: setattr(m, "acc", m.spill[n]),
    "PUT_SPILL": _put("spill"),
}
PER_REGISTER = {
    "GET": lambda m, k, n: setattr(m, "acc", m.r[k]),
    "PUT": lambda m, k, n: m.r.__setitem__(k, m.acc),
    "LOAD_R": lambda m, k, n: m.r.__setitem__(k, m_load(m, n)),
    "COPY_R0": lambda m, k, n: m.r.__setitem__(0, m.r[k]),
    "COPY_R1": lambda m, k, n: m.r.__setitem__(1, m.r[k]),
    "FILL": lambda m, k, n: m.r.__setitem__(k, m.spill[n]),
    "SPILL": lambda m, k, n: m.spill.__setitem__(n, m.r[k]),
}


def m_load(m: Machine, n: int) -> Term:
    """What a slot holds may have been changed by a store before: slots may share memory."""
    return ("slot", n, m.tile, len(m.stored))


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
        if form is Form.AXIS:
            return ("index along", i.n, tile)
        if form is Form.CAST:
            source = self.verified.types[i.a].name
            return operands[0] if source == i.type.name else (f"CAST_{i.type}_{source}", *operands)
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
        threads = [
            machine.thread[a.thread + w] for a in device.accumulators for w in range(a.words)
        ]
        assert threads == meaning.folded
        for a in device.accumulators:  # the launch combines the threads' words
            for w in range(a.words):
                machine.row[a.row + w] = machine.thread[a.thread + w]


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
