"""Re-encoding a verified program into the device form (gint.isa.device has its codes).

A register of the program becomes one of
    a uniform     known at launch: constants, parameters, extents, and what is computed from them.
                  It is evaluated once per binding (uniforms.py) and patched into the stream
    a row word    what crosses sections: accumulators, and values of scalar sections read later
    a local value kept in acc, in a register or in a spill, as allocation.py decides

A program without reduced axes has one section here: each thread runs all of them for its points.
Knows programs and codes. Does not know extents, strides or devices.
"""

from __future__ import annotations

import numpy as np

from gint.dataclass import frozen
from gint.isa import Form, Instruction
from gint.isa.device import CODES
from gint.isa.device import name as code_name
from gint.program import Program, Section, SectionKind, VerifiedProgram

from .allocation import Allocator, Stream

_WIDE = frozenset(("i64", "f64"))


@frozen
class Accumulator:
    """One of a reduce section: the code that folds it, where it is, and its words (2: an index)."""

    code: int
    thread: int
    row: int
    words: int
    partial: int


@frozen
class DeviceSection:
    kind: SectionKind
    start: int  # row of the stream
    accumulators: tuple[Accumulator, ...]


@frozen
class DeviceProgram:
    """A program encoded for one width of words and number of registers.

    `code` is (rows, 4) uint32; the immediate of row `at` is the value of register `r` for every
    (at, r) in `patches`, `uniforms` the instructions that compute them.
    """

    verified: VerifiedProgram
    word_bits: int
    code: np.ndarray
    patches: tuple[tuple[int, int], ...]
    uniforms: tuple[Instruction, ...]
    sections: tuple[DeviceSection, ...]
    spills: int
    thread_words: int
    row_words: int
    partial_words: int


def word_bits(verified: VerifiedProgram) -> int:
    """32 if everything computed per point fits words of 32 bits, else 64."""
    uniforms = verified.program.uniforms
    for i in _instructions(verified.program):
        if i.writes in uniforms:
            continue
        types = {i.type.name, *(verified.types[r].name for r in i.reads)}
        if i.writes is not None:
            types.add(verified.types[i.writes].name)
        if types & _WIDE:
            return 64
    return 32


def _instructions(program: Program) -> list[Instruction]:
    return [i for section in program.sections for i in section.instructions]


def encode(verified: VerifiedProgram, bits: int, registers: int) -> DeviceProgram:
    """The device form for words of `bits` bits and `registers` registers a thread.

    Loads stay where they are, early ones wait for memory together, unless values then do not fit
    the registers and loading late keeps more of them there.
    """
    early = _Encoder(verified, bits, registers, late=False).run()
    if not early.spills:
        return early
    late = _Encoder(verified, bits, registers, late=True).run()
    return min(early, late, key=lambda program: program.spills)


def load_late(code: list[Instruction]) -> list[Instruction]:
    """The same section with every load just before its first use, but after no store it preceded:
    slots may share memory."""
    done: list[Instruction] = []
    waiting: dict[int, Instruction] = {}
    for i in code:
        if i.op.form is Form.LOAD:
            waiting[i.d] = i
            continue
        wanted = list(waiting) if i.op.form is Form.STORE else i.reads
        done += [waiting.pop(r) for r in wanted if r in waiting]
        done.append(i)
    return done + list(waiting.values())


class _Encoder:
    def __init__(self, verified: VerifiedProgram, bits: int, registers: int, late: bool) -> None:
        self.verified, self.bits, self.registers, self.late = verified, bits, registers, late
        program = verified.program
        self.uniforms = program.uniforms
        self.stream = Stream()
        self.rows: dict[int, int] = {}  # register -> row word
        self.row_words = self.thread_words = self.partial_words = self.spills = 0
        self.sections: list[DeviceSection] = []

    def run(self) -> DeviceProgram:
        program = self.verified.program
        sections = program.sections
        if not program.reduced_axes:
            sections = (Section(SectionKind.MAP, tuple(_instructions(program))),)
        for number, section in enumerate(sections):
            later = {r for s in sections[number + 1 :] for i in s.instructions for r in i.reads}
            self._section(section, later)
        return DeviceProgram(
            self.verified, self.bits, self.stream.array(), tuple(self.stream.patches),
            tuple(self.uniforms.values()), tuple(self.sections), self.spills,
            self.thread_words, self.row_words, self.partial_words,
        )  # fmt: skip

    def _section(self, section: Section, later: set[int]) -> None:
        stream, start = self.stream, self.stream.length
        code = [i for i in section.instructions if i.writes not in self.uniforms]
        code = load_late(code) if self.late else code
        folds = [i for i in code if i.op.form is Form.REDUCE]
        allocator = Allocator(
            stream, code, self.uniforms, dict(self.rows), self.verified.types, self.registers, folds
        )
        for fold in folds:
            allocator.begin(fold)
        if section.kind is SectionKind.SCALAR:
            for at, i in enumerate(code):
                allocator.instruction(at, i, to_acc=i.writes in later)
                if i.writes in later:
                    self.rows[i.d] = self._row(1)
                    stream.emit("PUT_ROW", self.rows[i.d])
        else:
            tiles = stream.emit("TILES")
            body = stream.length
            for at, i in enumerate(code):
                allocator.instruction(at, i)
            stream.emit("NEXT", body)
            stream.set_operand(tiles, stream.length)
        accumulators, threads, partials = [], 0, 0
        for fold in folds:
            words = fold.op.inputs
            row = self._row(words)
            allocator.end(fold, threads)
            tree = CODES[f"TREE_{code_name(fold.op, fold.type)}"]
            accumulators.append(Accumulator(tree, threads, row, words, partials))
            # The result of an index reduction is the index.
            self.rows[fold.d] = row + words - 1
            threads += words
            partials += words
        stream.emit("END")
        self.spills = max(self.spills, allocator.spill_count)
        self.thread_words = max(self.thread_words, threads)
        self.partial_words = max(self.partial_words, partials)
        self.sections.append(DeviceSection(section.kind, start, tuple(accumulators)))

    def _row(self, words: int) -> int:
        first = self.row_words
        self.row_words += words
        return first
